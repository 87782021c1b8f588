"""What a step run becomes after a try that did not complete."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.base import Outcome, OutcomeKind, ProbeAnswer
from executions.engine.retrying import DEFAULT_TRIES, Following, Next, Tried, follow_up
from executions.engine.statuses import StepStatus
from executions.performed import Performed
from executions.services.claiming import Work

#: reasons of CACAO.md 12.3 and contracts/s4e.md that a try may end with; anything else is command_failed
REASONS = frozenset(
    {
        "unresolved_variable",
        "unsafe_placeholder",
        "output_invalid",
        "no_target",
        "no_connection",
        "no_connector",
        "undefined_variable",
        "playbook_not_found",
        "argument_invalid",
        "child_failed",
        "condition_error",
        "rejected",
        "integrity",
        "limit",
    }
)


@dataclass(frozen=True)
class Ending:
    """The move of the step run. ``review``: why a person is asked, "" where nothing is unknown."""

    status: StepStatus
    reason: str = ""
    message: str = ""
    effect: str = "none"
    due_at: datetime | None = None
    review: str = ""


def ending_of(work: Work, performed: Performed, *, now: datetime) -> Ending:
    """Decide by the table of EXECUTION-SEMANTICS 7."""
    outcome = performed.outcome
    is_unknown = _is_unknown(work, performed)
    if outcome.code == "no_connection" and work.step.on_missing_connection == "skip":
        why = "The step is skipped, but an earlier try of it may have had its effect." if is_unknown else ""
        effect = "unknown" if is_unknown else _before(work)
        return Ending(StepStatus.SKIPPED, "no_connection", outcome.message, effect, review=why)
    if outcome.kind == OutcomeKind.EXPIRED:
        why = "The step's time was over while its call was under way." if is_unknown else ""
        return Ending(
            StepStatus.TIMED_OUT,
            "timed_out",
            outcome.message or "the step's deadline passed",
            "unknown" if is_unknown else _effect(work, performed),
            review=why,
        )
    following = follow_up(_tried(work, performed), chance=random.random())  # noqa: S311 (jitter, no secret)
    return _carried_out(work, performed, following, now=now, is_unknown=is_unknown)


def tries_allowed(work: Work) -> int:
    """Tries in all: the author's own policy, else ours."""
    return work.step.retry.attempts if work.step.retry else DEFAULT_TRIES


def _tried(work: Work, performed: Performed) -> Tried:
    outcome = performed.outcome
    effect_class = performed.effect_class or "read"
    valid_until = work.run.class_valid_until
    if effect_class == "keyed" and valid_until is not None and valid_until <= work.execution.now:
        effect_class = "unsafe"  # the far side has forgotten our key (ruling 9)
    return Tried(
        effect_class=effect_class,
        tries=work.run.tries + 1,
        sent=outcome.sent,
        answered=outcome.kind != OutcomeKind.UNKNOWN,
        may_be_there=_may_be_there(performed),
        cannot_tell=performed.probed == ProbeAnswer.CANNOT_TELL,
        may_retry=outcome.retry,
        wait_as_told=outcome.retry_at,
        policy=work.step.retry,
    )


def _carried_out(work: Work, performed: Performed, following: Following, *, now: datetime, is_unknown: bool) -> Ending:
    outcome = performed.outcome
    if following.next in (Next.RETRY, Next.PROBE):
        wait = max(following.delay, performed.settle if following.next == Next.PROBE else timedelta(0))
        # After a clear "no" there is nothing out there that a later try would have to look for.
        effect = "intended" if is_unknown or _did_something(performed) else _before(work)
        return Ending(StepStatus.RETRYING, _reason(outcome), _message(outcome), effect, due_at=now + wait)
    if following.next == Next.REVIEW:
        is_fail = work.step.on_unknown == "fail"
        return Ending(
            StepStatus.FAILED if is_fail else StepStatus.UNCERTAIN,
            "command_failed" if is_fail else "no_answer",
            _message(outcome),
            "unknown",
            review="The call was sent and no answer came.",
        )
    return Ending(
        StepStatus.FAILED,
        _reason(outcome),
        _message(outcome),
        "unknown" if is_unknown else _effect(work, performed),
        review="The step failed, and its effect may have taken place all the same." if is_unknown else "",
    )


def _is_unknown(work: Work, performed: Performed) -> bool:
    """True when an effect may be out there that nobody has seen: this try's, or an earlier one's (I9)."""
    earlier = work.run.effect in ("intended", "unknown") and performed.probed != ProbeAnswer.NOT_THERE
    return earlier or _may_be_there(performed)


def _may_be_there(performed: Performed) -> bool:
    """True when this try was sent and its end does not say that nothing took place."""
    outcome = performed.outcome
    was_sent = bool(performed.calls[-1]["sent"]) if performed.calls else outcome.sent
    if not performed.is_intended or not was_sent:
        return False
    if outcome.kind in (OutcomeKind.UNKNOWN, OutcomeKind.EXPIRED) or outcome.code == "bad_answer":
        return True
    # An exit code is a clear end; a far side that asks to wait, or says no for good, has not done it.
    return outcome.exit_code is None and outcome.retry is None and outcome.retry_at is None


def _did_something(performed: Performed) -> bool:
    """True when calls of this try before the last were carried out."""
    done = OutcomeKind.COMPLETED.value
    return any(call["outcome"] == done and call["effect_class"] != "read" for call in performed.calls)


def _effect(work: Work, performed: Performed) -> str:
    outcome = performed.outcome
    ran = outcome.sent and outcome.exit_code is not None and performed.effect_class not in ("", "read")
    return "applied" if ran or _did_something(performed) else _before(work)


def _before(work: Work) -> str:
    """What earlier commands of a step in phases have done."""
    return "applied" if work.run.effect == "applied" else "none"


def _reason(outcome: Outcome) -> str:
    return outcome.code if outcome.code in REASONS else "command_failed"


def _message(outcome: Outcome) -> str:
    return outcome.message if outcome.code in REASONS or not outcome.code else f"{outcome.code}: {outcome.message}"
