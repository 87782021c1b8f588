"""A step whose commands are partly a machine's and partly a person's (CACAO.md D16, D19)."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Tenant
from core.actors import Actor, ActorKind
from executions.models import Execution, StepRun
from executions.selectors import final_variables
from executions.services import answer_request
from manual.models import ManualRequest
from manual.services import Answer
from playbooks.cacao.types import AgentTarget, Command, Step, StepType, Variable, Workflow
from tests.connectors.servers import Server, echo
from tests.engine.test_decide import end, flow
from tests.factories import ConnectionFactory
from tests.flows.starting import Start

PERSON = Actor(kind=ActorKind.USER, id="u", name="someone", permissions=frozenset({"manual:respond"}))


def _http(path: str) -> Command:
    return Command("http-api", text=f"GET {path} HTTP/1.1")


def _mixed(server: Server) -> Workflow:
    step = Step(
        id="mixed",
        type=StepType.ACTION,
        commands=(_http("/first"), Command("manual", text="Look at it", for_people=True), _http("/last")),
        targets=("there",),
        out_args=("__seen__",),
        on_success="end",
    )
    target = AgentTarget("there", "http-api", "far side", properties={"address": {"url": [server.url]}})
    return flow(step, end(), first="mixed", variables={"__seen__": Variable("__seen__")}, targets={"there": target})


@pytest.fixture
def far_side(tenant: Tenant, settings: Any) -> Any:
    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    with echo() as server:
        ConnectionFactory(tenant=tenant, name="far side", url=server.url)
        yield server


def test_the_commands_are_carried_out_in_order_and_a_person_is_asked_in_between(
    start: Start, run_to_end: Any, far_side: Server
) -> None:
    execution: Execution = run_to_end(start(_mixed(far_side)))
    assert [received.path for received in far_side.requests] == ["/first"]
    request = ManualRequest.objects.get(execution=execution, status="open")
    assert (request.text, list(request.out_args)) == ("Look at it", ["__seen__"])
    assert execution.status == "paused"

    answer = Answer(success=True, values={"__seen__": "yes"})
    answer_request(request=request, answer=answer, actor=PERSON, now=timezone.now())
    run_to_end(execution)

    assert [received.path for received in far_side.requests] == ["/first", "/last"]
    assert execution.status == "completed"
    assert StepRun.objects.get(execution=execution, step_id="mixed").status == "completed"


def test_a_person_who_reports_failure_ends_the_step_there(start: Start, run_to_end: Any, far_side: Server) -> None:
    execution: Execution = run_to_end(start(_mixed(far_side)))
    request = ManualRequest.objects.get(execution=execution, status="open")

    answer_request(request=request, answer=Answer(success=False), actor=PERSON, now=timezone.now())
    run_to_end(execution)

    assert [received.path for received in far_side.requests] == ["/first"]
    assert (execution.status, execution.reason) == ("failed", "command_failed")
    assert final_variables(execution) == {"__seen__": None}
