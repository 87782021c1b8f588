"""Caps: how many run at once, counted from the rows; who finds no place waits without a worker and without a nudge."""

from __future__ import annotations

import time
from typing import Any

import pytest

from accounts.models import Tenant
from core.actors import SYSTEM
from core.errors import Forbidden, Invalid
from executions import events, gates
from executions.dispatching import dispatch_due
from executions.gate_models import Cap
from executions.leases import Holding
from executions.models import Execution
from executions.performing import perform
from executions.services import pause_execution, remove_cap, set_cap
from executions.services.claiming import Work, claim_step
from executions.tasks import run_from
from tests.connectors.servers import Server, json_reply
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import attempts, change, claim, record, run_of, state
from tests.executions.gating import GET, LEAD, at_step, go, ledger_of
from tests.executions.histories import check_history
from tests.executions.test_dispatch import Broker, broker, first_runs  # noqa: F401  (a fixture)
from tests.factories import NOON
from tests.flows.starting import Start, make_tenant

ONE = flow(act("a", on_success="end"), end(), first="a")


def cap(tenant: Tenant, kind: str = "tenant", most: int = 1, value: str = "") -> Cap:
    return set_cap(tenant=tenant, kind=kind, most=most, value=value, actor=LEAD, now=NOON)


def try_claim(execution: Execution, step: str = "start") -> Work | None:
    return claim_step(step_run_id=run_of(execution, step).pk, worker="w")


def enter(work: Work, tenant: Tenant) -> None:
    """Note the intent of a call through ``ledger``, as a worker does before it calls."""
    second = work.time_left() / 3600
    needs = ["connector:http", f"connection:{ledger_of(tenant).pk}", "effect_class:keyed", "effects"]
    gates.enter(work.run, needs, effect_class="keyed", valid_for=None, call_limit=second, lease=second * 30)


@pytest.mark.parametrize("kind", ["tenant", "playbook"])
def test_a_claim_over_the_cap_waits_until_a_place_is_free(start: Start, tenant: Tenant, kind: str) -> None:
    first = start(ONE)
    cap(tenant, kind, 1, str(first.playbook_id) if kind == "playbook" else "")
    second = start(ONE)
    Execution.objects.filter(pk=second.pk).update(playbook_id=first.playbook_id)
    other = start(ONE)
    work = try_claim(first)
    assert work is not None
    change(run_of(second, "start").pk, "published_at = clock_timestamp(), publications = 1")

    assert try_claim(second) is None
    waiting = run_of(second, "start")
    assert (waiting.status, waiting.fence, waiting.published_at, waiting.publications) == ("pending", 0, None, 0)
    assert (try_claim(other) is None) == (kind == "tenant")

    record(work)
    assert try_claim(second) is not None


def test_a_cap_over_one_tenant_is_none_over_another(start: Start, tenant: Tenant) -> None:
    cap(make_tenant(), "tenant", 1)

    assert try_claim(start(ONE)) is not None
    assert try_claim(start(ONE)) is not None


def test_the_step_that_follows_takes_the_place_of_the_one_before(start: Start, tenant: Tenant) -> None:
    cap(tenant, "tenant", 1)
    execution = start(ONE, dry_run=True)
    run_from(run_of(execution, "start").pk)

    assert state(execution)[0] == "completed"


def test_of_several_caps_the_tightest_counts(start: Start, tenant: Tenant) -> None:
    first = start(ONE)
    cap(tenant, "tenant", 5)
    cap(tenant, "playbook", 1, str(first.playbook_id))
    second = start(ONE)
    Execution.objects.filter(pk=second.pk).update(playbook_id=first.playbook_id)
    claim(first, "start")

    assert try_claim(second) is None
    assert try_claim(start(ONE)) is not None


def test_the_calls_of_a_connection_are_counted_once_they_are_planned(
    start: Start, tenant: Tenant, effects: Server
) -> None:
    first, second = at_step(start), at_step(start)
    cap(tenant, "connection", 1, "ledger")
    work = claim(first, "p")
    enter(work, tenant)

    held = go(second)
    assert (held.status, held.reason, held.tries) == ("pending", "cap", 0)
    assert attempts(second, "p") == ["abandoned"]
    assert go(second).fence == 1, "known to need a place, it is not claimed for nothing again"
    assert effects.requests == []

    record(work)
    assert go(second).status == "completed"
    check_history(second)


def test_who_claimed_with_a_place_does_not_stand_in_its_own_way(start: Start, tenant: Tenant, effects: Server) -> None:
    execution = at_step(start)
    cap(tenant, "connection", 1, "ledger")
    change(run_of(execution, "p").pk, f"needs = '{{connection:{ledger_of(tenant).pk}}}'")

    assert go(execution).status == "completed"


def test_reads_take_a_place_of_their_connection_too(start: Start, tenant: Tenant, effects: Server) -> None:
    reader, other = at_step(start, GET), at_step(start, GET)
    cap(tenant, "connection", 1, "ledger")
    work = claim(reader, "p")
    gates.enter_read(work.run, [f"connection:{ledger_of(tenant).pk}", "connector:http", "effect_class:read"])

    assert go(other).reason == "cap"
    record(work)
    effects.answers.append(json_reply({}))
    assert go(other).status == "completed"


def test_a_call_of_a_capped_connection_wakes_the_dispatcher_at_its_end(
    start: Start,
    tenant: Tenant,
    effects: Server,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    woken: list[bool] = []
    monkeypatch.setattr(events, "announce", lambda *_, wake: woken.append(wake))
    cap(tenant, "connection", 1, "ledger")
    work = claim(at_step(start), "p")
    performed = perform(work, Holding(work.run.id, work.run.fence, asked_at=time.monotonic(), lease=30))
    woken.clear()
    with django_capture_on_commit_callbacks(execute=True):
        record(work, performed)

    assert woken == [True]


def test_no_more_is_published_than_there_are_places_and_others_get_the_window(
    start: Start,
    tenant: Tenant,
    broker: Broker,  # noqa: F811
) -> None:
    capped = [start(ONE) for _ in range(10)]
    Execution.objects.exclude(pk=capped[0].pk).update(playbook_id=capped[0].playbook_id)
    cap(tenant, "playbook", 2, str(capped[0].playbook_id))
    free = [start(ONE) for _ in range(3)]

    assert dispatch_due() == 5
    assert sorted(broker.take_all()) == sorted(first_runs(capped[:2]) + first_runs(free))
    assert dispatch_due() == 0

    work = claim(capped[0], "start")
    assert dispatch_due() == 0, "one runs and one is on its way"
    record(work)
    assert dispatch_due() == 1


def test_a_nudge_for_what_is_held_keeps_no_place(start: Start, tenant: Tenant, broker: Broker) -> None:  # noqa: F811
    held, waiting = start(ONE), start(ONE)
    cap(tenant, "tenant", 1)
    assert dispatch_due() == 1
    assert dispatch_due() == 0
    pause_execution(execution=held, actor=SYSTEM, now=NOON)

    assert dispatch_due() == 1
    assert broker.nudges == first_runs([held, waiting])


def test_what_waits_for_a_place_takes_no_room_in_the_window(
    start: Start,
    tenant: Tenant,
    broker: Broker,  # noqa: F811
) -> None:
    executions = [start(ONE) for _ in range(9)]
    dispatch_due()
    broker.take_all()
    Execution.objects.exclude(pk=executions[0].pk).update(playbook_id=executions[0].playbook_id)
    claim(executions[0], "start")
    cap(tenant, "playbook", 1, str(executions[0].playbook_id))
    free = [start(ONE) for _ in range(8)]

    assert dispatch_due() == 8
    assert broker.nudges == first_runs(free)


def test_a_cap_that_is_raised_or_taken_away_lets_others_run(start: Start, tenant: Tenant) -> None:
    found = cap(tenant, "tenant", 1)
    executions = [start(ONE) for _ in range(3)]
    assert [try_claim(execution) is not None for execution in executions] == [True, False, False]
    assert cap(tenant, "tenant", 2).pk == found.pk
    assert [try_claim(execution) is not None for execution in executions[1:]] == [True, False]
    remove_cap(cap=found, actor=LEAD)
    assert try_claim(executions[2]) is not None


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"kind": "galaxy"}, "kind"),
        ({"kind": "tenant", "value": "x"}, "value"),
        ({"kind": "connection", "value": "nowhere"}, "value"),
        ({"kind": "playbook", "value": "nowhere"}, "value"),
        ({"kind": "tenant", "most": 0}, "limit"),
        ({"kind": "tenant", "most": 1_000_001}, "limit"),
    ],
)
def test_a_cap_that_cannot_be_meant_is_refused(tenant: Tenant, given: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid) as raised:
        cap(tenant, **given)

    assert [fault.path for fault in raised.value.fields] == [path]


def test_a_cap_takes_the_right_to_set_it(tenant: Tenant) -> None:
    found = cap(tenant)
    for change_it in (
        lambda: set_cap(tenant=tenant, kind="tenant", most=2, actor=SYSTEM, now=NOON),
        lambda: remove_cap(cap=found, actor=SYSTEM),
    ):
        with pytest.raises(Forbidden):
            change_it()
