"""Documents that are too large, too deep, tangled or wrapped (CACAO.md 13.2, BAD-INPUT.md P, SECURITY.md SEC-48)."""

from __future__ import annotations

import json
import time
import tracemalloc
from functools import cache
from typing import Any
from uuid import UUID

import pytest

from playbooks.cacao import stored
from playbooks.cacao.importing import MAX_OCTETS, import_document
from tests.cacao.documents import CATALOGUE, HOST, SELF, changed, clean, codes, errors, imported, put, relaxations

END = "end--00000000-0000-4000-8000-0000000f0000"


def identifier(kind: str, number: int) -> str:
    return f"{kind}--{UUID(int=(1 << 100) + number, version=4)}"


def playbook(workflow: dict[str, Any], start: str) -> dict[str, Any]:
    document = clean()
    for name in ("workflow_exception", "markings"):
        del document[name]
    return document | {"workflow": workflow, "workflow_start": start}


def action(following: str) -> dict[str, Any]:
    command = {"type": "http-api", "command": "GET /x?a=__host__:value HTTP/1.1", "playbook_activity": "scan-system"}
    return {"type": "action", "commands": [command], "agent": HOST, "on_completion": following}


def chain(length: int, *, last: str = END) -> dict[str, Any]:
    start = identifier("start", 0)
    steps = {identifier("action", i): action(identifier("action", i + 1)) for i in range(1, length - 1)}
    steps[identifier("action", length - 2)]["on_completion"] = last
    return playbook(
        {start: {"type": "start", "on_completion": identifier("action", 1)}, **steps, END: {"type": "end"}}, start
    )


def nested(depth: int, kind: str = "while-condition") -> dict[str, Any]:
    """Openers inside each other; each has a variable of its own, which the innermost step reads."""
    start, innermost = identifier("start", 0), identifier("action", 1)
    workflow: dict[str, Any] = {start: {"type": "start", "on_completion": identifier(kind, 0)}}
    for level in range(depth):
        following = identifier(kind, level + 1) if level + 1 < depth else innermost
        workflow[identifier(kind, level)] = {
            "type": kind,
            "condition": f"__v{level}__:value = 'x'",
            "step_variables": {f"__v{level}__": {"type": "string", "value": "y"}},
            "on_true": following,
            "on_completion": identifier("end", level),
        }
        workflow[identifier("end", level)] = {"type": "end"}
    workflow[innermost] = action(END) | {"in_args": [f"__v{level}__" for level in range(depth)]}
    workflow[END] = {"type": "end"}
    return playbook(workflow, start)


def timed(document: Any) -> tuple[Any, float]:
    octets = json.dumps(document).encode()
    before = time.process_time()
    result = import_document(octets, level="lenient", catalogue=CATALOGUE)
    return result, time.process_time() - before


@cache
def unit() -> float:
    """CPU seconds of a plain document of 500 steps, here and now: what grows with the document alone stays near it."""
    return min(timed(chain(500))[1] for _ in range(3))


def test_five_hundred_plain_steps_are_strictly_right() -> None:
    result, _ = timed(chain(500))

    assert result.accepted
    assert result.strict


def test_five_thousand_steps_in_one_cycle_are_refused_at_once() -> None:
    result, seconds = timed(chain(5_000, last=identifier("action", 1)))

    assert errors(result) == {"cycle-without-while"}
    assert seconds < 60 * unit()  # ten units where it grows with the document; a square would be a hundred


def test_five_thousand_and_one_steps_are_refused() -> None:
    assert errors(timed(chain(5_001))[0]) == {"document-too-large"}
    assert timed(chain(5_000))[0].accepted


def test_a_target_full_of_names_that_thousands_of_steps_share_is_refused_at_once() -> None:
    names = " ".join(f"__n{number}__:value" for number in range(3_000))
    document = chain(4_000)
    document["agent_definitions"][HOST]["phone"] = {"work": names}

    result, seconds = timed(document)

    assert errors(result) == {"document-too-large"}
    assert seconds < 60 * unit()


@pytest.mark.parametrize("depth", [60, 2_000])
@pytest.mark.parametrize("kind", ["while-condition", "if-condition"])
def test_openers_inside_each_other_need_no_recursion(depth: int, kind: str) -> None:
    result, seconds = timed(nested(depth, kind))

    assert result.accepted, errors(result)
    assert relaxations(result) == set()
    assert stored.from_json(stored.to_json(result.workflow)) == result.workflow
    assert seconds < 60 * unit()


def test_a_ladder_of_parallel_steps_is_joined_in_time() -> None:
    start, last = identifier("start", 0), identifier("action", 999_999)
    workflow: dict[str, Any] = {start: {"type": "start", "on_completion": identifier("parallel", 0)}}
    for rung in range(1_600):
        following = identifier("parallel", rung + 1) if rung < 1_599 else last
        first, second = identifier("action", 2 * rung), identifier("action", 2 * rung + 1)
        workflow[identifier("parallel", rung)] = {"type": "parallel", "next_steps": [first, second]}
        workflow |= {first: action(following), second: action(following)}
    workflow |= {last: action(END), END: {"type": "end"}}
    result, seconds = timed(playbook(workflow, start))

    assert result.accepted
    assert all(step.join for step in result.workflow.steps.values() if step.type == "parallel")
    assert seconds < 60 * unit()


def test_many_faults_are_told_up_to_a_limit() -> None:
    started = time.process_time()
    result = imported(changed(put("signatures", [{}] * 200_000)))

    assert "findings-omitted" in codes(result)
    assert len(result.findings) < 20_000
    assert time.process_time() - started < 10


def test_a_fault_far_down_a_long_list_is_found_where_it_is() -> None:
    labels: list[Any] = ["fine"] * 2_500
    labels[2_300] = 7

    faults = imported(changed(put("labels", labels))).findings

    assert [(finding.code, finding.pointer) for finding in faults] == [("schema", "/labels/2300")]


def test_a_document_beyond_five_mebibytes_is_refused_unread() -> None:
    document = json.dumps(clean()).encode()
    padded = document + b" " * (MAX_OCTETS - len(document))

    assert import_document(padded, level="strict", catalogue=CATALOGUE).accepted
    refused = import_document(padded + b" ", level="strict", catalogue=CATALOGUE)
    assert codes(refused) == {"document-too-large"}


def test_memory_stays_bounded() -> None:
    octets = json.dumps(nested(2_000)).encode()
    tracemalloc.start()
    try:
        import_document(octets, level="lenient", catalogue=CATALOGUE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 128 * 1024 * 1024


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"{",
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b"[" * 101 + b"]" * 101,
    ],
)
def test_what_is_no_json_is_refused_as_that(octets: bytes) -> None:
    result = import_document(octets, level="lenient", catalogue=CATALOGUE)

    assert errors(result) == {"json-invalid"}
    assert result.document is None


def test_a_nul_stays_in_the_document_and_is_stored_escaped() -> None:
    result = imported(changed(put("workflow", END, {"type": "end", "name": "a\x00\x1ab"})))

    assert result.workflow is not None
    plain = stored.to_json(result.workflow)
    assert "\x00" not in plain["steps"][END]["name"]
    assert stored.from_json(plain).steps[END].name == "a\x00\x1ab"


def test_a_playbook_inside_a_stix_object_is_refused_with_a_hint() -> None:
    result = imported({"type": "x-oca-playbook", "playbook_bin": "e30="})

    assert errors(result) == {"playbook-type", "spec-version"}
    assert any("STIX" in finding.message for finding in result.findings)


def test_what_is_refused_stores_nothing_and_tells_all_it_can() -> None:
    result = imported(changed(put("workflow_start", "start--nowhere")) | {"modified": None, "valid_until": "soon"})

    assert result.workflow is None
    assert result.jcs_sha256 is None
    assert (result.playbook_id, result.version) == (SELF, None)
    assert {"start-unresolved", "required-missing", "schema"} <= codes(result)


def test_another_level_is_no_level() -> None:
    with pytest.raises(ValueError, match="no import level"):
        import_document(b"{}", level="loose", catalogue=CATALOGUE)


def test_numbers_are_kept_as_they_are_written() -> None:
    octets = (
        json.dumps(clean()).encode().replace(b'"revoked"', b'"r"')[:-1]
        + b', "x_weight": 1.10, "x_big": 9007199254740993}'
    )
    result = import_document(octets, level="lenient", catalogue=CATALOGUE)

    assert result.accepted
    assert (str(result.document["x_weight"]), result.document["x_big"]) == ("1.10", 9007199254740993)
    assert result.jcs_sha256
