"""From the prepared calls of a step to one outcome: plan, carry out, ask whether it happened.

``plan`` chooses and opens nothing. ``carry_out`` opens the secrets of one attempt, runs the connectors on the loop
thread, and gives back outcome and records without those secrets. All of it may be called from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

import jsonschema_rs

from connectors import attempts, opening, registry, routing, selectors
from connectors.attempts import Attempt
from connectors.base import EffectClass, OperationSpec, Outcome, OutcomeKind, ProbeAnswer, failed, weakest
from connectors.fake.connector import scripted
from connectors.fin.planning import plan_for as plan_for_fin
from connectors.models import Connection
from connectors.planning import Call, Destination, Plan, PlannedCall
from connectors.watching import watcher
from core.errors import Invalid
from core.secrets import Secret

__all__ = ["Call", "Destination", "Plan", "Result", "argument_fault", "carry_out", "plan", "probe", "secrets_of"]


@dataclass(frozen=True)
class Result:
    """``outcome`` of the step; ``calls``: one JSON record for each call made, for the attempt's row. Both scrubbed.

    ``was_stopped``: the stop signal ended it. ``is_scrubbed``: a secret was found in what came back, and is stars now.
    """

    outcome: Outcome
    calls: tuple[Mapping[str, Any], ...] = ()
    was_stopped: bool = False
    is_scrubbed: bool = False


class ArgumentInvalid(Invalid):
    """An operation's arguments do not fit what it declares."""

    code = "argument_invalid"


class NoConnector(Invalid):
    """Nothing installed carries this out."""

    code = "no_connector"


def plan(*, tenant_id: UUID, calls: Sequence[Call]) -> Plan:
    """Choose operation, connection, address and effect class of each call. Opens no secret, reaches nothing.

    What cannot be sent gives a plan with ``failure``: no_connector, no_connection, no_target, destination_refused,
    argument_invalid, command_invalid or unsafe_placeholder, ``sent`` False, never retried.
    """
    try:
        for_fin = plan_for_fin(tenant_id, calls)
        if for_fin is not None:
            return for_fin
        specs = [_spec_of(call) for call in calls]
        needs_connection = any(spec.connection_kind for spec in specs)
        connections = selectors.as_they_are(tenant_id) if needs_connection else []
        planned = tuple(_planned(call, spec, connections) for call, spec in zip(calls, specs, strict=True))
    except Invalid as error:
        return Plan(failure=failed(error.code, error.message, sent=False, retry=False))
    valid_for = [_key_valid_for(call) for call in planned if call.effect is EffectClass.KEYED]
    return Plan(
        calls=planned,
        effect=weakest([call.effect for call in planned]),
        key_valid_for=min((span for span in valid_for if span), default=None),
        settle=max((call.spec.settle for call in planned), default=timedelta(0)),
        call_limit=max((attempts.call_limit(call) for call in planned), default=timedelta(0)),
    )


def carry_out(
    plan: Plan,
    *,
    fence: int,
    headers: Mapping[str, str],
    before_send: Callable[[], bool] | None,
    time_limit: timedelta,
    cancelled: threading.Event | None = None,
    script: Mapping[str, Any] | None = None,
) -> Result:
    """Make the calls in order; the first that does not complete ends them (D19). Blocks until then.

    ``time_limit``: time left to the step's deadline; reaching it gives the outcome ``expired``. Each call has its own
    limit beside it; reaching that gives ``unknown`` once something was sent. ``before_send`` is asked before the first
    byte of each call; False ends the attempt. ``script``: the outcome to play instead, where the fake connector is
    allowed; a plan's failure does not count then.
    """
    if script is not None:
        return Result(_played(script))
    if plan.failure is not None:
        return Result(plan.failure)
    attempt = Attempt(fence=fence, headers=headers, before_send=before_send, time_limit=time_limit, stop=cancelled)
    outcome = failed("no_connector", "The step has nothing to carry out.", sent=False, retry=False)
    sent = False
    for call in plan.calls:
        outcome = attempt.carry_out(call)
        sent = sent or outcome.sent
        if outcome.kind is not OutcomeKind.COMPLETED:
            break
    # An earlier call of the step may have had its effect, so the step as a whole counts as sent.
    outcome, calls, is_scrubbed = attempt.scrubbed(replace(outcome, sent=sent))
    return Result(outcome, calls, attempt.was_stopped, is_scrubbed)


def secrets_of(plan: Plan) -> list[Secret]:
    """Return the secrets that the calls of a plan use, for taking them out of what is shown of it.

    Raises SecretUnreadable, MasterKeyMissing.
    """
    return [secret for call in plan.calls for secret in opening.all_of(call.credential)]


def probe(
    plan: Plan,
    *,
    fence: int,
    headers: Mapping[str, str],
    since: timedelta,
    time_limit: timedelta,
    cancelled: threading.Event | None = None,
) -> tuple[ProbeAnswer, Outcome | None]:
    """Ask the far side whether the effect of the plan's keys is there. With *there*, the outcome it would have had.

    ``since``: how long ago the effect was intended. Until the far side's index has settled, *not there* is no answer.
    Calls are made in order, so a last one that is there speaks for those before it.
    """
    asked = [call for call in plan.calls if call.spec.probe]
    if plan.failure is not None or not asked:
        return ProbeAnswer.CANNOT_TELL, plan.failure
    attempt = Attempt(fence=fence, headers=headers, before_send=None, time_limit=time_limit, stop=cancelled)
    answers = [attempt.probe(call) for call in asked]
    last, outcome = answers[-1]
    if last is ProbeAnswer.THERE and asked[-1] is plan.calls[-1]:
        return last, attempt.scrubbed(outcome)[0] if outcome is not None else None
    if since >= plan.settle and all(answer is ProbeAnswer.NOT_THERE for answer, _ in answers):
        return ProbeAnswer.NOT_THERE, None
    return ProbeAnswer.CANNOT_TELL, None


def _played(script: Mapping[str, Any]) -> Outcome:
    if "fake.run" not in registry.operations():
        return failed("no_connector", "Scripted outcomes are not allowed here.", sent=False, retry=False)
    return scripted(script)


def _spec_of(call: Call) -> OperationSpec:
    name = call.operation or registry.command_types().get(call.command_type or "")
    spec = registry.operations().get(name) if name else None
    if spec is None or registry.connector_of(spec.name) is None:
        raise NoConnector(f"No connector here carries out {call.operation or call.command_type!r}.")
    return spec


def _planned(call: Call, spec: OperationSpec, connections: Sequence[Connection]) -> PlannedCall:
    arguments = dict(call.arguments)
    if call.operation is not None:
        _check_arguments(spec, arguments)
        call = replace(call, connection=arguments.pop("connection", None) or call.connection)
    if spec.connection_kind is None:
        return PlannedCall(call.key, spec, arguments, spec.effect)
    try:
        route = routing.route(call, kind=spec.connection_kind, connections=connections, is_toolkit=bool(spec.toolkit))
    except routing.NotRouted as error:
        if spec.toolkit and error.code == "no_connection":
            watcher().missing(call, spec, error.message)
        raise
    first = route.endpoints[0]
    if spec.check is not None:
        spec.check(arguments, first)
    return PlannedCall(
        key=call.key,
        spec=spec,
        arguments=arguments,
        effect=spec.effect_of(arguments, first) if spec.effect_of else spec.effect,
        endpoints=route.endpoints,
        credential=route.credential,
        connection=route.connection,
        destination=route.destination,
    )


def _check_arguments(spec: OperationSpec, arguments: Mapping[str, Any]) -> None:
    """Refuse what the operation's input schema refuses. The message names the argument, never its value."""
    fault = argument_fault(spec.name, arguments)
    if fault is not None:
        raise ArgumentInvalid(f"{spec.reference or spec.name}: {fault[0] or 'arguments'}: {fault[1]}")


def argument_fault(operation: str, arguments: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return where an operation's arguments do not fit and which rule they break; None where they do."""
    error = next(_validator(operation).iter_errors(dict(arguments)), None)
    return None if error is None else (".".join(str(step) for step in error.instance_path), _reason(error))


def _reason(error: jsonschema_rs.ValidationError) -> str:
    return f"does not fit the rule {'/'.join(str(step) for step in error.schema_path)}"


@cache
def _validator(operation: str) -> jsonschema_rs.Validator:
    schema = registry.operations()[operation].inputs
    return jsonschema_rs.validator_for(dict(schema) if schema else {"type": "object"})


def _key_valid_for(call: PlannedCall) -> timedelta | None:
    seconds = call.endpoints[0].settings.get("key_valid_for") if call.endpoints else None
    return timedelta(seconds=seconds) if isinstance(seconds, int | float) and seconds > 0 else call.spec.key_valid_for
