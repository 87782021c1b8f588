"""What a start gives to the declared inputs of a playbook."""

from __future__ import annotations

from typing import Any

import pytest

from playbooks.cacao.types import Workflow
from playbooks.inputs import InputInvalid, fits, start_values

WORKFLOW = Workflow(
    start="start:",
    steps={},
    inputs={
        "channel": {"type": "String", "default": "#a"},
        "who": {"type": "String", "required": True},
        "count": {"type": "number"},
    },
)


def test_defaults_fill_in_and_what_is_given_overrides() -> None:
    assert start_values(WORKFLOW, {"who": "me", "message": "hi"}) == {
        "parameters": {"channel": "#a", "who": "me", "message": "hi"},
        "inputs": {"channel": "#a", "who": "me"},
        "overrides": {"who": "me", "message": "hi"},
    }


def test_every_fault_is_named() -> None:
    with pytest.raises(InputInvalid) as refused:
        start_values(WORKFLOW, {"count": "5"})

    assert [fault.path for fault in refused.value.fields] == ["parameters.who", "parameters.count"]


@pytest.mark.parametrize(
    ("declared", "good", "bad"),
    [
        ("String", "x", 1), ("Number", 1.5, True), ("Number", 1, "1"), ("Boolean", False, 0), ("List", [], {}),
        ("Asset", {"id": 1}, 1), ("Finding", "f-1", []), (None, None, ...),
    ],
)  # fmt: skip
def test_a_value_is_of_its_type(declared: str | None, good: Any, bad: Any) -> None:
    assert fits(declared, good)
    assert bad is ... or not fits(declared, bad)
