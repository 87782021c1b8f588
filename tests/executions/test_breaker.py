"""The circuit breaker of a connection: its calls wait while the far side fails, and no try of a step is used up."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from accounts.models import Tenant
from core.errors import Conflict, Forbidden
from executions import breakers
from executions.gate_models import Breaker
from executions.models import Execution, StepRun
from executions.services import close_breaker
from executions.services.sweeping import sweep_once
from playbooks.cacao.types import RetryPolicy
from tests.connectors.servers import Reply, Server, json_reply, ledger
from tests.executions.acting import attempts, change, connect, post, run_of, state
from tests.executions.gating import GET, LEAD, at_step, go, ledger_of
from tests.executions.histories import check_history
from tests.flows.starting import Start

BROKEN, CUT, MISSING = Reply(500), Reply(manner="cut"), Reply(404)
FIVE = 5
#: so that every failure ends its step and each execution is one call
ONCE = post("p", retry=RetryPolicy(attempts=1))


def breaker(tenant: Tenant) -> Breaker:
    return Breaker.objects.get(connection=ledger_of(tenant))


def fail(start: Start, effects: Server, times: int, reply: Reply = BROKEN) -> None:
    for _ in range(times):
        effects.answers.append(reply)
        go(at_step(start, ONCE))


def waits_for(tenant: Tenant, run: StepRun) -> bool:
    next_at = breaker(tenant).next_at
    return run.due_at is not None and next_at is not None and run.due_at >= next_at


def come(tenant: Tenant) -> None:
    """The pause of the breaker is over."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE executions_breaker SET next_at = clock_timestamp() - interval '1 ms' WHERE tenant_id = %s",
            (tenant.pk,),
        )


def due(execution: Execution) -> None:
    change(run_of(execution, "p").pk, "due_at = clock_timestamp()")


@pytest.mark.parametrize("reply", [BROKEN, CUT])
def test_it_opens_after_five_failures_in_a_row_and_calls_wait(
    start: Start, tenant: Tenant, effects: Server, reply: Reply
) -> None:
    fail(start, effects, FIVE - 1, reply)
    assert breaker(tenant).state == "closed"
    fail(start, effects, 1, reply)
    assert (breaker(tenant).state, breaker(tenant).failures) == ("open", FIVE)
    made = len(effects.requests)

    execution = at_step(start)
    held = go(execution)
    assert (held.status, held.reason, held.tries, held.effect) == ("retrying", "breaker", 0, "none")
    assert waits_for(tenant, held)
    assert attempts(execution, "p") == ["abandoned"]
    assert len(effects.requests) == made
    check_history(execution)


def test_what_is_known_to_need_it_is_not_even_claimed(start: Start, tenant: Tenant, effects: Server) -> None:
    execution, again = at_step(start), at_step(start)
    for found in (execution, again):
        change(run_of(found, "p").pk, f"needs = '{{connection:{ledger_of(tenant).pk}}}'")
    fail(start, effects, FIVE)
    held = go(execution)
    assert (held.status, held.reason, held.fence) == ("retrying", "breaker", 0)

    due(execution)
    later = go(execution)
    assert (later.status, later.fence) == ("retrying", 0)
    assert waits_for(tenant, later)
    check_history(execution)


def test_nobody_answers_where_nothing_listens(start: Start, tenant: Tenant, settings: Any) -> None:
    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    with ledger() as gone:
        connect(tenant, gone)
    for _ in range(FIVE):
        go(at_step(start, ONCE))

    assert (breaker(tenant).state, breaker(tenant).last_code) == ("open", "connect_failed")


def test_a_clear_no_is_an_answer(start: Start, tenant: Tenant, effects: Server) -> None:
    fail(start, effects, FIVE - 1)
    fail(start, effects, 1, MISSING)
    assert (breaker(tenant).state, breaker(tenant).failures) == ("closed", 0)
    fail(start, effects, 2 * FIVE, MISSING)

    assert breaker(tenant).state == "closed"


def test_without_failures_there_is_none(start: Start, tenant: Tenant, effects: Server) -> None:
    assert go(at_step(start)).status == "completed"
    assert not Breaker.objects.exists()


@pytest.mark.parametrize("step", [post("p"), GET])
def test_after_the_pause_one_attempt_tries_and_its_success_closes_it(
    start: Start, tenant: Tenant, effects: Server, step: Any
) -> None:
    fail(start, effects, FIVE)
    waiting = at_step(start)
    go(waiting)
    come(tenant)
    needs = [f"connection:{ledger_of(tenant).pk}"]
    assert breakers.take_turn(needs) is None
    assert breaker(tenant).state == "half_open"
    assert breakers.take_turn(needs) is not None, "one tries at a time"
    assert go(at_step(start)).reason == "breaker"

    come(tenant)  # the one that tried was lost
    effects.answers.append(json_reply({}))
    assert go(at_step(start, step)).status == "completed"
    assert (breaker(tenant).state, breaker(tenant).failures, breaker(tenant).next_at) == ("closed", 0, None)
    assert go(waiting).status == "completed", "what waited need not wait any longer"


def test_a_failed_try_opens_it_again(start: Start, tenant: Tenant, effects: Server) -> None:
    fail(start, effects, FIVE)
    come(tenant)
    fail(start, effects, 1)

    assert breaker(tenant).state == "open"
    assert go(at_step(start)).reason == "breaker"


def test_the_tries_of_a_step_are_counted_without_those_that_were_held_back(
    start: Start, tenant: Tenant, effects: Server
) -> None:
    execution = at_step(start, post("p"))
    effects.answers.append(BROKEN)
    go(execution)
    fail(start, effects, FIVE - 1)
    for _ in range(4):
        due(execution)
        assert go(execution).tries == 1
    come(tenant)
    due(execution)

    assert go(execution).status == "completed"
    assert run_of(execution, "p").tries == 2


def test_the_deadline_of_a_step_that_waits_goes_on(start: Start, tenant: Tenant, effects: Server) -> None:
    fail(start, effects, FIVE)
    execution = at_step(start)
    go(execution)
    change(run_of(execution, "p").pk, "deadline_at = clock_timestamp() - interval '1 ms'")
    sweep_once()

    assert run_of(execution, "p").status == "timed_out"
    assert state(execution)[0] == "failed"


def test_the_numbers_are_settings(start: Start, tenant: Tenant, effects: Server, settings: Any) -> None:
    settings.SALLYPORT_BREAKER_FAILURES = 1
    settings.SALLYPORT_BREAKER_PAUSE = settings.SALLYPORT_BREAKER_PAUSE * 60
    fail(start, effects, 1)
    found = breaker(tenant)

    assert found.state == "open"
    assert found.opened_at is not None
    assert found.next_at is not None
    assert round((found.next_at - found.opened_at).total_seconds()) == 3600


def test_another_connection_has_its_own(start: Start, tenant: Tenant, effects: Server) -> None:
    fail(start, effects, FIVE)
    connection_id = ledger_of(tenant).pk
    ledger_of(tenant).__class__.objects.filter(pk=connection_id).update(name="old")
    connect(tenant, effects)

    assert go(at_step(start)).status == "completed"
    assert Breaker.objects.get(connection_id=connection_id).state == "open"


def test_a_person_may_close_it(start: Start, tenant: Tenant, effects: Server) -> None:
    fail(start, effects, FIVE)
    execution = at_step(start)
    go(execution)
    with pytest.raises(Forbidden):
        close_breaker(breaker=breaker(tenant), actor=LEAD.__class__(kind=LEAD.kind, id="n", name="nobody"))
    assert close_breaker(breaker=breaker(tenant), actor=LEAD).state == "closed"
    assert go(execution).status == "completed"
    with pytest.raises(Conflict):
        close_breaker(breaker=breaker(tenant), actor=LEAD)


@pytest.mark.parametrize(
    ("outcome", "code", "status", "sent", "expected"),
    [
        ("completed", "", 200, True, True),
        ("failed", "client_error", 404, True, True),
        ("failed", "unauthorized", 401, True, True),
        ("failed", "rate_limited", 429, True, True),
        ("failed", "rate_limited", 503, True, False),
        ("failed", "server_error", 500, True, False),
        ("failed", "server_error", None, True, False),
        ("failed", "command_failed", None, True, True),
        ("failed", "connect_failed", None, False, False),
        ("failed", "time_limit", None, False, False),
        ("unknown", "no_answer", None, True, False),
        ("failed", "argument_invalid", None, False, None),
        ("failed", "destination_refused", None, False, None),
        ("failed", "lease_lost", None, False, None),
        ("failed", "connector_error", None, True, None),
        ("expired", "timed_out", None, True, None),
    ],
)
def test_what_a_call_says_of_its_far_side(
    outcome: str, code: str, status: int | None, sent: bool, expected: bool | None
) -> None:
    assert breakers.answered_by({"outcome": outcome, "code": code, "status": status, "sent": sent}) is expected
