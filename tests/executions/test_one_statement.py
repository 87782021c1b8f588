"""What one statement records and claims is what the usual way would have written, or nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import connection

from accounts.models import Tenant
from core.actors import SYSTEM
from executions import carry, performing, tasks
from executions.facts import StoredFacts
from executions.models import Attempt, Event, Execution, OutboxMessage, Scope, StepRun, WebhookTarget
from executions.preparing import calls_of
from executions.services import cancel_execution, carrying, pause_execution, set_cap
from executions.services.claiming import claim_step
from executions.tasks import run_from
from playbooks.cacao.types import OutputMapping, Step, StepType, Variable, Workflow
from tests.connectors.servers import Server
from tests.engine.test_decide import end, flow
from tests.executions.acting import change, events, post, run_of, state
from tests.executions.gating import LEAD, lift, switch_on
from tests.executions.histories import check_history
from tests.factories import NOON
from tests.flows.starting import Start, make_tenant, start_workflow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_end_of_the_slice(settings: Any) -> None:
    settings.SALLYPORT_SLICE = timedelta(minutes=5)


_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TWO = flow(post("a", on_success="b"), post("b"), end(), first="a")


def writing(name: str, **more: Any) -> Step:
    """A step that writes the status of its answer to a variable."""
    return post(name, outputs=(OutputMapping("__seen__", source="status"),), **more)


def fan_out(branches: int) -> Workflow:
    firsts = tuple(f"b{number}" for number in range(branches))
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=firsts, on_completion="last")
    steps = [writing(name, on_success=f"end-{name}") for name in firsts]
    ends = [end(f"end-{name}") for name in firsts]
    return flow(fork, *steps, *ends, post("last"), end(), first="fork", variables={"__seen__": Variable("__seen__")})


WORKFLOWS = {
    "one step": lambda: flow(post("a"), end(), first="a"),
    "two steps": lambda: TWO,
    "a variable": lambda: flow(
        writing("a", on_success="b"), post("b"), end(), first="a", variables={"__seen__": Variable("__seen__")}
    ),
    "nothing to do": lambda: flow(end(), first="end"),
    "branches": lambda: fan_out(5),
    "a delay": lambda: flow(post("a", on_success="b"), post("b", delay=timedelta(hours=1)), end(), first="a"),
}


def play(execution: Execution) -> None:
    """Carry an execution out, one nudge after the other, in the order in which its step runs were opened."""
    for _ in range(50):
        due = StepRun.objects.filter(execution=execution, status="pending").order_by("position").first()
        if due is None:
            return
        change(due.pk, "due_at = LEAST(due_at, clock_timestamp())")
        run_from(due.pk)
    raise AssertionError("the execution does not end")


def stored(execution: Execution) -> dict[str, Any]:
    """All that is stored of an execution, but for ids and times."""
    execution.refresh_from_db()
    names = dict(StepRun.objects.filter(execution=execution).values_list("pk", "step_id"))
    return {
        "execution": _plain(execution, leave={"number", "version_id", "playbook_id", "tenant_id"}),
        "runs": [_plain(run) for run in StepRun.objects.filter(execution=execution).order_by("position")],
        "scopes": [_plain(scope) for scope in Scope.objects.filter(execution=execution).order_by("path")],
        "attempts": [
            (names[found.step_run_id], _plain(found))
            for found in Attempt.objects.filter(step_run__execution=execution).order_by("step_run__position", "number")
        ],
        "events": [
            (found.seq, found.type, names.get(found.step_run_id), found.data)  # type: ignore[arg-type]
            for found in Event.objects.filter(execution=execution).order_by("seq")
        ],
    }


def _plain(row: Any, *, leave: set[str] = frozenset()) -> dict[str, Any]:  # type: ignore[assignment]
    found: dict[str, Any] = {}
    for field in row._meta.concrete_fields:
        value: Any = getattr(row, field.attname)
        is_time = field.get_internal_type() == "DateTimeField"
        if field.attname in leave or isinstance(value, UUID) or field.attname == "id":
            continue
        found[field.attname] = value is not None if is_time else value
    if "calls" in found:
        found["calls"] = [call | {"key": "", "milliseconds": 0, "destination": ""} for call in found["calls"]]
    if "needs" in found:
        found["needs"] = found["needs"] and len(found["needs"])
        found["note"] = _UUID.sub("-", json.dumps(found["note"]))
        found["result"] = found["result"] and {**found["result"], "output": bool(found["result"]["output"])}
    return found


@pytest.fixture
def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker looks for a branch that waits from the first one on, in place of somewhere among them."""
    monkeypatch.setattr(carrying, "_somewhere_beside", lambda *_: 1)


@pytest.fixture
def usual() -> Callable[[Execution], None]:
    """Play without the short way."""

    def run(execution: Execution) -> None:
        def take_up(step_run_id: UUID, *, worker: str) -> Any:
            return claim_step(step_run_id=step_run_id, worker=worker)

        with patch.object(tasks, "take_up", take_up), patch.object(carrying, "carry_on", lambda *_, **__: None):
            play(execution)

    return run


@pytest.mark.parametrize("name", WORKFLOWS)
@pytest.mark.usefixtures("in_order")
def test_both_ways_write_the_same(start: Start, effects: Server, usual: Callable[[Execution], None], name: str) -> None:
    with patch.object(carry, "record", wraps=carry.record) as records:
        short = start(WORKFLOWS[name]())
        play(short)
    long = start(WORKFLOWS[name]())
    usual(long)

    assert state(short)[0] == "completed"
    one, other = stored(short), stored(long)
    for table in one:
        for mine, theirs in zip(one[table], other[table], strict=True):
            assert mine == theirs
    assert one == other
    assert records.call_count > 0 or name == "nothing to do"
    check_history(short)


@pytest.mark.usefixtures("in_order")
def test_a_worker_that_ends_a_branch_takes_the_next_and_the_last_one_joins(start: Start, effects: Server) -> None:
    execution = start(fan_out(6))
    with patch.object(carrying, "claim_step", wraps=claim_step) as claims:
        run_from(run_of(execution, "start").pk)

    assert state(execution)[0] == "completed"
    assert claims.call_count == 0, "every branch was taken by the worker that ended the one before"
    assert len(effects.requests) == 7
    assert events(execution).count("execution.completed") == 1
    check_history(execution)


# -- what is not usual is left alone


def before_record(act: Callable[[Execution], None], execution: Execution) -> Any:
    """Let something happen between a call and its record."""
    real = carrying.carry_on
    done: list[bool] = []

    def late(work: Any, performed: Any, **more: Any) -> Any:
        if work.run.step_id == "a" and not done:
            done.append(True)
            act(execution)
        return real(work, performed, **more)

    return patch.object(carrying, "carry_on", late)


def pause(execution: Execution) -> None:
    pause_execution(execution=execution, actor=SYSTEM, now=NOON)


def cancel(execution: Execution) -> None:
    cancel_execution(execution=execution, actor=SYSTEM, now=NOON)


@pytest.mark.parametrize(("act", "ends"), [(pause, "paused"), (cancel, "cancelled")])
def test_nothing_is_claimed_after_a_pause_or_a_stop(
    start: Start, effects: Server, act: Callable[[Execution], None], ends: str
) -> None:
    execution = start(TWO)
    with before_record(act, execution):
        run_from(run_of(execution, "start").pk)

    assert state(execution)[0] == ends
    assert run_of(execution, "a").status == "completed"
    assert len(effects.requests) == 1
    check_history(execution)


def test_nothing_is_claimed_after_a_switch_or_over_a_cap(start: Start, effects: Server, tenant: Tenant) -> None:
    execution = start(TWO)
    with before_record(lambda _: switched.append(switch_on(tenant=tenant, kind="tenant")), execution):
        switched: list[Any] = []
        run_from(run_of(execution, "start").pk)
    assert (run_of(execution, "a").status, run_of(execution, "b").status) == ("completed", "pending")

    lift(switched[0])
    set_cap(tenant=tenant, kind="tenant", value="", most=1, actor=LEAD, now=NOON)
    run_from(run_of(execution, "b").pk)
    assert state(execution)[0] == "completed"
    check_history(execution)


def test_a_late_worker_writes_nothing(start: Start, effects: Server) -> None:
    """Its fence is gone when it comes to record; the one that follows is not disturbed."""
    execution = start(TWO)

    def lose_and_take(execution: Execution) -> None:
        run = run_of(execution, "a")
        change(run.pk, "status = 'pending', lease_until = NULL, worker = NULL, due_at = clock_timestamp()")
        assert claim_step(step_run_id=run.pk, worker="successor") is not None

    with before_record(lose_and_take, execution):
        run_from(run_of(execution, "start").pk)

    run = run_of(execution, "a")
    assert (run.status, run.fence, run.worker) == ("running", 2, "successor")
    assert events(execution)[-1] == "note.late"
    assert not StepRun.objects.filter(execution=execution, step_id="b").exists()


def test_whoever_is_told_of_an_end_is_told(start: Start, effects: Server, tenant: Tenant) -> None:
    target = WebhookTarget.objects.create(tenant=tenant, url="https://hooks.example.org/")
    execution = start(flow(post("a"), end(), first="a"))
    run_from(run_of(execution, "start").pk)

    assert state(execution)[0] == "completed"
    told = list(OutboxMessage.objects.filter(target=target).order_by("created_at").values_list("event", flat=True))
    assert told == ["playbook.started", "playbook.completed"]


def test_what_was_taken_since_it_was_seen_is_not_claimed(start: Start) -> None:
    execution = start(TWO)
    run = run_of(execution, "start").pk
    real = carry.look

    def seen_too_early(step_run: UUID) -> Any:
        found = real(step_run)
        assert claim_step(step_run_id=step_run, worker="first") is not None
        return found

    with patch.object(carry, "look", seen_too_early):
        assert carrying.take_up(run, worker="second") is None
    assert (run_of(execution, "start").fence, run_of(execution, "start").worker) == (1, "first")


def test_what_holds_an_execution_holds_its_claims(start: Start) -> None:
    execution = start(TWO)
    pause(execution)
    assert carrying.take_up(run_of(execution, "start").pk, worker="w") is None


def test_no_look_for_a_step_run_reads_those_beside_it(start: Start) -> None:
    """By its key: an index of the execution would read as many rows as it has steps."""
    with connection.cursor() as cursor:
        cursor.execute("SET plan_cache_mode = force_generic_plan")
        try:
            cursor.execute("EXPLAIN " + carry.LOOK.replace("%s", f"'{run_of(start(TWO), 'start').pk}'"))
            plan = "\n".join(row[0] for row in cursor.fetchall())
        finally:
            cursor.execute("RESET plan_cache_mode")
    assert "executions_steprun_pkey" in plan


def test_what_follows_sees_a_value_as_its_row_gives_it_back(start: Start, effects: Server) -> None:
    """PostgreSQL orders the members of an object anew; a second attempt, which reads the row, must say the same."""
    first = post("a", on_success="b", outputs=(OutputMapping("__all__", source="output"),))
    variables = {"__all__": Variable("__all__", type="dictionary")}
    execution = start(flow(first, post("b"), end(), first="a", variables=variables))
    seen: list[Any] = []
    real = carrying.carry_on

    def looked_at(work: Any, performed: Any, **more: Any) -> Any:
        if work.run.step_id == "b":
            seen.append(work.facts.scope("").variables)
        return real(work, performed, **more)

    with patch.object(carrying, "carry_on", looked_at):
        run_from(run_of(execution, "start").pk)

    fresh = StoredFacts(work_row(execution))
    root = fresh.scope("")
    assert root is not None
    assert json.dumps(seen[0], default=str) == json.dumps(root.variables, default=str)
    assert seen[0]["__all__"]


def work_row(execution: Execution) -> Any:
    from executions import statements

    return statements.lock_execution(execution.pk)


def test_no_read_follows_a_switch_that_stops_reads(start: Start, effects: Server, tenant: Tenant) -> None:
    execution = start(flow(post("a", on_success="b"), post("b", method="GET"), end(), first="a"))
    switches: list[Any] = []

    def prepared_late(work: Any) -> Any:
        if work.run.step_id == "b" and not switches:
            switches.append(switch_on(tenant=tenant, kind="tenant", blocks_reads=True))
        return calls_of(work)

    with patch.object(performing, "calls_of", prepared_late):
        run_from(run_of(execution, "start").pk)

    assert len(effects.requests) == 1
    assert run_of(execution, "b").status == "pending"


def test_an_old_mark_of_another_tenant_is_no_reason_to_yield(start: Start, effects: Server) -> None:
    """What went ahead and is held keeps its mark; nobody waits for it."""
    other = start_workflow(make_tenant(), TWO)
    columns = "goes_ahead = true, published_at = clock_timestamp() - interval '4 s', publications = 1"
    change(run_of(other, "start").pk, columns)
    pause(other)
    execution = start(TWO)
    with patch.object(carry, "record", wraps=carry.record) as records:
        run_from(run_of(execution, "start").pk)

    assert state(execution)[0] == "completed"
    assert records.call_count == 3
