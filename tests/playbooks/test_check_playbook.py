"""manage.py check_playbook"""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.playbooks.documents import small

SAMPLES = sorted((Path(__file__).resolve().parents[2] / "playbooks" / "samples").glob("*.json"))


def check(path: Path, *arguments: str) -> tuple[int, str]:
    """Return the exit code and what was printed."""
    out = StringIO()
    with pytest.raises(SystemExit) as left:
        call_command("check_playbook", str(path), *arguments, stdout=out, stderr=out)
    assert isinstance(left.value.code, int)
    return left.value.code, out.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(content: Any) -> Path:
        path = tmp_path / "playbook.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    return write


def test_a_right_playbook_leaves_with_0(file: Any) -> None:
    code, printed = check(file(small()), "--level", "strict")

    assert code == 0
    assert "accepted at level strict" in printed


def test_errors_leave_with_1_and_are_named(file: Any) -> None:
    code, printed = check(file(small(workflow_start="start--00000000-0000-4000-8000-0000000000ff")))

    assert code == 1
    assert "start-unresolved" in printed


def test_what_lenient_relaxes_strict_refuses(file: Any) -> None:
    document = small()
    del document["created_by"]
    path = file(document)

    assert check(path)[0] == 0
    assert check(path, "--level", "strict")[0] == 1


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"a":1,"a":1}'])
def test_what_cannot_be_read_leaves_with_2(file: Any, content: bytes, tmp_path: Path) -> None:
    assert check(file(content))[0] == 2
    assert check(tmp_path / "absent.json")[0] == 2


def test_json_is_what_an_import_answers(file: Any) -> None:
    code, printed = check(file(small(labels=[])), "--json")

    told = json.loads(printed)
    assert code == 0
    assert told.keys() == {"accepted", "level", "strict", "playbook_id", "version", "findings"}
    assert told["findings"][0].keys() >= {"code", "severity", "pointer", "message"}


@pytest.mark.parametrize(
    "path", [path for path in SAMPLES if b'"cacao-2.0"' in path.read_bytes()], ids=lambda path: path.stem
)
def test_shipped_cacao_playbooks_are_strictly_right(path: Path) -> None:
    code, printed = check(path, "--level", "strict", "--json")

    assert code == 0
    assert [finding for finding in json.loads(printed)["findings"] if finding["severity"] != "note"] == []
