"""What may keep a step run from starting: switches, caps and breakers, asked at the claim and before a call.

The usual path asks them all inside the statements of claim and intent. Only where one of them says no, or a cap is to
be counted, the slower path here is taken. What a gate holds back sends nothing and keeps no worker: it is handed back
with what its calls need written down, so that later claims are refused by the database until the gate opens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from connectors import registry
from connectors.base import EffectClass
from executions import breakers, caps, statements
from executions.performed import Abandoned, Gated
from executions.rows import StepRunRow
from executions.statements import Noted
from executions.switches import EFFECTS
from executions.turn import Turn

if TYPE_CHECKING:
    from connectors.dispatch import Plan

LOST = "the lease is lost or the execution is stopping"


def needs_of(plan: Plan) -> list[str]:
    """Return what a plan's calls go through, as it is stored: ``connector:http``, ``connection:<id>``, ``effects``."""
    needs = {EFFECTS} if plan.effect != EffectClass.READ else set()
    for call in plan.calls:
        needs |= {f"connector:{registry.connector_name(call.spec.name)}", f"effect_class:{call.effect}"}
        if call.connection is not None:
            needs.add(f"connection:{call.connection.pk}")
    return sorted(needs)


def claim_gated(turn: Turn, step_run: UUID, *, worker: str) -> StepRunRow | None:
    """Claim what the usual claim left: a due step run under a cap with a place. None where a gate is shut.

    A step run that is not claimed has used up its nudge: it is published again once nothing holds it back.
    """
    found = statements.lock_due(step_run)
    if found is None:
        return None  # somebody else has it, or it is not due
    due_at = breakers.next_at(found.needs)
    if due_at is not None:
        if statements.postpone(step_run, due_at=due_at, reason=breakers.REASON) and found.status == "pending":
            turn.event("step.retrying", step_run, step=found.step_id, scope=found.scope_path, reason=breakers.REASON)
        return None
    run = None
    if caps.lock_room(step_run):
        run = statements.claim(step_run, worker=worker, lease=settings.SALLYPORT_LEASE, has_place=True)
    if run is None:
        statements.await_publication(step_run)
    return run


def check_switches(run: StepRunRow, needs: Sequence[str]) -> None:
    """Raise Gated where a switch is on over what is about to be asked of a far side."""
    if statements.standing(run.id, needs).is_switched:
        raise Gated("switch", needs)


def enter_read(run: StepRunRow, needs: Sequence[str]) -> Noted:
    """Let a call through that notes no intent. Raises Gated, or Abandoned where the lease is lost."""
    standing = statements.standing(run.id, needs)
    if standing.is_switched:
        raise Gated("switch", needs)
    if standing.is_capped or standing.is_broken:
        return _enter(run, needs, lambda: statements.note_needs_of(run, needs))
    return Noted(standing.is_failing)


def enter(run: StepRunRow, needs: Sequence[str], **intent: Any) -> Noted:
    """Note the intent of a call. Raises Gated where a gate is shut, Abandoned where this fence may not act."""
    noted = statements.note_intent(run, needs=needs, **intent)
    if noted is not None:
        return noted
    standing = statements.standing(run.id, needs)
    if standing.is_switched:
        raise Gated("switch", needs)
    if not standing.is_capped and not standing.is_broken:
        raise Abandoned(LOST)
    return _enter(run, needs, lambda: statements.note_intent(run, needs=needs, has_place=True, **intent))


@transaction.atomic
def _enter(run: StepRunRow, needs: Sequence[str], note: Callable[[], Noted | None]) -> Noted:
    """Take a place under the caps and the turn of a breaker, and note the call, in one commit."""
    if not statements.may_act(run):
        raise Abandoned(LOST)
    statements.lock_run(run.id)
    if not caps.lock_room(run.id, needs=needs, kinds=("connection",)):
        raise Gated("cap", needs)
    due_at = breakers.take_turn(needs)
    if due_at is not None:
        raise Gated(breakers.REASON, needs, due_at=due_at)
    noted = note()
    if noted is None:
        raise Gated("switch", needs) if statements.standing(run.id, needs).is_switched else Abandoned(LOST)
    return Noted(noted.is_failing, frees_place=True)
