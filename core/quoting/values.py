"""Strict types: values whose characters mean nothing to any shell or language (rule 2 of SECURITY.md 4)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Final


def is_strict(value: str, type: str) -> bool:
    """Whether ``type`` is strict and ``value`` truly of it."""
    check = _CHECKS.get(type)
    return bool(check and check(value))


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: compiled.fullmatch(value) is not None


def _is_network(version: int) -> Callable[[str], bool]:
    # `ipaddress` lets zone ids through, which may hold any character.
    characters = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:/[0-9]{1,3})?", re.ASCII)

    def check(value: str) -> bool:
        if not characters.fullmatch(value):
            return False
        try:
            return ipaddress.ip_interface(value).version == version
        except ValueError:
            return False

    return check


_integer = _matches(r"[+-]?[0-9]{1,4096}")
_boolean = _matches(r"true|false|TRUE|FALSE|True|False")
_uuid = _matches(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_hexadecimal = _matches(r"[0-9A-Fa-f]{1,4096}")
# A dot is asked for: a name of one label may be the name of a program.
_domain = _matches(
    r"(?=.{1,253}\Z)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_date = _matches(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_port = _matches(r"[0-9]{1,5}")


def _is_port(value: str) -> bool:
    return _port(value) and int(value) <= 65_535


_CHECKS: Final[Mapping[str, Callable[[str], bool]]] = {
    "ipv4-addr": _is_network(4),
    "ipv6-addr": _is_network(6),
    "mac-addr": _matches(r"[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}"),
    "hash": _hexadecimal,
    "md5-hash": _hexadecimal,
    "sha1-hash": _hexadecimal,
    "sha256-hash": _hexadecimal,
    "hexstring": _hexadecimal,
    "uuid": _uuid,
    "integer": _integer,
    "int": _integer,
    "long": _integer,
    "float": _matches(r"[+-]?[0-9]{1,400}(?:\.[0-9]{1,400})?(?:[eE][+-]?[0-9]{1,3})?"),
    "bool": _boolean,
    "boolean": _boolean,
    "domain-name": _domain,
    "port": _is_port,
    "date": _date,
    "timestamp": _date,
}
