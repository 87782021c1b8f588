"""Reads DATABASE_URL and REDIS_URL."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from config.env import Refused

DATABASE_FORM = "a URL such as postgresql://user@host:5432/name (the password may stand in DATABASE_PASSWORD_FILE)"
REDIS_FORM = "a URL such as redis://host:6379/0, rediss://... or unix:///path?db=0 (password: REDIS_PASSWORD_FILE)"
#: what PostgreSQL's own URLs allow and we pass on
DATABASE_OPTIONS = frozenset(
    {"sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout", "application_name", "host"}
)


def database(url: str, password: str | None) -> dict[str, Any]:
    """Return Django's settings of the database a URL names. ``?host=/directory`` means a Unix socket there."""
    parts = _split(url, "DATABASE_URL", {"postgresql", "postgres"}, DATABASE_FORM)
    options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    name = unquote(parts.path.lstrip("/"))
    if not name or "/" in name or not options.keys() <= DATABASE_OPTIONS:
        raise Refused("DATABASE_URL", DATABASE_FORM)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": password or unquote(parts.password or ""),
        "HOST": options.pop("host", "") or unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
    }


def redis(url: str, password: str | None) -> str:
    """Return the URL in redis-py's form with the password in it, refusing what redis-py would refuse later."""
    parts = _split(url, "REDIS_URL", {"redis", "rediss", "unix"}, REDIS_FORM)
    if not (parts.path if parts.scheme == "unix" else parts.hostname):
        raise Refused("REDIS_URL", REDIS_FORM)
    if password is None:
        return url
    login = f"{parts.username or ''}:{quote(password, safe='')}"
    return parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}").geturl()


def broker(redis_url: str) -> str:
    """Return the same address as Celery spells it."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    number = dict(parse_qsl(parts.query)).get("db", "0")
    password = f":{parts.password}@" if parts.password else ""
    return f"redis+socket://{password}{parts.path}?virtual_host={number}"


def endpoint(url: str, default_port: int) -> tuple[str, int] | None:
    """Return (host, port) of a URL that names a TCP endpoint, else None."""
    parts = urlsplit(url)
    return (parts.hostname, parts.port or default_port) if parts.hostname and parts.scheme != "unix" else None


def _split(url: str, name: str, schemes: set[str], expected: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (raises for a port that is no number)
    except ValueError:
        raise Refused(name, expected) from None
    if parts.scheme not in schemes:
        raise Refused(name, expected)
    return parts
