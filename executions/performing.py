"""Acts on a claimed step run: prepare, intent, call (EXECUTION-SEMANTICS 6.4 to 6.6). Moves nothing itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings

from connectors import dispatch
from connectors.base import EffectClass, Outcome, OutcomeKind, ProbeAnswer, failed, unknown
from core import failpoints
from executions import approving, breakers, draining, gates, phases, scripts, statements
from executions.engine.decisions import Kind
from executions.intended import calls_shown
from executions.leases import Holding
from executions.performed import Abandoned, Performed, engine_failure
from executions.preparing import CannotPrepare, calls_of, shown_commands
from executions.services.children import start_child
from executions.services.claiming import Work
from executions.services.following import tries_allowed
from executions.statements import Noted

log = logging.getLogger(__name__)

SIMULATED = {"simulated": True}


def perform(work: Work, holding: Holding) -> Performed:
    """Carry out one attempt. Raises Abandoned when the intent finds another fence, Gated when it may not call now."""
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
        dispatch.Plan(), fence=work.run.fence, headers={}, before_send=None, time_limit=work.time_left(), script=entry
    )
    outcome = replace(result.outcome, output=entry["verdict"]) if "verdict" in entry else result.outcome
    return Performed(outcome, effect_class="unsafe", commands_b64=shown)


def _call(work: Work, holding: Holding) -> Performed:
    if phases.person_next(work.step, work.run.note) is not None:
        return Performed(Outcome(kind=OutcomeKind.WAITING))  # for a person, whom the record asks
    try:
        calls = calls_of(work)
        shown = shown_commands(work, calls)
    except CannotPrepare as error:
        return engine_failure(error.reason, str(error))
    plan = dispatch.plan(tenant_id=work.execution.tenant_id, calls=calls)
    performed = Performed(
        plan.failure or Outcome(kind=OutcomeKind.COMPLETED),
        effect_class=plan.effect.value,
        call_limit=plan.call_limit,
        settle=plan.settle,
        commands_b64=shown,
    )
    if plan.failure is not None:
        return performed
    to_approve = approving.to_approve(work, plan)
    if to_approve is not None:
        return replace(performed, outcome=Outcome(kind=OutcomeKind.WAITING, sent=False), to_approve=to_approve)
    # From here on nothing is resolved again: what is called is the plan whose digest was compared (I15).
    failpoints.reach("after_prepare")
    _check_draining()
    performed = _look_back(work, plan, performed, holding)
    if performed.outcome.kind != OutcomeKind.COMPLETED or performed.probed == ProbeAnswer.THERE:
        return performed
    _check_draining()
    if plan.effect == EffectClass.READ:
        reaches_out = any(call.endpoints for call in plan.calls)
        is_asked = reaches_out or work.run.may_be_gated
        noted = gates.enter_read(work.run, gates.needs_of(plan)) if is_asked else Noted()
    else:
        noted = _intend(work, plan, calls_shown(work, calls, plan), holding)
    performed = replace(performed, is_intended=plan.effect != EffectClass.READ, frees_place=noted.frees_place)
    return _act(work, plan, performed, holding, is_failing=noted.is_failing)


def _check_draining() -> None:
    """A worker that ends begins no call: another one is rung for the step at once (S22)."""
    if draining.has_begun():
        raise Abandoned("the worker ends")


def _act(work: Work, plan: dispatch.Plan, performed: Performed, holding: Holding, *, is_failing: bool) -> Performed:
    try:
        result = dispatch.carry_out(
            plan,
            fence=work.run.fence,
            headers=_headers(work),
            before_send=holding.has_time_left,
            time_limit=work.time_left(),
            cancelled=holding,
        )
        failpoints.reach("after_send")
    except Exception as error:
        # Whatever broke on our side: something may have been sent, so nobody knows.
        log.exception("step.call_broken", extra={"step_run": str(work.run.id)})
        return replace(performed, outcome=unknown(f"The call broke on our side: {type(error).__name__}."))
    breakers.learn(plan, result, is_failing=is_failing)
    is_cut = holding.is_cut and not performed.is_intended
    if (is_cut or not result.outcome.sent) and (result.was_stopped or result.outcome.code == "lease_lost"):
        raise Abandoned(holding.why)
    return replace(performed, outcome=result.outcome, calls=result.calls)


def _intend(work: Work, plan: dispatch.Plan, shown: Sequence[Mapping[str, Any]], holding: Holding) -> Noted:
    failpoints.reach("before_intent_commit")
    asked_at = time.monotonic()
    noted = gates.enter(
        work.run,
        gates.needs_of(plan),
        effect_class=plan.effect.value,
        valid_for=plan.key_valid_for,
        call_limit=plan.call_limit,
        calls=shown,
        lease=settings.SALLYPORT_LEASE,
    )
    holding.intended(asked_at)
    failpoints.reach("after_intent")
    return noted


def _look_back(work: Work, plan: dispatch.Plan, performed: Performed, holding: Holding) -> Performed:
    """Before a step whose earlier effect nobody knows acts again: ask the far side, or see that it may not (S10, S11).

    An outcome other than completed ends this try without a call.
    """
    if work.run.effect != "intended":
        return performed
    if plan.effect == EffectClass.PROBE:
        gates.check_switches(work.run, gates.needs_of(plan))
        return _probe(work, plan, performed, holding)
    why = _may_not_repeat(work, plan)
    return replace(performed, outcome=unknown(why), effect_class="unsafe") if why else performed


def _may_not_repeat(work: Work, plan: dispatch.Plan) -> str:
    """Why an effect that was intended as repeatable is no longer so; "" where it is (ruling 9)."""
    run = work.run
    if run.effective_class in ("", "unsafe"):
        return ""  # again by the word of the author, or of a person
    if plan.effect == EffectClass.UNSAFE:
        return "The call that was made could be repeated; what would be called now may not."
    if run.class_valid_until is not None and run.class_valid_until <= work.execution.now:
        return "The far side no longer knows the key of the call that was made."
    return ""


def _probe(work: Work, plan: dispatch.Plan, performed: Performed, holding: Holding) -> Performed:
    since = statements.since_first_intent(work.run.id)
    answer, outcome = dispatch.probe(
        plan, fence=work.run.fence, headers=_headers(work), since=since, time_limit=work.time_left(), cancelled=holding
    )
    performed = replace(performed, probed=answer)
    if answer == ProbeAnswer.THERE:
        return replace(performed, outcome=outcome or Outcome(kind=OutcomeKind.COMPLETED))
    if answer == ProbeAnswer.CANNOT_TELL:
        if holding.is_set():
            raise Abandoned(holding.why)
        message = "The far side cannot tell whether it was done."
        return replace(performed, outcome=unknown(message), settle=max(plan.settle - since, timedelta(0)))
    if work.run.tries >= tries_allowed(work):
        message = f"It was not done in {work.run.tries} tries."
        return replace(performed, outcome=failed("no_answer", message, sent=False, retry=False))
    return performed


def _headers(work: Work) -> dict[str, str]:
    run = work.run
    return {
        "X-Execution": str(run.execution_id),
        "X-Step-Run": str(run.id),
        "X-Attempt": str(run.fence),
        "X-Fence": str(run.fence),
    }
