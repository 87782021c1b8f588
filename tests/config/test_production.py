"""Starts outside development: nothing is generated, and what is missing or a sample is refused by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.home import ROOT
from tests.config import production

URL = "postgresql://sallyport:k3Jx9-strong-one@db.example:5432/sallyport"


def manage(*words: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return production.environ_for(tmp_path, database_url=URL)


def test_django_finds_nothing_to_say_about_a_production_start(environ: dict[str, str]) -> None:
    said = manage("check", "--deploy", "--fail-level", "WARNING", environ=environ)
    assert (said.returncode, "no issues" in said.stdout) == (0, True), said.stderr


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"SECRET_KEY_FILE": ""}, "SECRET_KEY"),
        ({"SECRET_KEY_FILE": "", "SECRET_KEY": "changeme"}, "SECRET_KEY"),
        ({"SALLYPORT_MASTER_KEY_FILE": ""}, "SALLYPORT_MASTER_KEY"),
        ({"SALLYPORT_PUBLIC_URL": ""}, "SALLYPORT_PUBLIC_URL"),
        ({"DATABASE_URL": "postgresql://sallyport:changeme@db.example/sallyport"}, "DATABASE_URL"),
        ({"REDIS_URL": "http://cache.example"}, "REDIS_URL"),
        ({"SALLYPORT_LEASE": "soon"}, "SALLYPORT_LEASE"),
        ({"ALLOW_NETWORKS": "everything"}, "ALLOW_NETWORKS"),
    ],
)
def test_a_start_that_cannot_be_meant_is_refused_by_the_name_of_its_variable(
    environ: dict[str, str], change: dict[str, str], named: str
) -> None:
    said = manage("check", environ=environ | change)
    assert said.returncode != 0
    assert f"Environment variable {named}" in said.stderr


SETTINGS = "import json, os; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings'; from config import settings as s"


def read_settings(environ: dict[str, str], *names: str) -> list[object]:
    code = f"{SETTINGS}; print(json.dumps([getattr(s, n) for n in {names!r}]))"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    import json

    found: list[object] = json.loads(said.stdout)
    return found


def test_admin_docs_and_generated_files_are_of_development_only(environ: dict[str, str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    names = ("SALLYPORT_DEVELOPMENT", "SALLYPORT_ADMIN", "SALLYPORT_DOCS", "DEBUG", "SESSION_COOKIE_SECURE")
    assert read_settings(environ | {"SALLYPORT_HOME": str(home)}, *names) == [False, False, False, False, True]
    assert not home.exists()


def test_our_own_stores_and_our_own_api_are_no_destination(environ: dict[str, str]) -> None:
    told = environ | {"REDIS_URL": "redis://cache.example:6380/0", "SALLYPORT_DENIED_ENDPOINTS": "web:8000"}
    (denied,) = read_settings(told, "SALLYPORT_DENIED_ENDPOINTS")
    assert isinstance(denied, list)
    for endpoint in (["db.example", 5432], ["cache.example", 6380], ["soar.example.org", 443], ["web", 8000]):
        assert endpoint in denied


def test_an_environment_without_anything_is_development(tmp_path: Path) -> None:
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    told = environ | {"SALLYPORT_HOME": str(tmp_path / "home"), "SALLYPORT_NO_BOOTSTRAP": "1"}
    assert read_settings(told, "SALLYPORT_DEVELOPMENT", "SALLYPORT_ADMIN", "DEBUG") == [True, True, False]
    assert (tmp_path / "home" / "master_key").stat().st_mode & 0o777 == 0o600
