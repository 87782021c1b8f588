"""What tests of production starts share: the environment of the compose file, with stores of the test run."""

from __future__ import annotations

import os
import secrets
import socket
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

OWN = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "SALLYPORT_MASTER_KEY", "SALLYPORT_HOME", "SALLYPORT_DEVELOPMENT")


def clean_environ() -> dict[str, str]:
    """Return the environment of this process without what the test run itself was configured by."""
    kept = {name: value for name, value in os.environ.items() if name not in OWN and not name.startswith("PYTEST")}
    return kept | {"SALLYPORT_NO_BOOTSTRAP": "1"}


def secret_files(directory: Path) -> dict[str, str]:
    """Write the secrets of a deployment; return the variables that name their files."""
    values = {
        "SECRET_KEY": secrets.token_hex(32),
        "SALLYPORT_MASTER_KEY": b64encode(secrets.token_bytes(32)).decode(),
    }
    files = {}
    for name, value in values.items():
        path = directory / name.lower()
        path.write_text(value + "\n")
        files[f"{name}_FILE"] = str(path)
    return files


def environ_for(directory: Path, *, database_url: str, **more: str) -> dict[str, str]:
    return {
        **clean_environ(),
        **secret_files(directory),
        "DATABASE_URL": database_url,
        "REDIS_URL": settings.REDIS_URL,
        "SALLYPORT_REDIS_PREFIX": f"test-{secrets.token_hex(4)}:",
        "SALLYPORT_PUBLIC_URL": "https://soar.example.org",
        "ALLOWED_HOSTS": "127.0.0.1",
        **more,
    }


def connect_options(database: str) -> dict[str, Any]:
    found: Mapping[str, object] = connection.settings_dict
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    return {"dbname": database} | {name: str(found[key]) for name, key in names.items() if found[key]}


def create_database() -> tuple[str, str]:
    """Make an empty database beside the test run's own; return its name and its URL."""
    name = f"production_{secrets.token_hex(4)}"
    with psycopg.connect(**connect_options("postgres"), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    options = connect_options(name)
    host = options["host"]
    at = f"/{name}?host={host}" if host.startswith("/") else f"{host}:{options.get('port', '5432')}/{name}"
    password = f":{options['password']}" if "password" in options else ""
    return name, f"postgresql://{options['user']}{password}@{at}"


def drop_database(name: str) -> None:
    with psycopg.connect(**connect_options("postgres"), autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
