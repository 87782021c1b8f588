"""The key of a call is the same in every attempt of a visit, and another one for any other (I11)."""

from __future__ import annotations

from accounts.models import Tenant
from executions.models import Execution
from executions.tasks import run_from
from playbooks.cacao.types import AgentTarget, Command, Step, StepType, Workflow
from tests.connectors.servers import Reply, Server, ledger
from tests.engine.test_decide import end, flow
from tests.executions.acting import advance, change, connect, run_of, state
from tests.flows.starting import Start

CUT = Reply(manner="cut")


def calling(server: Server, *, commands: int, targets: int) -> Workflow:
    """A CACAO action that makes each of its commands on each of its targets."""
    names = tuple(f"t{number}" for number in range(targets))
    found = {
        name: AgentTarget(name, "http-api", name, properties={"address": {"url": [f"{server.url}/{name}"]}})
        for name in names
    }
    made = tuple(Command("http-api", text=f"POST /effect/c{number} HTTP/1.1") for number in range(commands))
    step = Step(id="a", type=StepType.ACTION, commands=made, targets=names, on_success="end")
    return flow(step, end(), first="a", targets=found)


def run(execution: Execution) -> str:
    change(run_of(execution, "a").pk, "due_at = clock_timestamp()")
    run_from(run_of(execution, "a").pk)
    return run_of(execution, "a").status


def keys(server: Server) -> list[str]:
    return [received.headers["idempotency-key"] for received in server.requests]


def test_one_call_has_the_step_runs_id_in_all_its_attempts(start: Start, effects: Server) -> None:
    execution = start(calling(effects, commands=1, targets=1))
    advance(execution, "start")
    effects.answers.extend([CUT, Reply(500)])

    assert [run(execution) for _ in range(3)] == ["retrying", "retrying", "completed"]
    assert keys(effects) == [str(run_of(execution, "a").pk)] * 3


def test_of_several_calls_each_has_the_numbers_of_command_and_target(start: Start, effects: Server) -> None:
    execution = start(calling(effects, commands=2, targets=2))
    advance(execution, "start")
    effects.answers.extend([Reply(200), Reply(200), CUT])

    assert [run(execution), run(execution)] == ["retrying", "completed"]
    own = str(run_of(execution, "a").pk)
    first = [f"{own}.1.1", f"{own}.1.2", f"{own}.2.1"]
    assert keys(effects) == [*first, *first, f"{own}.2.2"]


def test_a_step_that_did_some_of_its_calls_and_then_was_refused_says_so(start: Start, effects: Server) -> None:
    execution = start(calling(effects, commands=2, targets=1))
    advance(execution, "start")
    effects.answers.extend([Reply(200), Reply(403)])

    assert run(execution) == "failed"
    assert run_of(execution, "a").effect == "applied"


def test_two_visits_have_two_keys(start: Start, effects: Server, tenant: Tenant) -> None:
    with ledger() as server:
        connect(tenant, server)
        workflow = calling(server, commands=1, targets=1)
        for _ in range(2):
            execution = start(workflow)
            advance(execution, "start")
            run(execution)
            assert state(execution)[0] == "completed"

        assert len(set(keys(server))) == 2
