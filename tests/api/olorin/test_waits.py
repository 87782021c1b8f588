"""How long an action waits between its tries: read from the rows, nothing is slept through."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Tenant
from api.olorin import translating
from api.olorin.translating import RETRY
from connectors.models import Connection
from connectors.toolkit_models import ToolkitCall
from core.actors import SYSTEM
from core.clock import database_now
from executions.models import StepRun
from playbooks.cacao.stored import from_json, to_json
from playbooks.cacao.types import RetryPolicy
from playbooks.selectors import workflow_of
from tests.connectors.servers import Reply, Server, json_reply
from tests.executions.acting import change
from tests.flows.driving import drain_once

VOID = {"id": "void", "toolkit": "stripe", "action": "void_payment", "parameters": {"payment_id": "pi_1"}}


@pytest.fixture
def begun(
    transactional_db: None,
    stripe: Connection,
    store: Callable[..., None],
    start: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An execution whose only action comes next; half of each wait is waited."""
    monkeypatch.setattr(translating, "RETRY", RETRY)
    monkeypatch.setattr(random, "random", lambda: 0.5)
    store(VOID)
    start()


def tried() -> tuple[StepRun, timedelta, timedelta]:
    """Make the next try at once. Return its step run, and the least and the most that it may wait for the next."""
    for run in StepRun.objects.filter(step_id="void"):
        change(run.pk, "due_at = LEAST(due_at, clock_timestamp())")
    before = database_now()
    while drain_once():
        pass
    after, run = database_now(), StepRun.objects.get(step_id="void")
    return run, (run.due_at or before) - after, (run.due_at or after) - before


@pytest.mark.parametrize("fault", [json_reply({}, 503), Reply(manner="cut")], ids=["failed", "cut"])
def test_olo_043_the_waits_grow(begun: None, server: Server, fault: Reply) -> None:
    server.answers.extend([fault] * 3)

    for longest in (2, 4, 8):
        run, least, most = tried()
        assert run.status == "retrying"
        assert least <= timedelta(seconds=longest) / 2 <= most
    assert tried()[0].status == "completed"
    assert len(server.requests) == 4
    assert ToolkitCall.objects.get().retry_count == 3


def test_what_the_vendor_asks_for_is_waited_for_half_a_minute_at_most(begun: None, server: Server) -> None:
    server.answers.extend(json_reply({}, 429, **{"Retry-After": after}) for after in ("7", "3600"))

    for told in (7, 30):
        run, least, most = tried()
        assert run.status == "retrying"
        assert least <= timedelta(seconds=told) <= most


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_clear_no_is_not_tried_again(begun: None, server: Server, status: int) -> None:
    server.answers.append(json_reply({}, status))

    assert tried()[0].status == "failed"
    assert len(server.requests) == 1
    assert (ToolkitCall.objects.get().status, ToolkitCall.objects.get().retry_count) == ("failed", 0)


def test_a_signed_action_has_the_same_waits(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translating, "RETRY", RETRY)
    version = translating.single(
        tenant=tenant, toolkit="stripe", action="void_payment", names=["payment_id"], actor=SYSTEM, now=timezone.now()
    )

    assert workflow_of(version).steps["action"].retry == RetryPolicy(
        4, base=timedelta(seconds=2), cap=timedelta(seconds=30), ends_on_no=True
    )


def test_workflows_that_were_stored_before_there_were_waits_are_read(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = translating.single(
        tenant=tenant, toolkit="stripe", action="void_payment", names=[], actor=SYSTEM, now=timezone.now()
    )
    written = to_json(workflow_of(version))
    written["steps"]["action"]["retry"] = {"attempts": 4}

    found = from_json(written).steps["action"].retry

    assert found == RetryPolicy(attempts=4)
    assert to_json(from_json(written)) == written
