"""Kill switches: nothing new is sent, nothing is lost, nothing keeps a worker, and lifting ends everything (SEC-66)."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import Tenant
from accounts.services import create_user
from core.errors import Conflict, Forbidden, Invalid
from executions import breakers, leases, statements
from executions.dispatching import dispatch_due
from executions.gate_models import Breaker, Cap, Switch
from executions.leases import Holding
from executions.models import StepRun
from executions.performed import Gated
from executions.performing import perform
from executions.services import lift_switch, set_cap, set_switch
from executions.services.handing_back import hand_back
from executions.services.sweeping import sweep_once
from executions.tasks import run_from
from playbooks.cacao.types import Workflow
from tests.connectors.servers import Received, Reply, Server, json_reply, serving
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import (
    advance,
    attempts,
    change,
    claim,
    connect,
    events,
    one_step,
    open_reviews,
    post,
    run_of,
    state,
)
from tests.executions.gating import GET, LEAD, OPERATOR, at_step, go, ledger_of, lift, switch_on
from tests.executions.histories import check_history
from tests.executions.test_dispatch import Broker, broker  # noqa: F401  (a fixture)
from tests.factories import NOON
from tests.flows.starting import Start, make_tenant

EXECUTIONS, SWITCHES = "/admin/executions/execution/", "/admin/executions/switch/"
ONE = flow(act("a", on_success="end"), end(), first="a")


def switch_over(tenant: Tenant, kind: str, playbook: str) -> Switch:
    values = {"connector": "http", "connection": "ledger", "effect_class": "keyed", "playbook": playbook}
    return switch_on(None if kind == "global" else tenant, kind, values.get(kind, ""))


@pytest.mark.parametrize("kind", ["global", "tenant", "connector", "connection", "effect_class", "playbook"])
def test_a_call_waits_until_its_switch_is_lifted(start: Start, tenant: Tenant, effects: Server, kind: str) -> None:
    execution = at_step(start)
    switch = switch_over(tenant, kind, str(execution.playbook_id))

    held = go(execution)
    assert (held.status, held.reason, held.effect, held.tries) == ("pending", "switch", "none", 0)
    assert attempts(execution, "p") == ["abandoned"]
    assert go(execution).fence == held.fence, "a step run that is known to be stopped is not claimed"
    assert effects.requests == []

    lift(switch)
    assert go(execution).status == "completed"
    assert state(execution)[0] == "completed"
    check_history(execution)


@pytest.mark.parametrize(
    ("kind", "value"), [("connector", "ssh"), ("effect_class", "unsafe"), ("connection", "other"), ("playbook", "")]
)
def test_a_switch_over_something_else_stops_nothing(
    start: Start, tenant: Tenant, effects: Server, kind: str, value: str
) -> None:
    from tests.factories import ConnectionFactory

    ConnectionFactory(tenant=tenant, name="other")
    switch_on(tenant, kind, value or str(at_step(start).playbook_id))
    switch_on(make_tenant(), "tenant")

    assert go(at_step(start)).status == "completed"


def test_a_switch_for_all_tenants_may_name_a_connector(start: Start, effects: Server) -> None:
    switch_on(None, "connector", "http")

    assert go(at_step(start)).reason == "switch"


@pytest.mark.parametrize("kind", ["global", "tenant", "connector", "connection", "playbook"])
def test_reads_go_on(start: Start, tenant: Tenant, effects: Server, kind: str) -> None:
    execution = at_step(start, GET)
    effects.answers.append(json_reply({}))
    switch_over(tenant, kind, str(execution.playbook_id))

    assert go(execution).status == "completed"


@pytest.mark.parametrize(("kind", "value"), [("connector", "http"), ("connection", "ledger"), ("effect_class", "read")])
def test_reads_stop_where_they_are_named(start: Start, tenant: Tenant, effects: Server, kind: str, value: str) -> None:
    execution = at_step(start, GET)
    switch = switch_on(tenant, kind, value, blocks_reads=kind != "effect_class")

    assert switch.blocks_reads
    assert go(execution).reason == "switch"
    assert go(execution).fence == 1
    assert effects.requests == []

    lift(switch)
    effects.answers.append(json_reply({}))
    assert go(execution).status == "completed"


def test_a_switch_over_all_that_names_reads_refuses_the_claim_itself(start: Start, tenant: Tenant) -> None:
    execution = start(ONE)
    switch = switch_on(tenant, "tenant", blocks_reads=True)

    assert go(execution, "start").fence == 0
    assert events(execution) == ["step.pending"]
    lift(switch)
    assert go(execution, "start").status == "completed"


def test_what_sends_nothing_goes_on(start: Start, tenant: Tenant) -> None:
    execution = start(ONE, dry_run=True)
    switch_on(tenant, "tenant")
    run_from(run_of(execution, "start").pk)

    assert state(execution)[0] == "completed"


def test_an_intent_that_comes_after_the_switch_is_refused(start: Start, tenant: Tenant, effects: Server) -> None:
    execution = at_step(start)
    work = claim(execution, "p")
    switch_on(tenant, "connection", "ledger")
    with pytest.raises(Gated) as raised:
        perform(work, Holding(work.run.id, work.run.fence, asked_at=time.monotonic(), lease=30))
    hand_back(work, raised.value)

    found = run_of(execution, "p")
    assert (found.status, found.intent_fence) == ("pending", 0)
    assert found.needs == [f"connection:{ledger_of(tenant).pk}", "connector:http", "effect_class:keyed", "effects"]
    assert effects.requests == []


def test_a_holder_whose_intent_came_first_is_told_at_its_renewal(start: Start, tenant: Tenant, effects: Server) -> None:
    execution = at_step(start)
    work = claim(execution, "p")
    other = claim(at_step(start), "p", worker="w2")
    change(work.run.id, "needs = '{connector:http,effects}'")
    switch_on(tenant, "connector", "http")
    told, untold = (
        Holding(found.run.id, found.run.fence, asked_at=time.monotonic(), lease=30) for found in (work, other)
    )
    leases.renew([told, untold])

    assert (told.is_set(), told.why) == (True, "a kill switch is on")
    assert not untold.is_set()


def test_a_stopped_call_ends_as_what_it_is(transactional_db: None, settings: Any) -> None:
    """The call of a step that may not be repeated is out when the switch comes: nobody knows, so a person is asked."""
    from functools import partial

    from tests.flows.starting import start_workflow

    settings.SALLYPORT_LEASE = settings.SALLYPORT_LEASE / 30
    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    tenant, has_come, may_go = make_tenant(), threading.Event(), threading.Event()

    def hold(_: Received) -> Reply:
        has_come.set()
        may_go.wait(20)
        return json_reply({})

    with serving(hold) as server:
        connect(tenant, server, keyed=False)
        execution = at_step(partial(start_workflow, tenant))

        def work() -> None:
            run_from(run_of(execution, "p").pk)
            connection.close()

        worker = threading.Thread(target=work)
        worker.start()
        assert has_come.wait(20)
        switch_on(tenant, "connection", "ledger")
        worker.join(20)
        may_go.set()

    assert run_of(execution, "p").status == "uncertain"
    assert len(open_reviews(execution)) == 1


def blocked(start: Start, workflow: Workflow | None = None) -> StepRun:
    execution = start(workflow or one_step(post("p")))
    advance(execution, "start")
    return go(execution)


def test_what_is_stopped_is_not_published_and_takes_no_room(
    start: Start,
    tenant: Tenant,
    effects: Server,
    broker: Broker,  # noqa: F811
) -> None:
    switch = switch_on(tenant, "connector", "http")
    stopped = [blocked(start).pk for _ in range(9)]
    for found in stopped[:8]:
        change(found, "published_at = clock_timestamp() - interval '1 h', publications = 3")
    free = [run_of(start(ONE), "start").pk for _ in range(3)]

    assert dispatch_due() == 3
    assert broker.take_all() == free

    lift(switch)
    assert dispatch_due() > 0
    assert set(broker.nudges) <= set(stopped)


def test_a_nudge_that_was_taken_for_nothing_is_given_again(
    start: Start,
    tenant: Tenant,
    broker: Broker,  # noqa: F811
) -> None:
    execution = start(ONE)
    dispatch_due()
    switch = switch_on(tenant, "tenant", blocks_reads=True)
    for found in broker.take_all():
        run_from(found)
    assert run_of(execution, "start").published_at is None

    lift(switch)
    assert dispatch_due() == 1


def test_what_is_stopped_is_not_undeliverable(start: Start, tenant: Tenant) -> None:
    execution = start(ONE)
    change(run_of(execution, "start").pk, "published_at = clock_timestamp() - interval '2 min', publications = 10")
    switch = switch_on(tenant, "tenant", blocks_reads=True)
    sweep_once()
    assert run_of(execution, "start").status == "pending"

    lift(switch)
    sweep_once()
    assert run_of(execution, "start").reason == "undeliverable"


def test_the_deadline_of_a_stopped_step_goes_on(start: Start, tenant: Tenant, effects: Server) -> None:
    switch_on(tenant, "connector", "http")
    held = blocked(start)
    change(held.pk, "deadline_at = clock_timestamp() - interval '1 ms'")
    sweep_once()

    assert StepRun.objects.get(pk=held.pk).status == "timed_out"


def test_what_a_step_needs_is_forgotten_with_the_part_of_it_that_is_done(start: Start) -> None:
    work = claim(start(ONE), "start")
    statements.keep_needs(work.run.id, ["connector:http"])
    statements.keep_needs(work.run.id, None)

    assert StepRun.objects.get(pk=work.run.id).needs is None


def test_setting_a_switch_that_is_on_says_so(tenant: Tenant, effects: Server) -> None:
    first = switch_on(tenant, "connector", "http")
    switch_on(None, "connector", "http")
    with pytest.raises(Conflict, match=r"on already, since .* by operator"):
        switch_on(tenant, "connector", "http")

    lift(first)
    assert switch_on(tenant, "connector", "http").is_on


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"kind": "galaxy"}, "kind"),
        ({"kind": "global"}, "kind"),
        ({"kind": "tenant", "value": "x"}, "value"),
        ({"kind": "connector", "value": "carrier-pigeon"}, "value"),
        ({"kind": "effect_class", "value": ""}, "value"),
        ({"kind": "connection", "value": "nowhere"}, "value"),
        ({"kind": "playbook", "value": ""}, "value"),
        ({"kind": "tenant", "reason": "  "}, "reason"),
        ({"kind": "tenant", "reason": "x" * 2_001}, "reason"),
    ],
)
def test_a_switch_that_cannot_be_meant_is_refused(tenant: Tenant, given: dict[str, str], path: str) -> None:
    order: dict[str, Any] = {"reason": "a drill", **given}
    with pytest.raises(Invalid) as raised:
        set_switch(tenant=tenant, actor=LEAD, now=NOON, **order)

    assert [fault.path for fault in raised.value.fields] == [path]
    assert not Switch.objects.exists()


@pytest.mark.parametrize("kind", ["tenant", "connection", "playbook"])
def test_what_belongs_to_one_tenant_cannot_be_stopped_for_all(tenant: Tenant, kind: str) -> None:
    with pytest.raises(Invalid, match="belongs to one tenant"):
        switch_on(None, kind, "x")


def test_a_connection_of_another_tenant_is_not_found(tenant: Tenant, effects: Server) -> None:
    for named in ("ledger", str(ledger_of(tenant).pk)):
        with pytest.raises(Invalid, match="there is no connection"):
            switch_on(make_tenant(), "connection", named)


def test_who_may_not_is_told_what_it_takes(tenant: Tenant) -> None:
    everywhere = switch_on(None, "global")
    own = switch_on(tenant, "tenant")
    nobody = LEAD.__class__(kind=LEAD.kind, id="n", name="nobody")
    with pytest.raises(Forbidden, match="tenant:write"):
        set_switch(tenant=None, kind="connector", value="http", reason="a drill", actor=LEAD, now=NOON)
    with pytest.raises(Forbidden, match="tenant:write"):
        lift_switch(switch=everywhere, reason="over", actor=LEAD, now=NOON)
    with pytest.raises(Forbidden, match="settings:write"):
        lift_switch(switch=own, reason="over", actor=nobody, now=NOON)

    assert lift_switch(switch=own, reason="over", actor=LEAD, now=NOON).lifted_by == "lead"


def test_lifting_takes_a_reason_and_happens_once(tenant: Tenant) -> None:
    switch = switch_on(tenant, "tenant")
    with pytest.raises(Invalid, match="reason"):
        lift_switch(switch=switch, reason=" ", actor=OPERATOR, now=NOON)
    lift(switch)
    with pytest.raises(Conflict, match=r"lifted at .* by operator"):
        lift(switch)

    found = Switch.objects.get(pk=switch.pk)
    assert (found.reason, found.lift_reason, found.lifted_by) == ("a drill", "over", "operator")


def test_a_switch_raises_an_alarm_once(
    tenant: Tenant, caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: Any
) -> None:
    with caplog.at_level(logging.WARNING), django_capture_on_commit_callbacks(execute=True):
        lift(switch_on(tenant, "tenant"))

    assert [record.message for record in caplog.records] == ["alarm.switch_on", "switch.lifted"]


def browser_of(tenant: Tenant) -> Client:
    user = create_user(
        tenant=tenant, email=f"{tenant.slug}@example.org", password=None, role="tenant_admin", is_staff=True, now=NOON
    )
    client = Client()
    client.force_login(user)
    return client


def test_the_admin_says_what_is_stopped_and_lifts_it_with_a_reason(tenant: Tenant) -> None:
    browser, other = browser_of(tenant), browser_of(make_tenant())
    switch = switch_on(tenant, "tenant")
    assert "Calls are stopped by kill switches: tenant Test tenant (a drill)" in browser.get(EXECUTIONS).text
    assert "stopped by kill switches" not in other.get(EXECUTIONS).text

    order = {"action": "lift", "_selected_action": [str(switch.pk)]}
    assert "must say why" in browser.post(SWITCHES, order, follow=True).text
    other.post(SWITCHES, {**order, "reason": "over"})
    assert Switch.objects.get(pk=switch.pk).is_on
    browser.post(SWITCHES, {**order, "reason": "over"})
    assert not Switch.objects.get(pk=switch.pk).is_on


@pytest.mark.parametrize("kind", ["switch", "cap", "breaker"])
def test_the_pages_of_the_admin_open(tenant: Tenant, effects: Server, kind: str) -> None:
    switch_on(tenant, "connection", "ledger")
    set_cap(tenant=tenant, kind="connection", value="ledger", most=3, actor=LEAD, now=NOON)
    breakers.note_failure(ledger_of(tenant).pk, tenant.pk, "connect_failed")
    rows: dict[str, Any] = {"switch": Switch, "cap": Cap, "breaker": Breaker}
    row, browser = rows[kind].objects.get(), browser_of(tenant)
    for path in (f"{kind}/", f"{kind}/{row.pk}/change/"):
        page = browser.get(f"/admin/executions/{path}")
        assert page.status_code == 200
        assert "ledger" in page.text
