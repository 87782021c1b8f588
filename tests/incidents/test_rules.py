"""What signals mean, and how clocks run: plain values, no database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.errors import Invalid
from incidents.engine.clocks import Clock
from incidents.engine.finding import Finding, read_finding
from incidents.engine.signals import read_signal, suggestions
from incidents.engine.statuses import MOVES

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
BUDGET = {"type": "budget", "agent": "a", "budget_type": "cost", "threshold": 1, "actual": 2, "severity": "error"}
PLANNER = {"type": "planner", "version": "v2", "metric": "latency", "current": 2, "baseline": 1}


def read(value: dict[str, Any]) -> Finding:
    return read_signal(value, source="watcher", now=NOON)


@pytest.mark.parametrize(
    ("priority", "severity"),
    [("critical", "sev1"), ("high", "sev2"), ("medium", "sev3"), ("low", "sev4"), ("urgent", "sev3")],
)
def test_the_priority_of_an_invariant_is_its_severity(priority: str, severity: str) -> None:
    assert read({"type": "invariant", "id": "x", "priority": priority}).severity == severity


@pytest.mark.parametrize(("given", "severity"), [("critical", "sev1"), ("error", "sev2"), ("warning", "sev3")])
def test_the_severity_of_a_budget(given: str, severity: str) -> None:
    found = read(BUDGET | {"severity": given})

    assert (found.severity, found.key) == (severity, "BUDGET_a_cost")


@pytest.mark.parametrize(("metric", "severity"), [("accuracy", "sev1"), ("latency", "sev2"), ("Accuracy", "sev2")])
def test_only_accuracy_is_critical_for_a_planner(metric: str, severity: str) -> None:
    found = read(PLANNER | {"metric": metric})

    assert (found.severity, found.key, found.playbooks) == (severity, "PLANNER_REG_v2", ("rollback_planner",))


@pytest.mark.parametrize(
    ("threshold", "actual", "overage", "percent"),
    [(100, 150, 50, 50.0), (0, 5, 5, None), (4, 3, -1, -25.0), (0.5, 0.75, 0.25, 50.0), (1e-320, 1e15, 1e15, None)],
)
def test_the_overage(threshold: float, actual: float, overage: float, percent: float | None) -> None:
    details = read(BUDGET | {"threshold": threshold, "actual": actual}).details

    assert (details["overage"], details["overage_pct"]) == (overage, percent)


@pytest.mark.parametrize(
    ("budget_type", "agent", "found"),
    [
        ("quality", "inbox", ("rerun_eval",)),
        ("quality", "DBT-runner", ("rerun_eval", "rerun_dbt")),
        ("quality", "warehouse", ("rerun_eval", "rerun_dbt")),
        ("latency", "inbox", ("clear_cache",)),
        ("latency", "knowledge-base", ("clear_cache", "refresh_synonyms")),
        ("latency", "elastic", ("clear_cache", "refresh_synonyms")),
        ("cost", "inbox", ("rerun_eval", "adjust_canary_split")),
        ("success_rate", "inbox", ("rerun_eval",)),
        ("success_rate", "dbt", ("rerun_eval", "rerun_dbt")),
        ("success_rate", "warehouse", ("rerun_eval",)),
        ("cost", "planner.v2", ("rerun_eval", "adjust_canary_split", "rollback_planner")),
        ("tokens", "inbox", ()),
    ],
)
def test_what_is_suggested(budget_type: str, agent: str, found: tuple[str, ...]) -> None:
    assert suggestions(budget_type, agent) == found


def test_a_long_message_is_cut_to_a_summary() -> None:
    found = read(BUDGET | {"message": "m" * 2_000})

    assert len(found.summary) == 256
    assert found.summary.endswith("…")
    assert found.details["violation"]["message"] == "m" * 2_000


def test_who_pulls_a_signal_is_its_source_unless_it_names_one() -> None:
    assert read(BUDGET).metadata["source"] == "watcher"
    assert read(BUDGET | {"source": "nightly"}).metadata["source"] == "nightly"


@pytest.mark.parametrize("value", [None, [], "x", 5, True])
def test_what_is_no_object_is_no_finding(value: Any) -> None:
    with pytest.raises(Invalid):
        read_finding(value)
    with pytest.raises(Invalid):
        read(value)


def test_no_verb_leads_back() -> None:
    order = ["open", "acknowledged", "mitigated", "resolved", "closed"]
    for move in MOVES.values():
        assert all(order.index(source) < order.index(move.target) for source in move.sources)


# --- clocks


@pytest.mark.parametrize(
    ("severity", "due"),
    [
        ("sev1", (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=4))),
        ("sev2", (timedelta(minutes=15), timedelta(hours=4), timedelta(hours=24))),
        ("sev3", (timedelta(hours=1), timedelta(hours=24), timedelta(days=7))),
        ("sev4", ()),
    ],
)
def test_what_is_missing_is_late_after_its_time(severity: str, due: tuple[timedelta, ...]) -> None:
    clock = Clock(severity, NOON)
    expected = [(phase, NOON + span) for phase, span in zip(("acknowledge", "mitigate", "resolve"), due, strict=False)]

    assert clock.late(NOON + timedelta(days=30)) == expected
    assert clock.late(NOON) == []
    if due:
        assert clock.late(NOON + due[0]) == []
        assert clock.late(NOON + due[0] + timedelta(seconds=1)) == expected[:1]
        assert clock.next_due() == NOON + due[0]
        assert clock.next_due(NOON + due[0]) == NOON + due[1]
    assert clock.next_due(NOON + timedelta(days=30)) is None


def test_a_step_that_was_passed_over_is_done_with_the_next() -> None:
    late, early = NOON + timedelta(minutes=6), NOON + timedelta(minutes=4)

    assert Clock("sev1", NOON, mitigated_at=early).late(early) == []
    assert [phase for phase, _ in Clock("sev1", NOON, mitigated_at=late).late(late)] == ["acknowledge"]
    assert Clock("sev1", NOON, mitigated_at=late).next_due(late) == NOON + timedelta(hours=4)
    assert Clock("sev1", NOON, closed_at=early).next_due() is None


def test_what_was_done_before_is_not_late_by_a_later_look() -> None:
    """A severity that is raised afterwards makes no breach of what was done in time."""
    clock = Clock("sev1", NOON, acknowledged_at=NOON + timedelta(minutes=10))

    assert clock.late(NOON + timedelta(minutes=20)) == []
