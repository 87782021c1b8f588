"""manage.py check_playbook"""

from __future__ import annotations

import json
from contextlib import redirect_stdout
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
    told = [finding for finding in json.loads(printed)["findings"] if not finding.get("suppressed")]
    assert [finding for finding in told if finding["severity"] != "note"] == []


def test_findings_are_grouped_by_severity_and_say_step_place_and_what_would_be_right(file: Any) -> None:
    document = small()
    document["workflow"]["end--00000000-0000-4000-8000-0000000000fe"] = {"type": "end", "name": "Nowhere"}
    document["labels"] = []
    code, printed = check(file(document))
    lines = printed.splitlines()

    assert code == 0
    assert lines.index("2 warnings") < next(n for n, line in enumerate(lines) if "step-unreachable" in line)
    assert "/workflow/end--00000000-0000-4000-8000-0000000000fe  (Nowhere)" in printed
    assert "leave it out" in printed
    assert "Lenient reading: as absent." in printed
    assert lines[-1].endswith("0 errors, 2 warnings, 0 notes")


def test_what_many_places_have_in_common_is_said_once(file: Any) -> None:
    document = small()
    for number in range(3):
        document["workflow"][f"end--00000000-0000-4000-8000-0000000000e{number}"] = {"type": "end"}
    _, printed = check(file(document))

    assert printed.count("No path from the start leads to this step") == 1
    assert printed.count("/workflow/end--00000000-0000-4000-8000-0000000000e") == 3


def test_silenced_findings_are_listed_last_and_not_counted(file: Any) -> None:
    silence = {"x": {"type": "sallyport-check", "ignore": ["step-unreachable"]}}
    document = small(playbook_extensions=silence)
    document["workflow"]["end--00000000-0000-4000-8000-0000000000fe"] = {"type": "end"}
    _, printed = check(file(document))

    assert "1 silenced" in printed.splitlines()
    assert printed.index("1 silenced") < printed.index("step-unreachable")
    assert printed.splitlines()[-1].endswith("1 silenced")


def test_secrets_of_the_document_are_not_printed(file: Any) -> None:
    document = small()
    document["playbook_variables"] = {"__api_token__": {"type": "string", "value": "tiger-lily-7"}}
    for arguments in ((), ("--json",)):
        _, printed = check(file(document), *arguments)
        assert "secret-in-document" in printed
        assert "tiger-lily-7" not in printed


def test_what_a_file_holds_does_not_steer_the_terminal(file: Any) -> None:
    document = small()
    document["workflow"]["end--\u001b[2J\u202e"] = {"type": "end", "name": "a\u001b]0;b\u0007\nc"}
    _, printed = check(file(document))

    assert "step-unreachable" in printed
    assert not {"\u001b", "\u202e", "\u0007"} & set(printed)


def test_the_help_tells_of_exit_codes_and_levels() -> None:
    out = StringIO()
    with redirect_stdout(out), pytest.raises(SystemExit):
        call_command("check_playbook", "--help")

    assert "Exits with 0" in " ".join(out.getvalue().split())
    assert "strict" in out.getvalue()
