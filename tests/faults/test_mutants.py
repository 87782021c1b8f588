"""Each guard is taken away once: its scenario is green with it and red without it.

SALLYPORT_MUTANTS=all takes every mutant (`make mutants`); otherwise those that every change is held against. All
scenarios are played with every guard in place, but for the one that needs a database server of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.servers import ledger
from tests.faults.decisive import Broken, Ground, Scenario
from tests.faults.mutants import ALWAYS, MUTANTS, PENDING, Mutant

IS_ALL = os.environ.get("SALLYPORT_MUTANTS") == "all"
TAKEN = list(MUTANTS) if IS_ALL else list(ALWAYS)
SCENARIOS = {found.scenario.__name__: found.scenario for found in MUTANTS.values() if IS_ALL or found.id != "M28"}


@pytest.fixture
def ground(transactional_db: None, settings: Any, tmp_path: Path) -> Iterator[Ground]:
    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    settings.SALLYPORT_ALLOW_FAKE = True
    with ledger() as server:
        yield Ground(server, tmp_path)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_with_every_guard_the_scenario_is_green(scenario: Scenario, ground: Ground) -> None:
    scenario(ground)


@pytest.mark.parametrize("name", TAKEN)
def test_without_its_guard_the_scenario_is_red(
    name: str, ground: Ground, record_property: Callable[[str, object], None]
) -> None:
    mutant: Mutant = MUTANTS[name]
    invariant, what = _red(mutant, ground)

    record_property("mutant", (name, mutant.guard, mutant.scenario.__name__.replace("_", " "), what))
    assert invariant in mutant.breaks, f"{name} stays green: without {mutant.guard!r} nothing breaks but {what!r}"


def _red(mutant: Mutant, ground: Ground) -> tuple[str, str]:
    with mutant.put_in():
        try:
            mutant.scenario(ground)
        except Broken as broken:
            return broken.invariant, str(broken)
    return "", "nothing"


def test_every_mutant_is_there_or_named_as_pending() -> None:
    assert sorted([*MUTANTS, *PENDING]) == [f"M{number:02}" for number in range(1, 35)]
