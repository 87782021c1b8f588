"""Acts on a claimed step run: prepare, intent, call (EXECUTION-SEMANTICS 6.4 to 6.6). Moves nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings

from connectors import dispatch
from connectors.base import EffectClass, Outcome, OutcomeKind, ProbeAnswer
from executions import failpoints, scripts, statements
from executions.engine.decisions import Kind
from executions.leases import Holding
from executions.performed import Performed, engine_failure
from executions.preparing import CannotPrepare, calls_of, shown_commands
from executions.services.children import start_child
from executions.services.claiming import Work

SIMULATED = {"simulated": True}


class Abandoned(Exception):
    """The lease is lost or a stop was asked for before anything was sent: nothing is recorded."""


def perform(work: Work, holding: Holding) -> Performed:
    """Carry out one attempt. Raises Abandoned when the intent finds another fence."""
    if work.execution.script is not None and work.run.kind != Kind.CONTROL and work.run.kind != Kind.CHILD:
        return _play(work)
    if work.run.kind == Kind.CONTROL:
        return Performed(Outcome(kind=OutcomeKind.COMPLETED))
    if work.run.kind == Kind.CHILD:
        return start_child(work)
    if work.execution.options.get("dry_run"):
        return Performed(Outcome(kind=OutcomeKind.COMPLETED, output=SIMULATED, sent=False))
    return _call(work, holding)


def _play(work: Work) -> Performed:
    """The fake connector plays its script; references are resolved all the same, so they can fail."""
    shown: Sequence[str] = ()
    if work.step.question is None:
        try:
            shown = shown_commands(work, calls_of(work))
        except CannotPrepare as error:
            return engine_failure(error.reason, str(error))
    entry = scripts.entry_of(work)
    result = dispatch.carry_out(
        dispatch.Plan(), fence=work.run.fence, headers={}, before_send=None, time_limit=_time_left(work), script=entry
    )
    outcome = replace(result.outcome, output=entry["verdict"]) if "verdict" in entry else result.outcome
    return Performed(outcome, effect_class="unsafe", commands_b64=shown)


def _call(work: Work, holding: Holding) -> Performed:
    try:
        calls = calls_of(work)
    except CannotPrepare as error:
        return engine_failure(error.reason, str(error))
    plan = dispatch.plan(tenant_id=work.execution.tenant_id, calls=calls)
    if plan.failure is not None:
        return Performed(plan.failure, facts=_facts(work, calls))
    failpoints.reach("after_prepare")
    performed = Performed(
        Outcome(kind=OutcomeKind.COMPLETED),
        effect_class=plan.effect.value,
        is_intended=plan.effect != EffectClass.READ,
        call_limit=plan.call_limit,
        settle=plan.settle,
        facts=_facts(work, calls),
    )
    probed = _probe_first(work, plan)
    if probed is not None:
        return replace(performed, outcome=probed)
    if plan.effect != EffectClass.READ:
        _intend(work, plan)
    result = dispatch.carry_out(
        plan,
        fence=work.run.fence,
        headers=_headers(work),
        before_send=holding.has_time_left,
        time_limit=_time_left(work),
        cancelled=holding.cancelled,
    )
    failpoints.reach("after_send")
    if result.was_stopped and not result.outcome.sent:
        raise Abandoned(holding.why)
    return replace(performed, outcome=result.outcome, calls=result.calls, commands_b64=shown_commands(work, calls))


def _intend(work: Work, plan: dispatch.Plan) -> None:
    failpoints.reach("before_intent_commit")
    noted = statements.note_intent(
        work.run, effect_class=plan.effect.value, valid_for=plan.key_valid_for, lease=settings.SALLYPORT_LEASE
    )
    if not noted:
        raise Abandoned("the lease is lost or the execution is stopping")
    failpoints.reach("after_intent")


def _probe_first(work: Work, plan: dispatch.Plan) -> Outcome | None:
    """Ask the far side before acting again on a step whose earlier effect nobody knows (S10 of ``probe``)."""
    if work.run.effect != "intended" or plan.effect != EffectClass.PROBE:
        return None
    since = statements.since_first_intent(work.run.id)
    answer, outcome = dispatch.probe(
        plan, fence=work.run.fence, headers=_headers(work), since=since, time_limit=_time_left(work)
    )
    if answer == ProbeAnswer.THERE:
        return outcome or Outcome(kind=OutcomeKind.COMPLETED)
    if answer == ProbeAnswer.NOT_THERE:
        return None
    return Outcome(kind=OutcomeKind.UNKNOWN, code="no_answer", message="the far side cannot tell whether it was done")


def _time_left(work: Work) -> timedelta:
    if work.run.deadline_at is None:
        return timedelta(hours=1)
    return max(work.run.deadline_at - statements.database_now(), timedelta(milliseconds=1))


def _headers(work: Work) -> dict[str, str]:
    run = work.run
    return {
        "X-Execution": str(run.execution_id),
        "X-Step-Run": str(run.id),
        "X-Attempt": str(run.fence),
        "X-Fence": str(run.fence),
    }


def _facts(work: Work, calls: list[dispatch.Call]) -> dict[str, Any]:
    """What a review shows: which step, which calls, where to; no argument that a secret could be in."""
    return {
        "step": work.run.step_id,
        "attempt": work.run.fence,
        "calls": [
            {
                "key": call.key,
                "operation": call.operation or call.command_type,
                "target": call.target.name if call.target else None,
            }
            for call in calls
        ],
    }
