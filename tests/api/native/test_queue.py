"""GET /api/native/queue"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from accounts.models import Tenant
from executions import nodes
from executions.models import Execution
from executions.tasks import run_from
from playbooks.cacao.types import Question, QuestionKind, Step, StepType
from tests.api.native.calls import Api, at_fault, problem, read
from tests.connectors.servers import Server
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import advance, change, claim, one_step, post, run_of
from tests.flows.starting import Start, start_workflow

TWO = flow(act("a", on_success="b"), act("b", on_success="end"), end(), first="a")
ASK = flow(
    Step(id="q", type=StepType.ACTION, question=Question(QuestionKind.INPUT, "?"), on_success="end"), end(), first="q"
)


def test_an_idle_tenant_has_nothing_queued(api: Api) -> None:
    told = read(api.get("/queue"))

    counts = ("due", "published", "delayed", "held", "running", "retrying", "uncertain", "open_reviews", "queued")
    assert [told[name] for name in counts] == [0] * 9
    assert set(told["waiting"].values()) == {0}
    assert (told["oldest_due_seconds"], told["limit"], told["used"]) == (None, 50_000, 0)


def test_each_state_is_counted_where_it_belongs(api: Api, start: Start, effects: Server, settings: Any) -> None:
    settings.SALLYPORT_QUEUE_LIMIT = 10
    start(TWO)
    asked, busy, cut, later = start(ASK), start(TWO), start(one_step(post("p", "/effect/cut"))), start(TWO)
    for execution in (asked, busy, cut, later):
        advance(execution, "start")
    claim(busy, "a")
    run_from(run_of(cut, "p").pk)
    change(run_of(later, "a").pk, "due_at = clock_timestamp() + interval '1 h'")
    told = read(api.get("/queue"))

    assert (told["due"], told["delayed"], told["running"], told["uncertain"]) == (1, 1, 1, 1)
    assert (told["open_reviews"], told["waiting"]["people"]) == (1, 1)
    assert (told["queued"], told["limit"], told["used"]) == (2, 10, 0.2)
    assert told["oldest_due_seconds"] > 0


def test_what_is_held_is_not_due(api: Api, start: Start) -> None:
    execution = start(TWO)
    read(api.post(f"/executions/{execution.pk}/pause"))
    told = read(api.get("/queue"))

    assert (told["due"], told["held"], told["queued"]) == (0, 1, 1)
    assert told["oldest_due_seconds"] is None


def test_a_wait_is_counted_by_what_is_waited_for(api: Api, start: Start) -> None:
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=("a", "b"), on_success="end")
    branches = (act("a", on_success="e1"), act("b", on_success="e2"))
    ends = (Step(id="e1", type=StepType.END), Step(id="e2", type=StepType.END), end())
    advance(start(flow(fork, *branches, *ends, first="fork")), "start")

    told = read(api.get("/queue"))
    assert (told["waiting"]["branches"], told["waiting"]["callbacks"], told["due"]) == (1, 0, 2)


def test_workers_are_counted_and_not_named(api: Api) -> None:
    nodes.beat("work@secret-host:1", role="work", slots=4)
    nodes.beat("sweep@secret-host:2", role="sweep", slots=0)
    response = api.get("/queue")
    told = read(response)

    assert (told["workers"], told["slots"], told["sweeps"]) == (1, 4, 1)
    assert b"secret-host" not in response.content


def test_alarms_tell_what_recovery_left_lying(api: Api, start: Start) -> None:
    execution = start(TWO)
    told = read(api.get("/queue"))["alarms"]
    assert told == {"orphans": 0, "leases_overdue": 0, "sweep_late": True, "no_worker": True}

    nodes.beat("sweep", role="sweep", slots=0)
    nodes.beat("work", role="work", slots=1)
    assert set(read(api.get("/queue"))["alarms"].values()) == {0}

    advance(execution, "start")
    work = claim(execution, "a")
    change(work.run.id, "lease_until = clock_timestamp() - interval '1 min'")
    lone = start(TWO)
    change(run_of(lone, "start").pk, "status = 'cancelled', ended_at = clock_timestamp()")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE executions_execution SET created_at = created_at - interval '1 min'")
    alarms = read(api.get("/queue"))["alarms"]
    assert (alarms["orphans"], alarms["leases_overdue"]) == (1, 1)
    assert [wait["kind"] for wait in read(api.get(f"/executions/{lone.pk}"))["waits_for"]] == ["nothing"]


def test_each_tenant_has_its_own_figures_and_the_platform_sees_all(
    api: Api, stranger: Api, tenant: Tenant, other_tenant: Tenant, caller: Callable[..., Api], start: Start
) -> None:
    start(TWO)
    start_workflow(other_tenant, TWO)

    assert read(api.get("/queue"))["due"] == read(stranger.get("/queue"))["due"] == 1
    for role in ("admin", "tenant_admin", "viewer"):
        problem(caller(tenant, role).get("/queue?all=true"), 403)
    told = read(caller(tenant, "platform_admin").get("/queue?all=true"))
    assert (told["due"], told["limit"], told["used"]) == (2, None, None)
    assert Execution.objects.count() == 2


@pytest.mark.parametrize("word", ["yes", "1", "", "TRUE"])
def test_a_flag_is_true_or_false(api: Api, word: str) -> None:
    at_fault(api.get(f"/queue?all={word}"), "all")
    read(api.get("/queue?all=false"))


def test_figures_need_a_login_and_the_right_to_read(tenant: Tenant, caller: Callable[..., Api]) -> None:
    problem(Api().get("/queue"), 401)
    problem(caller(tenant, "api_service").get("/queue"), 403)
