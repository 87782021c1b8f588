"""Fifty equal posts at once start one execution, over HTTP (I16)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.models import Tenant
from executions.models import Execution
from tests.api.native.calls import caller_of, read
from tests.engine.test_decide import act, end, flow
from tests.executions.histories import check_history
from tests.flows.starting import store_workflow
from tests.races.racing import racers

if TYPE_CHECKING:
    from django.http import HttpResponse

FLOW = flow(act("a", on_success="end"), end(), first="a")
ROUNDS = 5


def test_fifty_equal_posts_give_one_execution_and_one_of_them_is_told_so(tenant: Tenant) -> None:
    api = caller_of(tenant)
    given = {"playbook": str(store_workflow(tenant, FLOW).playbook_id)}
    with racers(50) as threads:
        for number in range(ROUNDS):

            def post(key: str = f"key-{number}") -> HttpResponse:
                return api.post("/executions", given, Idempotency_Key=key)

            answers = threads.all_at_once(post)

            assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
            told = [read(answer, answer.status_code) for answer in answers]
            assert len({found["id"] for found in told}) == 1
            assert [found["repeated"] for found in told].count(False) == 1
            check_history(Execution.objects.get(pk=told[0]["id"]))
    assert Execution.objects.count() == ROUNDS


def test_of_fifty_posts_with_one_key_those_of_another_body_are_refused(tenant: Tenant) -> None:
    api = caller_of(tenant)
    playbook = str(store_workflow(tenant, FLOW).playbook_id)

    def post(dry_run: bool) -> HttpResponse:
        return api.post("/executions", {"playbook": playbook, "dry_run": dry_run}, Idempotency_Key="k")

    with racers(50) as threads:
        answers = threads.run([lambda dry_run=bool(number % 2): post(dry_run) for number in range(50)])  # type: ignore[misc]

    assert sorted(answer.status_code for answer in answers) == [200] * 24 + [201] + [409] * 25
    assert Execution.objects.count() == 1
