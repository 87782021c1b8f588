"""Which questions are found, by whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import Tenant
from manual import services
from manual.models import ManualRequest
from manual.selectors import RequestNotFound, find_open, list_open
from tests.manual.asking import NOON, RESPONDER, STEP, actor, ask

NOBODY = "5d0f7c1e-8a47-4b0e-9a53-6c1f2e0b9d74"  # the same in every process that collects these tests


def test_open_requests_are_listed_oldest_first(tenant: Tenant) -> None:
    second = ask(tenant, now=NOON + timedelta(seconds=1))
    first = ask(tenant)

    assert list(list_open(tenant, RESPONDER)) == [first, second]


def test_another_tenants_requests_are_never_listed_or_found(tenant: Tenant, other_tenant: Tenant) -> None:
    theirs = ask(other_tenant)

    assert list(list_open(tenant, RESPONDER)) == []
    with pytest.raises(RequestNotFound):
        find_open(tenant, theirs.execution_id, STEP)


def test_answered_expired_and_cancelled_requests_are_gone(tenant: Tenant) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    ask(tenant, deadline_at=past)
    answered, cancelled = ask(tenant, out_args={}), ask(tenant)
    services.answer(request=answered, answer=services.Answer(success=True), actor=RESPONDER, now=NOON)
    services.cancel_for_step_runs(step_run_ids=[cancelled.step_run_id])

    assert list(list_open(tenant, RESPONDER)) == []


def test_a_request_is_listed_for_those_it_is_put_to(tenant: Tenant) -> None:
    asked = ask(tenant, approvers=["soc_lead"])
    lead = actor("manual:read", roles=("soc_lead",))

    assert list(list_open(tenant, RESPONDER)) == []
    assert list(list_open(tenant, lead)) == [asked]
    with pytest.raises(RequestNotFound):
        find_open(tenant, asked.execution_id, STEP, actor=RESPONDER)
    assert find_open(tenant, asked.execution_id, STEP, actor=lead) == asked


@pytest.mark.parametrize(
    "reference",
    [STEP, STEP.removeprefix("action--"), STEP.removeprefix("action--").upper(), "action--" + STEP[8:].upper()],
)
def test_a_step_is_found_by_its_id_and_by_the_bare_uuid_in_either_case(
    tenant: Tenant, request_waiting: ManualRequest, reference: str
) -> None:
    assert find_open(tenant, request_waiting.execution_id, reference) == request_waiting


def test_a_step_is_found_by_its_step_run(tenant: Tenant, request_waiting: ManualRequest) -> None:
    reference = str(request_waiting.step_run_id)

    assert find_open(tenant, request_waiting.execution_id, reference) == request_waiting
    assert find_open(tenant, request_waiting.execution_id, reference.upper()) == request_waiting


def test_a_step_of_another_dialect_is_found_by_its_plain_id(tenant: Tenant) -> None:
    asked = ask(tenant, step_id="approve_it")

    assert find_open(tenant, asked.execution_id, "approve_it") == asked


@pytest.mark.parametrize(
    "reference", ["", "ACTION--" + STEP[8:], "playbook--" + STEP[8:], "a\x00b", f"action--{NOBODY}", "%", "action--%"]
)
def test_nothing_else_names_the_step(tenant: Tenant, request_waiting: ManualRequest, reference: str) -> None:
    with pytest.raises(RequestNotFound):
        find_open(tenant, request_waiting.execution_id, reference)


def test_of_several_that_wait_at_a_step_the_oldest_is_found(tenant: Tenant) -> None:
    younger = ask(tenant, now=NOON + timedelta(seconds=1))
    older = ask(tenant)
    ManualRequest.objects.filter(pk=older.pk).update(execution=younger.execution_id)

    assert find_open(tenant, younger.execution_id, STEP).pk == older.pk
    assert find_open(tenant, younger.execution_id, str(younger.step_run_id)) == younger


def test_the_sweep_expires_what_is_due_and_only_that(tenant: Tenant) -> None:
    now = datetime.now(UTC)
    due, _, _ = (
        ask(tenant, deadline_at=now - timedelta(seconds=1)),
        ask(tenant),
        ask(tenant, deadline_at=now + timedelta(hours=1)),
    )

    assert [request.pk for request in services.expire_due()] == [due.pk]
    assert services.expire_due() == []
    due.refresh_from_db()
    assert due.status == "expired"
