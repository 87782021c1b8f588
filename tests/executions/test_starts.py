"""Accepting a start: refused before anything is stored, or durable and done once (EXECUTION-SEMANTICS 12)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.models import Tenant
from core.actors import SYSTEM
from executions.models import Execution, Scope, StepRun
from executions.services import QueueFull, StartKeyReused, StartRefused, start_execution
from executions.services.tidying import forget_start_keys
from playbooks.cacao.types import Variable
from playbooks.models import PlaybookVersion
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import advance, events, state
from tests.executions.histories import check_history
from tests.factories import NOON
from tests.flows.starting import make_tenant, store_workflow

VARIABLES = {
    "__need__": Variable("__need__", type="integer", external=True),
    "__have__": Variable("__have__", value="x", external=True),
    "__own__": Variable("__own__", value="y"),
}
DAY = timedelta(days=1)


@pytest.fixture
def version(tenant: Tenant) -> PlaybookVersion:
    return store_workflow(tenant, flow(act("a", on_success="end"), end(), first="a", variables=VARIABLES))


def start(version: PlaybookVersion, variables: dict[str, Any] | None = None, **more: Any) -> Execution:
    given = {"__need__": "1"} if variables is None else variables
    return start_execution(
        tenant=version.tenant, version=version, inputs={"variables": given}, actor=SYSTEM, now=NOON, **more
    )


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({}, "external_variable_missing"),
        ({"__need__": None}, "external_variable_missing"),
        ({"__need__": "1", "__none__": "1"}, "variable_unknown"),
        ({"__need__": "1", "__own__": "1"}, "variable_not_external"),
        ({"__need__": "one"}, "variable_type_invalid"),
    ],
)
def test_variables_that_do_not_fit_refuse_the_start(
    version: PlaybookVersion, variables: dict[str, Any], code: str
) -> None:
    with pytest.raises(StartRefused) as refused:
        start(version, variables)

    assert refused.value.code == code
    assert not Execution.objects.exists()


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"is_revoked": True}, "playbook_revoked"),
        ({"valid_from": NOON + DAY}, "playbook_not_yet_valid"),
        ({"valid_until": NOON}, "playbook_expired"),
    ],
)
def test_a_version_that_is_not_valid_now_is_not_started(tenant: Tenant, columns: dict[str, Any], code: str) -> None:
    version = store_workflow(tenant, flow(end(), first="end"))
    for name, value in columns.items():
        setattr(version, name, value)

    with pytest.raises(StartRefused) as refused:
        start(version, {})
    assert refused.value.code == code


def test_an_accepted_start_is_stored_with_its_first_step(version: PlaybookVersion) -> None:
    execution = start(version)

    assert (execution.status, events(execution)) == ("pending", ["step.pending"])
    assert Scope.objects.get(execution=execution).variables == {"__need__": "1", "__have__": "x", "__own__": "y"}
    check_history(execution)


def test_the_same_key_and_body_give_the_first_execution(version: PlaybookVersion) -> None:
    first = start(version, start_key="k", start_digest="d")
    advance(first, "start", "a")

    assert start(version, {}, start_key="k", start_digest="d").pk == first.pk
    with pytest.raises(StartKeyReused):
        start(version, start_key="k", start_digest="other")
    assert Execution.objects.count() == 1


def test_the_key_of_another_tenant_is_another_key(version: PlaybookVersion) -> None:
    theirs = store_workflow(make_tenant(), flow(end(), first="end"))

    assert start(version, start_key="k").pk != start(theirs, {}, start_key="k").pk


def test_keys_are_forgotten_after_a_day_and_those_of_events_after_thirty(version: PlaybookVersion) -> None:
    ages = {"young": timedelta(hours=23), "old": timedelta(hours=25), "event": DAY * 29, "old event": DAY * 31}
    for key, age in ages.items():
        found = start(version, start_key=key)
        kind = "trigger" if "event" in key else "key"
        Execution.objects.filter(pk=found.pk).update(created_at=found.created_at - age, actor={"kind": kind})

    assert forget_start_keys() == 2
    assert set(Execution.objects.exclude(start_key=None).values_list("start_key", flat=True)) == {"young", "event"}


def test_above_the_limit_of_queued_steps_nothing_is_started(version: PlaybookVersion, settings: Any) -> None:
    settings.SALLYPORT_QUEUE_LIMIT = 2
    first = start(version)
    start(version)

    with pytest.raises(QueueFull) as refused:
        start(version)
    assert refused.value.retry_after == 30, "nothing was claimed yet, so nothing is known"
    assert (refused.value.context["queued"], refused.value.context["limit"]) == (2, 2)
    assert "2 step runs are queued and the limit is 2" in refused.value.message
    assert start(store_workflow(make_tenant(), flow(end(), first="end")), {}).status == "pending"
    advance(first, "start", "a")
    assert start(version).status == "pending"


def test_a_tenant_may_have_a_limit_of_its_own(tenant: Tenant, version: PlaybookVersion) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(queue_limit=1)
    tenant.refresh_from_db()
    first = start(version)

    with pytest.raises(QueueFull) as refused:
        start(version)
    assert refused.value.context["limit"] == 1
    advance(first, "start")
    with pytest.raises(QueueFull) as refused:
        start(version)
    assert refused.value.retry_after == 1, "one was claimed within the last second"


def test_what_postgresql_cannot_hold_is_replaced_in_inputs(tenant: Tenant) -> None:
    version = store_workflow(tenant, flow(end(), first="end", dialect="s4e"))
    inputs = {"finding": {"title": "a\x00b\ud800c", "score": float("inf"), "k\x00": [1.5, None]}}
    execution = start_execution(tenant=tenant, version=version, inputs=inputs, actor=SYSTEM, now=NOON)

    assert execution.inputs == {"finding": {"title": "a\ufffdb?c", "score": "inf", "k\ufffd": [1.5, None]}}


def test_a_start_costs_a_fixed_number_of_statements(
    version: PlaybookVersion, django_assert_max_num_queries: Any
) -> None:
    start(version)
    with django_assert_max_num_queries(20):
        start(version)


def test_two_executions_of_one_playbook_share_nothing(version: PlaybookVersion) -> None:
    first, second = start(version), start(version)
    advance(first, "start", "a")

    assert (state(first)[0], state(second)[0]) == ("completed", "pending")
    assert not set(StepRun.objects.filter(execution=first).values_list("pk")) & set(
        StepRun.objects.filter(execution=second).values_list("pk")
    )
    assert connection.in_atomic_block
