"""What a far side calls back with: a step run that waits is completed, failed, tried again or lost (S13, S18, S19).

Everything here happens in the caller's turn; the step run was read under it, and is waiting.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection

from connectors.base import EffectClass, Outcome, OutcomeKind
from executions import payloads, phases, statements
from executions.engine.apart import Damaged
from executions.engine.decisions import Result
from executions.engine.outputs import OutputInvalid
from executions.engine.retrying import Next, Tried, follow_up
from executions.engine.statuses import StepStatus
from executions.facts import StoredFacts
from executions.models import Attempt, StepRun
from executions.payloads import TooLarge
from executions.services.answering import settle_waiting
from executions.services.following import REASONS
from executions.services.outputs import written_by
from executions.services.reviewing import open_review
from executions.turn import Turn
from playbooks.cacao.types import Step
from playbooks.selectors import workflow_by_id

#: attempts of a step run that were lost in a row; as many fail it
LOST_ATTEMPTS: Final = 3
#: settings of one step run: what its effect is now, that a try came to an outcome, and what is noted of it
NOTE = """
UPDATE executions_steprun
   SET effect = %s, tries = tries + %s, note = note || %s::jsonb, effective_class = COALESCE(%s, effective_class),
       first_intent_at = COALESCE(first_intent_at, %s)
 WHERE id = %s
"""


def waiting_run(turn: Turn, step_run_id: UUID, fence: int) -> StepRun | None:
    """Return the step run if this attempt of it still waits, locked."""
    runs = StepRun.objects.select_for_update().filter(pk=step_run_id, execution_id=turn.id)
    return runs.filter(status=StepStatus.WAITING.value, fence=fence).first()


def note_begun(turn: Turn, run: StepRun, effect_class: EffectClass) -> None:
    """The far side begins: from here on its effect may take place (6.5). Until then it had none."""
    if effect_class != EffectClass.READ:
        _note(run, effect="intended", effect_class=effect_class.value, at=turn.now)


def complete(turn: Turn, run: StepRun, outcome: Outcome, *, effect_class: EffectClass) -> None:
    """S13: the far side has done it. An output that does not fit its variables fails the step all the same (D26)."""
    workflow = workflow_by_id(turn.row.version_id)
    step = workflow.steps[run.step_id]
    effect = "none" if effect_class == EffectClass.READ else "applied"
    try:
        written = written_by(workflow, StoredFacts(turn.row), step, run.scope_path, outcome)
        note: dict[str, Any] = {"values": dict(written.values)} if phases.is_last(step, run.note) else {}
        if written.missing:
            note["output_missing"] = list(written.missing)
        _note(run, effect=effect, counts=True, note=note)
    except (OutputInvalid, TooLarge, Damaged) as error:
        _note(run, effect=effect, counts=True)
        settle_waiting(turn, run, result=Result(StepStatus.FAILED, error.reason, str(error)))
        return
    settle_waiting(turn, run, result=Result(StepStatus.COMPLETED, values=written.values), output=outcome.output)


def fail(turn: Turn, run: StepRun, outcome: Outcome, *, effect_class: EffectClass, output: Any = None) -> None:
    """S13 or S19: the far side says that it failed. ``output``: what it gave before, which is kept."""
    step = workflow_by_id(turn.row.version_id).steps[run.step_id]
    reason = outcome.code if outcome.code in REASONS else "command_failed"
    following = follow_up(
        Tried(
            effect_class=effect_class.value,
            tries=run.tries + 1,
            sent=outcome.sent,
            may_retry=outcome.retry,
            policy=step.retry,
        ),
        chance=random.random(),  # noqa: S311 (jitter, no secret)
    )
    if following.next == Next.RETRY:
        _retry(turn, run, reason, outcome.message, due_at=turn.now + following.delay)
        return
    did_nothing = not outcome.sent or effect_class == EffectClass.READ
    _note(run, effect="none" if did_nothing else "applied", counts=True)
    values = _kept(turn, step, run, output)
    settle_waiting(turn, run, result=Result(StepStatus.FAILED, reason, outcome.message, values=values))


def lose(turn: Turn, run: StepRun, *, effect_class: EffectClass, why: str, may_act_for: timedelta) -> None:
    """S18: the far side that had it is gone. What may be repeated is tried anew, the rest is put to a person.

    ``may_act_for``: how long one that was only frozen may still act beside its successor.
    """
    Attempt.objects.filter(step_run=run, number=run.fence).update(outcome="lost", message=why)
    lost = run.lost_attempts + 1
    StepRun.objects.filter(pk=run.pk).update(lost_attempts=lost)
    step = workflow_by_id(turn.row.version_id).steps[run.step_id]
    if not effect_class.is_repeatable and step.on_unknown != "fail":
        _put_to_a_person(turn, run, why=why, quarantine_until=turn.now + may_act_for)
    elif not effect_class.is_repeatable:
        settle_waiting(turn, run, result=Result(StepStatus.FAILED, "no_answer", why))
    elif lost >= LOST_ATTEMPTS:
        message = f"{lost} attempts were lost in a row"
        settle_waiting(turn, run, result=Result(StepStatus.FAILED, "poison", message))
    else:
        statements.move_step_run(run.pk, old=("waiting",), new="pending", due_at=turn.now, reason="lease_lost")
        turn.event("step.pending", run.pk, step=run.step_id, scope=run.scope_path, reason="lease_lost")
        turn.wakes_dispatcher = True
        turn.rest()


def keep_late(turn: Turn, step_run_id: UUID, fence: int, *, outcome: str, message: str) -> None:
    """Keep what came after the step run went on without it; it moves nothing (I5)."""
    note = {"outcome": outcome, "code": "", "message": message[:1_000], "sent": True}
    attempts = Attempt.objects.filter(step_run_id=step_run_id, number=fence, late_note__isnull=True)
    if attempts.update(late_note=note):
        turn.event("note.late", step_run_id, attempt=fence, outcome=outcome)


def _retry(turn: Turn, run: StepRun, reason: str, message: str, *, due_at: datetime) -> None:
    _note(run, effect="none", counts=True)
    statements.move_step_run(run.pk, old=("waiting",), new="retrying", reason=reason, message=message, due_at=due_at)
    data = {"step": run.step_id, "scope": run.scope_path, "attempt": run.fence, "reason": reason, "message": message}
    turn.event("step.retrying", run.pk, **data)
    turn.wakes_dispatcher = True
    turn.rest()


def _put_to_a_person(turn: Turn, run: StepRun, *, why: str, quarantine_until: datetime) -> None:
    statements.move_step_run(
        run.pk, old=("waiting",), new="uncertain", reason="no_answer", message=why, effect="unknown"
    )
    StepRun.objects.filter(pk=run.pk).update(quarantine_until=quarantine_until)
    turn.event("step.uncertain", run.pk, step=run.step_id, scope=run.scope_path, reason="no_answer")
    open_review(turn, run.pk, why=why)
    turn.rest()


def _kept(turn: Turn, step: Step, run: StepRun, output: Any) -> Mapping[str, Any]:
    """The variables of what was done before the failure; what does not fit is left out."""
    if not output:
        return {}
    workflow = workflow_by_id(turn.row.version_id)
    try:
        found = written_by(
            workflow, StoredFacts(turn.row), step, run.scope_path, Outcome(OutcomeKind.COMPLETED, output=output)
        )
    except (OutputInvalid, Damaged):
        return {}
    return found.values


def _note(
    run: StepRun,
    *,
    effect: str,
    counts: bool = False,
    note: dict[str, Any] | None = None,
    effect_class: str | None = None,
    at: datetime | None = None,
) -> None:
    """Write what is known of a step run beside its state. Raises TooLarge."""
    text = payloads.write(run.execution_id, note, depth=2) if note else "{}"
    with connection.cursor() as cursor:
        cursor.execute(NOTE, (effect, 1 if counts else 0, text, effect_class, at, run.pk))
    run.effect = effect
