"""The environments that manage.py makes for itself."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import bootstrap
from config.home import ROOT

EARLY = ("manage.py", "config/__init__.py", "config/bootstrap.py", "config/progress.py")


@pytest.mark.parametrize("path", EARLY)
def test_what_runs_before_the_environment_parses_on_old_pythons(path: str) -> None:
    ast.parse((ROOT / path).read_text(), feature_version=(3, 6))


def test_what_runs_before_the_environment_needs_the_standard_library_only() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import config.bootstrap, config.progress"
    subprocess.run([sys.executable, "-I", "-S", "-c", code, str(ROOT)], check=True)


def test_both_files_of_pins_agree_where_they_name_the_same_package() -> None:
    running, testing = bootstrap._pins(bootstrap.RUNNING), bootstrap._pins(bootstrap.TESTING)
    assert len(running) > 50
    assert running.items() <= testing.items()


@pytest.mark.parametrize(
    "path", ["requirements.txt", "tests/requirements.txt", "tests/connectors/dbt/requirements.txt"]
)
def test_pins_name_no_place_and_have_hashes(path: str) -> None:
    text = (ROOT / path).read_text()
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    for block in text.split("\n\n"):
        for line in block.splitlines():
            if "==" in line and not line.startswith((" ", "#")):
                assert line.endswith("\\"), f"{line} has no hash"


def test_an_environment_is_current_until_its_pins_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.txt").write_text("django==5.2\n")
    directory = tmp_path / bootstrap.RUNNING
    (directory / "bin").mkdir(parents=True)
    python = directory / "bin" / "python"
    python.symlink_to(sys.executable)
    monkeypatch.setattr(bootstrap, "ROOT", str(tmp_path))
    assert not bootstrap._is_current(str(directory), str(python))

    (directory / ".installed").write_text(bootstrap._digest(bootstrap.RUNNING))
    assert bootstrap._is_current(str(directory), str(python))

    (tmp_path / "requirements.txt").write_text("django==5.2.1\n")
    assert not bootstrap._is_current(str(directory), str(python))


def test_without_any_installer_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"pip 22\.3 or newer .* or uv"):
        bootstrap._installer(str(broken), str(broken))


def test_an_old_python_is_told_which_one_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer"):
        bootstrap._find_python()
    newer = tmp_path / "python3.12"
    newer.symlink_to(sys.executable)
    assert bootstrap._find_python() == str(newer)


def test_nothing_is_made_where_the_environment_is_somebody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALLYPORT_NO_BOOTSTRAP", "1")
    monkeypatch.setattr(bootstrap, "make", lambda _: pytest.fail("made one"))
    bootstrap.enter(["manage.py", "up"])


def test_help_lists_the_commands_of_the_platform() -> None:
    environ = {**os.environ, "SALLYPORT_NO_BOOTSTRAP": "1"}
    said = subprocess.run([sys.executable, "manage.py", "help"], cwd=ROOT, env=environ, capture_output=True, text=True)
    for command in ("up", "test", "status", "install", "issue_api_key"):
        assert f"\n    {command}\n" in said.stdout
