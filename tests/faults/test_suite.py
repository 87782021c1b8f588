"""The fault suite, small, through the door of `make faults`, and the page it writes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.faults import page
from tests.faults.frame import minimum_of
from tests.faults.one import empty
from tests.faults.runner import Store, carry_out, main
from tests.faults.scenarios import NOT_BUILT, SCENARIOS

RUNS, LEASE = 20, 2.0
#: half a minute each; `make faults` has them all
SMALL = ("F01", *(("F05", "F11", "F26") if os.environ.get("SALLYPORT_FAULTS") == "all" else ()))
#: how workers run steps: on threads or in processes, carrying on or with a nudge for every step
MODES = {
    "threads": (),
    "threads, no carrying on": ("--slice", "0"),
    "prefork": ("--pool", "prefork"),
    "prefork, no carrying on": ("--pool", "prefork", "--slice", "0"),
}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SMALL)
def test_a_small_load_survives(name: str, mode: str, tmp_path: Path) -> None:
    runs = RUNS if mode == "threads" else RUNS // 2
    result = carry_out(name, runs=runs, seed=1, lease=LEASE, keep=tmp_path, more=MODES[mode])

    assert result["violations"] == [], result["reason"]
    assert result["verdict"] == "proven", result["reason"]
    assert result["faults"] >= result["minimum"] == minimum_of(SCENARIOS[name], runs)
    assert result["executions"] >= runs
    assert (tmp_path / "ledger.jsonl").stat().st_size > 0


def measured(**changed: Any) -> dict[str, Any]:
    figures = dict.fromkeys(
        ("lost", "doubled", "unflagged", "unordered", "uncertain", "uncertain_applied", "resent", "recoveries"), 0
    )
    machine = {"postgresql": "18", "broker": "valkey 9", "celery": "5", "python": "3", "cores": 2, "system": "Linux"}
    return {
        "id": "F01", "title": "worker SIGKILL", "verdict": "proven", "proven": True, "reason": "", "runs": 20,
        "executions": 30, "steps": 300, "faults": 4, "minimum": 3, "by_kind": {"SIGKILL": 4}, **figures,
        "recovery_p50_s": 4.0, "recovery_p95_s": 6.0, "recovery_p99_s": 6.5, "steps_per_s": 20.0, "drain_s": 3.0,
        "seed": 1, "lease_s": 5.0, "notes": {}, "machine": machine, "commit": "abc", "ended": "2026-10-01T12:00",
        "ledger_sha256": "0" * 64, "violations": [], "code": "c", **changed,
    }  # fmt: skip


def test_a_row_below_its_minimum_or_with_a_violation_says_so() -> None:
    assert page.told(measured()) == "proven"
    assert page.told(measured(verdict="not proven")) == "not proven"
    assert page.told(measured(verdict="red", reason="2 violations")) == "**red**: 2 violations"
    assert page.told(measured(recovery_p95_s=10.1)) == "proven; recovery over 10 s"


def test_every_scenario_has_a_row_on_the_page(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"before\n{page.BEGIN}\nbygone figures\n{page.END}\nafter\n")
    store = Store(tmp_path, runs=20, lease=5.0)
    store.add(measured())
    page.write_page(store.latest(), command="make faults", path=path)

    text = path.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "bygone" not in text
    assert set(re.findall(r"^\| (F\d\d) ", text, re.MULTILINE)) == SCENARIOS.keys() | NOT_BUILT.keys()
    assert "not carried out for this code" in text


def test_a_result_counts_for_the_code_the_load_and_the_lease_it_was_measured_with(tmp_path: Path) -> None:
    store = Store(tmp_path, runs=20, lease=5.0)
    store.add(measured())
    assert store.kept("F01") is not None
    assert Store(tmp_path, runs=30, lease=5.0).kept("F01") is None
    assert Store(tmp_path, runs=20, lease=30.0).kept("F01") is None
    store.code = "another"
    assert store.kept("F01") is None


def test_the_last_result_is_the_one_that_counts(tmp_path: Path) -> None:
    store = Store(tmp_path, runs=20, lease=5.0)
    store.add(measured())
    store.add(measured(verdict="red", proven=False))
    kept = store.kept("F01")
    assert kept is not None
    assert kept["verdict"] == "red"


def test_a_scenario_that_cannot_be_carried_out_has_no_figures() -> None:
    row = page.cells(empty("F10", "clocks", "not proven", "faketime is not installed"))
    assert row[2:-1] == ["-"] * (len(page.COLUMNS) - 3)


def test_a_scenario_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "F99"]) == 2
    assert "F01" in capsys.readouterr().err


@pytest.mark.parametrize(("runs", "least"), [(1, 3), (50, 3), (100, 6), (1000, 60), (2000, 120)])
def test_the_least_number_of_faults_grows_with_the_load(runs: int, least: int) -> None:
    assert minimum_of(SCENARIOS["F01"], runs) == least
