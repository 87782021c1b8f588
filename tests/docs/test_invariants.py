"""The page of invariants names tests and mutants that are there."""

from __future__ import annotations

import re

import pytest

from config.home import ROOT
from tests.faults.mutants import MUTANTS, PENDING

PAGE = (ROOT / "docs/reliability.md").read_text()
ROWS = {
    row[0]: row[1:] for row in re.findall(r"^\| (I\d+|SEC-66) \| ([^|]+) \| ([^|]+) \| ([^|]*) \|$", PAGE, re.MULTILINE)
}


def test_every_invariant_has_a_row() -> None:
    assert list(ROWS) == [*(f"I{number}" for number in range(1, 26)), "SEC-66"]


@pytest.mark.parametrize("invariant", ROWS)
def test_every_invariant_has_tests_that_are_there(invariant: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", ROWS[invariant][1])

    assert named
    for path, function in named:
        text = (ROOT / path).read_text()
        assert re.search(rf"^(?:async )?def {function}\(" if function else r"^def test_", text, re.MULTILINE), function


def test_every_mutant_stands_beside_what_it_breaks() -> None:
    named = {invariant: set(re.findall(r"M\d\d", row[2])) for invariant, row in ROWS.items()}

    for name, mutant in MUTANTS.items():
        assert any(name in named[invariant] for invariant in mutant.breaks), name
    shown = set().union(*named.values())
    assert MUTANTS.keys() <= shown <= MUTANTS.keys() | PENDING.keys()
