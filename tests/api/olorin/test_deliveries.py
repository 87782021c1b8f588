"""What this family starts is run once: whatever happens to workers, and however often a task is delivered."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connection

from connectors.models import Connection
from connectors.toolkit_models import ToolkitCall
from executions.models import Execution
from executions.services.sweeping import sweep_once
from executions.tasks import run_from
from tests.api.olorin.calls import read
from tests.api.olorin.test_get_execution import shown
from tests.api.olorin.test_waits import VOID
from tests.api.s4e.calls import Api
from tests.connectors.servers import Server
from tests.executions.acting import advance, attempts, change, claim, lose, open_reviews, run_of
from tests.flows.driving import DUE

Finish = Callable[[str], Execution]


@pytest.fixture
def started(transactional_db: None, stripe: Connection, store: Callable[..., None], start: Callable[..., str]) -> str:
    store(VOID)
    return start()


def deliver(step_run: UUID) -> None:
    try:
        run_from(step_run)
    finally:
        connection.close()


def test_all_039_a_task_that_is_delivered_often_is_done_once(started: str, server: Server, api: Api) -> None:
    with ThreadPoolExecutor(4) as pool:
        while True:
            with connection.cursor() as cursor:
                cursor.execute(DUE)
                due = [row[0] for row in cursor.fetchall()]
            if not due and not sweep_once():
                break
            list(pool.map(deliver, due * 4))

    assert shown(api, started)["status"] == "completed"
    assert len(server.requests) == 1
    assert attempts(Execution.objects.get(), "void") == ["completed"]
    assert ToolkitCall.objects.get().retry_count == 0


@pytest.mark.parametrize("may_be_done", [False, True])
def test_all_038_what_a_lost_worker_had_begun_is_tried_again_with_its_key(
    started: str, server: Server, api: Api, finish: Finish, may_be_done: bool
) -> None:
    execution = Execution.objects.get()
    advance(execution, "start:")
    work = claim(execution, "void")
    if may_be_done:
        change(work.run.id, "intent_fence = fence, effect = 'intended', effective_class = 'keyed'")
    lose(work)
    sweep_once()
    finish(started)

    assert attempts(execution, "void") == ["lost", "completed"]
    assert [each.headers["idempotency-key"] for each in server.requests] == [str(work.run.id)]
    assert [each["status"] for each in shown(api, started)["actions_executed"]] == ["success"]


def test_all_038_what_cannot_be_repeated_is_failed_and_put_to_a_person(
    started: str, server: Server, api: Api, finish: Finish
) -> None:
    execution = Execution.objects.get()
    advance(execution, "start:")
    work = claim(execution, "void")
    change(work.run.id, "intent_fence = fence, effect = 'intended', effective_class = 'unsafe'")
    lose(work)
    sweep_once()
    finish(started)

    assert server.requests == []
    assert run_of(execution, "void").effect == "unknown"
    assert len(open_reviews(execution)) == 1
    assert len(read(api.get("/api/native/reviews"))["items"]) == 1
    assert shown(api, started)["status"] == "failed"
