"""The connection breaks at a commit, before it arrives or before its answer comes back (EXECUTION-SEMANTICS 6.8).

Whatever the transaction: nothing is lost, nothing is done twice, and a caller is told to try again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.db import Error, connection

from accounts.models import Tenant
from executions.models import Attempt, Execution, StepRun
from executions.rows import step_run_id
from executions.services.sweeping import sweep_once
from executions.tasks import run_from
from manual.models import ManualRequest
from playbooks.cacao.types import Variable
from tests.api.s4e.calls import Api, data, say
from tests.api.s4e.calls import read as read_s4e
from tests.connectors.servers import Server
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import (
    advance,
    answer,
    asked,
    attempts,
    claim,
    events,
    lose,
    one_step,
    open_reviews,
    post,
    record,
    run_of,
    state,
)
from tests.executions.commit_proxy import CommitProxy, When, through_proxy
from tests.executions.histories import check_history
from tests.executions.test_answering import ask
from tests.factories import NOON
from tests.flows.starting import Start

pytestmark = pytest.mark.django_db(transaction=True)

BOTH: list[When] = ["before", "after"]
ONE = flow(act("a", on_success="end"), end(), first="a")


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    from tests.flows.starting import make_tenant

    return make_tenant()


@pytest.fixture
def proxy(tenant: Tenant) -> Iterator[CommitProxy]:
    with through_proxy() as found:
        yield found


@pytest.fixture
def api(tenant: Tenant) -> Api:
    from accounts.services import create_user, issue_api_key

    owner = create_user(tenant=tenant, email="a@example.org", password=None, role="admin", now=NOON)
    _, key = issue_api_key(tenant=tenant, owner=owner, name="k", now=NOON)
    return Api(key)


def cut(proxy: CommitProxy, when: When, act: Callable[[], Any], **more: Any) -> Any:
    """Do something whose commit is cut; return what it gave, or the error of the database."""
    proxy.arm(when, **more)
    try:
        return act()
    except Error as error:
        return error
    finally:
        assert proxy.cuts == 1, "nothing was cut"
        connection.close()


@pytest.mark.parametrize("when", BOTH)
def test_a_start_answers_503_and_the_same_key_gives_one_execution(proxy: CommitProxy, api: Api, when: When) -> None:
    playbook = api.made(steps=[say("a")])
    run = partial(api.post, f"/api/playbooks/{playbook}/run", {}, Idempotency_Key="one")
    run_before = Execution.objects.count()

    first = cut(proxy, when, run)
    assert first.status_code == 503
    assert int(first.headers["Retry-After"]) > 0
    # The key, or nothing: never half a start.
    assert Execution.objects.count() - run_before == StepRun.objects.count() == (1 if when == "after" else 0)

    again, once_more = run(), run()
    assert again.status_code == once_more.status_code == 200
    assert data(again) == data(once_more)
    [execution] = Execution.objects.all()
    assert data(again)["execution_id"] == f"pexec-{execution.number}"
    check_history(execution)


@pytest.mark.parametrize("when", BOTH)
def test_a_claim_is_made_once_and_its_worker_goes_on(proxy: CommitProxy, start: Start, when: When) -> None:
    execution = start(ONE, script={})
    cut(proxy, when, lambda: run_from(run_of(execution, "start").pk))

    assert state(execution)[0] == "completed"
    assert attempts(execution, "start") == attempts(execution, "a") == ["completed"]
    assert run_of(execution, "start").lost_attempts == 0
    check_history(execution)


@pytest.mark.parametrize("when", BOTH)
def test_an_intent_in_doubt_sends_nothing_and_the_step_is_done_once_later(
    proxy: CommitProxy, start: Start, effects: Server, when: When
) -> None:
    execution = start(one_step(post("p")))
    advance(execution, "start")
    connection.close()  # so that the statement travels as text
    cut(proxy, when, lambda: run_from(run_of(execution, "p").pk), at=b"SET intent_fence")
    assert effects.requests == []
    assert run_of(execution, "p").status == "pending"

    run_from(run_of(execution, "p").pk)
    assert state(execution)[0] == "completed"
    assert len(effects.requests) == 1
    assert open_reviews(execution) == []
    check_history(execution)


@pytest.mark.parametrize("when", BOTH)
def test_a_record_is_made_once(proxy: CommitProxy, start: Start, effects: Server, when: When) -> None:
    execution = start(one_step(post("p")))
    advance(execution, "start")
    work = claim(execution, "p")
    from executions.leases import keeper
    from executions.performing import perform

    with keeper.hold(work.run.id, work.run.fence, asked_at=work.asked_at) as holding:
        performed = perform(work, holding)
    cut(proxy, when, lambda: record(work, performed))

    assert state(execution)[0] == "completed"
    assert attempts(execution, "p") == ["completed"]
    assert not Attempt.objects.filter(late_note__isnull=False).exists()
    assert len(effects.requests) == 1
    check_history(execution)


@pytest.mark.parametrize("when", BOTH)
def test_an_answer_counts_once_and_the_step_after_it_is_opened_once(
    proxy: CommitProxy, start: Start, when: When
) -> None:
    question = ask("q", on_success="a", out_args=("__o__",))
    workflow = flow(question, act("a", on_success="end"), end(), first="q", variables={"__o__": Variable("__o__")})
    execution = start(workflow)
    advance(execution, "start")
    request = asked(execution, "q")

    assert isinstance(cut(proxy, when, lambda: answer(request, {"__o__": "yes"})), Error)
    request = ManualRequest.objects.get(pk=request.pk)
    assert request.status == ("answered" if when == "after" else "open")
    if when == "before":
        answer(request, {"__o__": "yes"})
    assert run_of(execution, "q").status == "completed"
    assert StepRun.objects.filter(execution=execution, step_id="a").count() == 1
    check_history(execution)


@pytest.mark.parametrize("when", BOTH)
def test_a_cancel_answers_503_and_the_execution_is_cancelled_once(proxy: CommitProxy, api: Api, when: When) -> None:
    execution_id = api.started(api.made(steps=[say("a")]))
    cancel = partial(api.post, f"/api/playbooks/executions/{execution_id}/cancel")

    first = cut(proxy, when, cancel)
    assert first.status_code == 503
    assert "Retry-After" in first.headers
    second = cancel()
    [execution] = Execution.objects.all()
    assert execution.status == "cancelled"
    # Who asks again where the first one counted is told that it is cancelled already.
    assert second.status_code == (409 if when == "after" else 200), second.content
    if when == "after":
        assert "cancelled" in str(read_s4e(second))
    check_history(execution)


@pytest.mark.parametrize("when", BOTH)
def test_a_sweep_takes_lost_work_back_once(proxy: CommitProxy, start: Start, when: When) -> None:
    execution = start(ONE)
    advance(execution, "start")
    lose(claim(execution, "a"))
    cut(proxy, when, sweep_once)
    sweep_once()

    run = run_of(execution, "a")
    assert (run.status, run.lost_attempts, run.fence) == ("pending", 1, 1)
    assert attempts(execution, "a") == ["lost"]
    advance(execution, "a")
    assert state(execution)[0] == "completed"
    check_history(execution)


@pytest.mark.parametrize("when", BOTH)
def test_a_hand_back_is_made_once(proxy: CommitProxy, start: Start, when: When) -> None:
    from executions.services.handing_back import hand_back

    execution = start(ONE)
    advance(execution, "start")
    work = claim(execution, "a")
    cut(proxy, when, lambda: hand_back(work))

    assert run_of(execution, "a").status == "pending"
    assert attempts(execution, "a") == ["abandoned"]
    check_history(execution)


# -- what is one statement is its own commit; it is cut where its events go by


@pytest.mark.parametrize("when", BOTH)
def test_a_claim_of_one_statement_is_made_once(proxy: CommitProxy, start: Start, effects: Server, when: When) -> None:
    execution = start(one_step(post("p")))
    cut(proxy, when, lambda: run_from(run_of(execution, "start").pk), at=b'["execution.started"')

    assert state(execution)[0] == "completed"
    assert attempts(execution, "start") == attempts(execution, "p") == ["completed"]
    assert events(execution).count("execution.started") == len(effects.requests) == 1
    check_history(execution)


@pytest.mark.parametrize("step", ["start", "p", "q"])
@pytest.mark.parametrize("when", BOTH)
def test_a_step_is_recorded_once_and_what_follows_is_claimed_once(
    proxy: CommitProxy, start: Start, effects: Server, when: When, step: str
) -> None:
    """Also where nothing follows but the end of the execution."""
    execution = start(flow(post("p", on_success="q"), post("q"), end(), first="p"))
    record_of = f'["step.completed", "{step_run_id(execution.pk, "", step)}"'
    cut(proxy, when, lambda: run_from(run_of(execution, "start").pk), at=record_of.encode())

    assert state(execution)[0] == "completed"
    assert [attempts(execution, name) for name in ("start", "p", "q")] == [["completed"]] * 3
    assert events(execution).count("execution.completed") == 1
    assert "note.late" not in events(execution)
    assert len(effects.requests) == 2
    check_history(execution)
