"""What a development start keeps in its home."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config import home


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALLYPORT_HOME", str(tmp_path / "home"))


def test_a_generated_secret_is_kept_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    secret = home.kept_secret("key")
    assert home.kept_secret("key") == secret
    assert (tmp_path / "home" / "key").stat().st_mode & 0o777 == 0o600


def test_processes_that_start_together_agree_on_one_secret() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: home.kept_secret("key"), range(64)))) == 1


def test_a_socket_path_fits_into_what_the_system_allows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SALLYPORT_HOME", str(tmp_path / ("long" * 60)))
    assert len(str(home.socket_directory() / ".s.PGSQL.5432.lock")) < 103


def test_two_homes_have_two_socket_directories(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = home.socket_directory()
    monkeypatch.setenv("SALLYPORT_HOME", str(tmp_path / "other"))
    assert home.socket_directory() != first


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    home.write_private(path, "first, and longer")
    home.write_private(path, "second")
    assert path.read_text() == "second"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
