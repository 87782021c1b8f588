"""What holds of the checker for every document that can be imported (CACAO.md 15)."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from playbooks.cacao import check
from playbooks.cacao.check_findings import SEVERITIES
from playbooks.cacao.findings import REFUSED, RELAXED
from tests.cacao.documents import CATALOGUE, END, HOST, PERSON, SHELL, START, Document, clean, imported
from tests.cacao.test_import_properties import assert_points_into, mutants

SHARED = Path(__file__).resolve().parents[3] / "shared" / "playbooks"
CORPUS = [path for path in sorted([*SHARED.glob("*.json"), *SHARED.glob("own/*.json")]) if ".trace" not in path.name]

CALM = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))

NAMES = [
    "__level__",
    "__host__",
    "__count__",
    "__fixed__",
    "__password__",
    "__own__",
    "__a__b__",
    "odd name",
    "__nowhere__",
]
TEXTS = st.lists(
    st.one_of(
        st.sampled_from([f"{name}:value" for name in NAMES]),
        st.sampled_from(
            ["echo ", "$(", ")", "`", "'", '"', "\\", " | ", "; ", "> log", "rm ", "sh -c ", "$$odd name$$", "\n"]
        ),
        st.sampled_from(
            ["--password ", "=", "https://u:p@h/", "GET / HTTP/1.1", "DELETE /", "\ue000", "0", "<<E\n", "#"]
        ),
        st.text(max_size=4),
    ),
    max_size=8,
).map("".join)
KINDS = st.sampled_from(["manual", "ssh", "bash", "powershell", "http-api", "openc2-http", "caldera-cmd", "jupyter"])
VARIABLES = st.dictionaries(
    st.sampled_from(NAMES[:-1]),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["string", "integer", "bool", "ipv4-addr", "dictionary", "hash", "robot"])},
        optional={
            "value": st.one_of(TEXTS, st.none(), st.sampled_from(["5", "true"])),
            "constant": st.booleans(),
            "external": st.booleans(),
            "description": TEXTS,
        },
    ),
    max_size=4,
)
CONDITIONS = st.one_of(
    st.builds(
        "{}{}:value {} {}{}".format,
        st.sampled_from(["", "NOT EXISTS __level__:value AND ", "EXISTS __host__:value OR ", "("]),
        st.sampled_from(NAMES),
        st.sampled_from(["=", "!=", ">", "<=", "IN", "LIKE", "MATCHES", "ISSUBSET"]),
        st.sampled_from(
            ["5", "'a'", "true", "()", "('a', 'b')", "'['", "'192.0.2.0/24'", "t'2026-01-01T00:00:00Z'", "h'00'"]
        ),
        st.sampled_from(["", " AND __count__:value > 3", " OR __level__:value = 'a'", ")"]),
    ),
    st.sampled_from(["Is it bad?", "__level__", "__level__:value.a = 1", "__level__:value[*] = 1"]),
)


@st.composite
def workflows(draw: st.DrawFn) -> Document:
    """Draw a playbook of which every pointer may lead to every later step, and every text may hold every reference."""
    document = clean()
    count = draw(st.integers(1, 9))
    kinds = [
        draw(st.sampled_from(["action", "action", "if-condition", "while-condition", "switch-condition", "parallel"]))
        for _ in range(count)
    ]
    keys = [f"{kind}--{number:08x}-0000-4000-8000-000000000000" for number, kind in enumerate(kinds)]
    steps: Document = {START: {"type": "start", "on_completion": keys[0]}, END: {"type": "end"}}
    for number, key in enumerate(keys):
        later = st.sampled_from([*keys[number + 1 :], *keys[:number][-1:], END, END])
        steps[key] = draw(_step(kinds[number], later))
    document["workflow"] = steps
    document["playbook_variables"] = draw(VARIABLES)
    if draw(st.booleans()):
        document["playbook_extensions"] = {
            "x": {"type": "sallyport-check", "ignore": draw(st.lists(st.sampled_from(sorted(SEVERITIES))))}
        }
    return document


@st.composite
def _step(draw: st.DrawFn, kind: str, later: st.SearchStrategy[str]) -> Document:
    step: Document = {"type": kind, "step_variables": draw(VARIABLES), "description": draw(TEXTS)}
    for name in draw(st.sets(st.sampled_from(["on_completion", "on_success", "on_failure"]))):
        step[name] = draw(later)
    if kind == "action":
        step["commands"] = draw(st.lists(_commands(), min_size=1, max_size=2))
        step["agent"] = draw(st.sampled_from([HOST, SHELL, PERSON]))
        step["targets"] = draw(st.lists(st.sampled_from([HOST, SHELL]), max_size=2))
        step["out_args"] = draw(st.lists(st.sampled_from(NAMES), max_size=2))
    elif kind == "parallel":
        step["next_steps"] = draw(st.lists(later, min_size=1, max_size=3))
    elif kind == "switch-condition":
        step["switch"] = draw(st.sampled_from(["__level__:value", "which?"]))
        step["cases"] = draw(st.dictionaries(st.sampled_from(["a", "default"]), later, min_size=1))
    else:
        step["condition"] = draw(CONDITIONS)
        step["on_true"] = draw(later)
        if kind == "if-condition" and draw(st.booleans()):
            step["on_false"] = draw(later)
    return {name: value for name, value in step.items() if value not in ([], {})}


@st.composite
def _commands(draw: st.DrawFn) -> Document:
    command: Document = {"type": draw(KINDS), "command": draw(TEXTS)}
    if draw(st.booleans()):
        command["content"] = draw(TEXTS)
    if draw(st.booleans()):
        command["headers"] = {draw(st.sampled_from(["Authorization", "X/~"])): [draw(TEXTS)]}
    return command


def hold(document: Any) -> None:
    """What the checker keeps to, whatever the document is."""
    result = imported(document)
    if result.workflow is None:
        return
    before = copy.deepcopy(result.document)
    found = check.check(result.document, result.workflow, CATALOGUE)

    assert result.document == before
    assert found == check.check(result.document, result.workflow, CATALOGUE)
    assert len({(finding.code, finding.pointer) for finding in found}) == len(found)
    for finding in found:
        assert finding.code in check.CODES | {"findings-omitted"}
        assert finding.severity == SEVERITIES.get(finding.code, "note")
        assert finding.message.endswith(".")
        assert_points_into(result.document, finding.pointer)
    assert set(found) <= set(result.findings)
    json.dumps([finding.message for finding in found]).encode()


@settings(CALM, max_examples=250)
@given(document=workflows())
def test_workflows_of_any_shape_are_checked(document: Document) -> None:
    hold(document)


@settings(CALM, max_examples=250)
@given(document=mutants())
def test_a_playbook_changed_at_random_is_checked(document: Document) -> None:
    hold(document)


@pytest.mark.skipif(not CORPUS, reason="the playbooks of others are not at hand")
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem[-40:])
def test_real_playbooks_are_checked(path: Path) -> None:
    hold(json.loads(path.read_bytes()))


def test_no_code_of_the_import_is_used_again() -> None:
    assert set() == check.CODES & (REFUSED | RELAXED)
