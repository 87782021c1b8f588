"""What tests of switches, caps and breakers do: set and lift them, run one step, ask the far side for a read."""

from __future__ import annotations

from typing import Any

from accounts.models import Tenant
from connectors.models import Connection
from core.actors import Actor, ActorKind
from executions.gate_models import Switch
from executions.models import Execution, StepRun
from executions.services import lift_switch, set_switch
from executions.tasks import run_from
from playbooks.cacao.types import Step
from tests.executions.acting import advance, one_step, post, run_of
from tests.factories import NOON
from tests.flows.starting import Start

LEAD = Actor(kind=ActorKind.USER, id="l", name="lead", permissions=frozenset({"settings:write"}))
OPERATOR = Actor(
    kind=ActorKind.USER,
    id="p",
    name="operator",
    permissions=frozenset({"settings:write", "tenant:write"}),
    roles=frozenset({"platform_admin"}),
)

GET = post("p", "/effect/any", method="GET")


def switch_on(tenant: Tenant | None, kind: str, value: str = "", **more: Any) -> Switch:
    return set_switch(tenant=tenant, kind=kind, value=value, reason="a drill", actor=OPERATOR, now=NOON, **more)


def lift(switch: Switch) -> Switch:
    return lift_switch(switch=switch, reason="over", actor=OPERATOR, now=NOON)


def ledger_of(tenant: Tenant) -> Connection:
    return Connection.objects.get(tenant=tenant, name="ledger")


def at_step(start: Start, step: Step | None = None) -> Execution:
    """An execution whose step ``p`` is to be claimed next."""
    execution = start(one_step(step or post("p")))
    advance(execution, "start")
    return execution


def go(execution: Execution, step: str = "p") -> StepRun:
    """Let a worker act on a step, if it can be claimed."""
    run_from(run_of(execution, step).pk)
    return run_of(execution, step)
