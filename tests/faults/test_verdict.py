"""The verdict sees what is wrong (a suite that cannot see a bug proves nothing): made-up evidence, one fault each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.evidence import AttemptRow, EventRow, Evidence, ExecutionRow, Line, ReviewRow, StepRow
from tests.faults.verdict import Fault, judge

EXECUTION, STEP = "e-1", "s-1"


def one(kind: str = "keyed", *, status: str = "completed", effect: str = "applied") -> Evidence:
    """An execution of one step that asked the ledger once: nothing is wrong with it."""
    word = "step.completed" if status == "completed" else f"step.{status}"
    events = ["execution.started", "step.pending", "step.claimed", word]
    is_over = status not in ("uncertain", "pending", "running", "waiting")
    events += ["execution.completed"] if is_over else ["execution.paused"]
    return Evidence(
        accepted=[EXECUTION],
        lines=[Line(STEP, EXECUTION, 1, STEP, "unkeyed" if kind == "unsafe" else "keyed", "ok", True, 10.5, 1)],
        executions=[ExecutionRow(EXECUTION, "completed" if is_over else "paused", last_seq=5)],
        steps=[StepRow(STEP, EXECUTION, f"{kind}-1", "act", status, effect=effect)],
        attempts=[AttemptRow(STEP, 1, "host:1:1", 10.0, 11.0, "completed")],
        events=[
            EventRow(EXECUTION, seq, type_, STEP if type_.startswith("step") else "")
            for seq, type_ in enumerate(events, start=1)
        ],
    )


def figures(found: Evidence) -> set[str]:
    return {violation.figure for violation in judge(found).violations}


@pytest.mark.parametrize("kind", ["keyed", "idempotent", "probe", "unsafe"])
def test_nothing_is_found_where_nothing_is_wrong(kind: str) -> None:
    verdict = judge(one(kind))
    assert verdict.violations == []
    assert (verdict.lost, verdict.doubled, verdict.resent, verdict.steps) == (0, 0, 0, 1)


def test_an_accepted_execution_that_is_not_there_is_lost() -> None:
    found = one()
    found.accepted.append("e-2")
    assert judge(found).lost == 1


@pytest.mark.parametrize("status", ["pending", "running", "waiting"])
def test_an_execution_that_waits_for_nothing_listed_is_lost(status: str) -> None:
    found = one(status=status)
    found.lines.clear()
    assert judge(found).lost == 1


def test_an_uncertain_step_with_an_open_review_waits_and_one_without_is_lost() -> None:
    found = one("unsafe", status="uncertain", effect="unknown")
    assert judge(found).lost == 1
    found.reviews = [ReviewRow(STEP, "open")]
    verdict = judge(found)
    assert (verdict.violations, verdict.waiting, verdict.uncertain, verdict.uncertain_applied) == ([], 1, 1, 1)


def test_a_parent_waits_with_its_child_and_is_lost_with_it() -> None:
    found = one("unsafe", status="uncertain", effect="unknown")
    found.reviews = [ReviewRow(STEP, "open")]
    found.executions = [
        replace(found.executions[0], parent_step_run="s-0"),
        ExecutionRow("e-0", "paused", last_seq=4),
    ]
    found.accepted = ["e-0"]
    found.steps.append(StepRow("s-0", "e-0", "child-1", "child", "waiting"))
    types = ("execution.started", "step.pending", "step.claimed", "step.waiting")
    found.events += [
        EventRow("e-0", seq, type_, "s-0" if type_.startswith("step") else "") for seq, type_ in enumerate(types, 1)
    ]
    found.executions[1] = replace(found.executions[1], status="running")
    assert judge(found).violations == []
    found.reviews.clear()
    assert judge(found).lost == 2


@pytest.mark.parametrize("kind", ["keyed", "idempotent", "probe"])
def test_two_effects_under_one_key_are_doubled(kind: str) -> None:
    found = one(kind)
    found.lines.append(replace(found.lines[0], line=2))
    verdict = judge(found)
    assert (verdict.doubled, verdict.resent, figures(found)) == (1, 1, {"doubled"})


def test_a_second_request_without_an_effect_is_only_resent() -> None:
    found = one()
    found.lines.append(replace(found.lines[0], applied=False, line=2))
    verdict = judge(found)
    assert (verdict.resent, verdict.violations) == (1, [])


def test_a_completed_step_that_took_no_effect_is_a_phantom() -> None:
    found = one()
    found.lines = [replace(found.lines[0], applied=False)]
    assert figures(found) == {"phantom"}


def test_an_unsafe_step_that_was_requested_again_by_itself_is_unordered() -> None:
    found = one("unsafe")
    found.lines.append(replace(found.lines[0], applied=False, line=2))
    assert judge(found).unordered == 1


@pytest.mark.parametrize(("review", "status"), [("again", None), ("", 429)])
def test_an_unsafe_step_is_requested_again_by_order_of_a_person_or_of_the_far_side(
    review: str, status: int | None
) -> None:
    found = one("unsafe")
    found.lines.insert(0, replace(found.lines[0], applied=False, line=0))
    found.reviews = [ReviewRow(STEP, "resolved", review)] if review else []
    found.attempts = [replace(found.attempts[0], calls=(status,) if status else ())]
    assert judge(found).violations == []


@pytest.mark.parametrize(("effect", "reviews"), [("unknown", []), ("none", [ReviewRow(STEP, "open")])])
def test_an_effect_that_is_neither_recorded_nor_reviewed_is_unflagged(effect: str, reviews: list[ReviewRow]) -> None:
    found = one(status="failed", effect=effect)
    found.reviews = reviews
    assert judge(found).unflagged == 1


def test_an_effect_of_a_failed_step_is_flagged_by_its_review() -> None:
    found = one(status="failed", effect="unknown")
    found.reviews = [ReviewRow(STEP, "open")]
    assert judge(found).violations == []


@pytest.mark.parametrize(
    ("changed", "figure"),
    [
        ({"attempt": 2}, "stray"),
        ({"step_run": "s-9"}, "stray"),
        ({"wall": 5.0}, "lease"),
        ({"wall": 60.0}, "lease"),
        ({"key": "another"}, "key"),
    ],
)
def test_a_request_that_no_attempt_explains_is_found(changed: dict[str, object], figure: str) -> None:
    found = one()
    found.lines.append(replace(found.lines[0], applied=False, line=2, **changed))  # type: ignore[arg-type]
    assert figure in figures(found)


def test_an_old_attempt_that_takes_effect_after_a_newer_one_is_found() -> None:
    found = one("probe")
    found.attempts.append(replace(found.attempts[0], number=2))
    found.lines = [replace(found.lines[0], attempt=2, handling="slack"), replace(found.lines[0], handling="slack")]
    assert "fence" in figures(found)


def test_a_key_of_two_step_runs_is_found() -> None:
    found = one()
    found.lines.append(replace(found.lines[0], step_run="s-2", key=STEP, line=2))
    assert "key" in figures(found)


def test_a_gap_in_the_events_is_found() -> None:
    found = one()
    del found.events[1]
    assert "events" in figures(found)


def test_events_that_do_not_lead_to_the_rows_are_found() -> None:
    found = one(status="failed", effect="none")
    found.lines = [replace(found.lines[0], applied=False)]
    found.events[3] = replace(found.events[3], type="step.completed")
    assert figures(found) == {"events"}


def test_an_illegal_move_is_found() -> None:
    found = one()
    found.events[2] = replace(found.events[2], type="step.skipped")
    assert "move" in figures(found)


def test_what_is_left_behind_is_found() -> None:
    found = one()
    found.asked = {STEP}
    found.unsent = 1
    found.alarms = ["alarm.orphan"]
    found.reviews = [ReviewRow("s-9", "open")]
    assert len([each for each in judge(found).violations if each.figure == "orphan"]) == 4


def test_a_secret_that_can_be_read_is_found() -> None:
    found = one()
    found.canaries = ["event 7"]
    assert figures(found) == {"secret"}


def test_recovery_is_from_the_fault_to_the_next_claim_of_what_was_held() -> None:
    found = one()
    found.attempts = [
        AttemptRow(STEP, 1, "host:1:1", 10.0, 16.0, "lost"),
        AttemptRow(STEP, 2, "host:2:1", 17.5, 18.0, "completed"),
        AttemptRow("s-2", 1, "host:2:2", 10.0, 30.0, "completed"),
    ]
    assert judge(found, [Fault(12.0, "SIGKILL", ("host:1:",))]).recoveries == [5.5]
    assert judge(found, [Fault(12.0, "stop")]).recoveries == [18.0]
    assert judge(found, [Fault(50.0, "stop")]).recoveries == []


def test_recovery_of_nudges_is_the_first_claim_of_what_was_there() -> None:
    found = one()
    found.steps = [replace(found.steps[0], created_at=9.0)]
    assert judge(found, [Fault(9.5, "FLUSHALL", recovers="nudged")]).recoveries == [0.5]
    assert judge(found, [Fault(8.0, "FLUSHALL", recovers="nudged")]).recoveries == []
