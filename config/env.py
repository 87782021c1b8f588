"""Typed readers of the environment. Each names the variable and what was expected when it refuses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})


class Refused(ImproperlyConfigured):
    """A variable has a value that cannot be meant. Its value is not repeated: it may be a secret."""

    def __init__(self, name: str, expected: str) -> None:
        super().__init__(f"Environment variable {name}: expected {expected}.")
        self.name = name


def text(name: str, default: str = "", *, environ: Mapping[str, str] = os.environ) -> str:
    return environ.get(name, "").strip() or default


def required(name: str, expected: str, *, environ: Mapping[str, str] = os.environ) -> str:
    value = text(name, environ=environ)
    if not value:
        raise Refused(name, expected)
    return value


def flag(name: str, *, default: bool = False, environ: Mapping[str, str] = os.environ) -> bool:
    value = environ.get(name)
    if value is None or not value.strip():
        return default
    word = value.strip().lower()
    if word not in TRUE | FALSE:
        raise Refused(name, "one of 1, true, yes, on, 0, false, no, off")
    return word in TRUE


def choice(name: str, default: str, among: tuple[str, ...], *, environ: Mapping[str, str] = os.environ) -> str:
    """Return one of the words in ``among``, which are upper case; the environment may give any case."""
    word = text(name, default, environ=environ).upper()
    if word not in among:
        raise Refused(name, f"one of {', '.join(among)}")
    return word


def integer(
    name: str,
    default: int,
    *,
    minimum: int = 0,
    maximum: int = 2**31 - 1,
    environ: Mapping[str, str] = os.environ,
) -> int:
    value = text(name, environ=environ)
    if not value:
        return default
    expected = f"a whole number from {minimum} to {maximum}"
    if not (value.isascii() and value.isdigit()) or not minimum <= int(value) <= maximum:
        raise Refused(name, expected)
    return int(value)


def seconds(
    name: str,
    default: float,
    *,
    minimum: float = 0,
    maximum: float = 86_400 * 366,
    environ: Mapping[str, str] = os.environ,
) -> timedelta:
    """Return a span that the environment gives in seconds, decimals allowed."""
    value = text(name, environ=environ)
    if not value:
        return timedelta(seconds=default)
    expected = f"a number of seconds from {minimum:g} to {maximum:g}"
    try:
        number = float(value)
    except ValueError:
        raise Refused(name, expected) from None
    if not minimum <= number <= maximum:  # also refuses NaN
        raise Refused(name, expected)
    return timedelta(seconds=number)


def whole_seconds(name: str, default: int, *, minimum: int = 0, environ: Mapping[str, str] = os.environ) -> timedelta:
    return timedelta(seconds=integer(name, default, minimum=minimum, maximum=86_400, environ=environ))


def words(name: str, default: tuple[str, ...] = (), *, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return a list separated by commas or spaces."""
    return tuple(text(name, environ=environ).replace(",", " ").split()) or default


def assignments(name: str, *, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return a list such as ``one=/srv/one, two=/srv/two`` by name; default empty."""
    found = {}
    for word in words(name, environ=environ):
        key, _, value = word.partition("=")
        if not key or not value:
            raise Refused(name, "a list of NAME=VALUE")
        found[key] = value
    return found


def cidr_list(name: str, *, environ: Mapping[str, str] = os.environ) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return networks such as ``10.0.0.0/8, fd00::/8``; default none."""
    try:
        return tuple(ip_network(word) for word in words(name, environ=environ))
    except ValueError:
        raise Refused(name, "networks such as 10.0.0.0/8,fd00::/8, without host bits") from None


def host_ports(name: str, *, environ: Mapping[str, str] = os.environ) -> tuple[tuple[str, int], ...]:
    """Return a list such as ``web:8000, [fd00::1]:443``."""
    found = []
    for word in words(name, environ=environ):
        host, _, port = word.rpartition(":")
        if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
            raise Refused(name, "a list of HOST:PORT")
        found.append((host.strip("[]"), int(port)))
    return tuple(found)


def secret(name: str, *, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the value of NAME, or the contents of the file that NAME_FILE points to; None when neither is set."""
    value, path = text(name, environ=environ), text(f"{name}_FILE", environ=environ)
    if value and path:
        raise Refused(name, f"either {name} or {name}_FILE, not both")
    if not path:
        return value or None
    try:
        content = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{name}_FILE", f"the path of a readable text file ({type(error).__name__})") from None
    if not content:
        raise Refused(f"{name}_FILE", "the path of a file that is not empty")
    return content
