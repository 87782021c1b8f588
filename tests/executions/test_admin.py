"""Executions in the admin, as a browser gets them."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import services as accounts
from accounts.models import Tenant
from core.actors import SYSTEM
from executions import services
from executions.models import Execution, Review, StepRun
from executions.services.sweeping import sweep_once
from playbooks.cacao.types import Variable
from tests.api import NOON
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import advance, change, claim, lose
from tests.flows.driving import drive
from tests.flows.starting import Start


@pytest.fixture
def browser(tenant: Tenant) -> Client:
    user = accounts.create_user(
        tenant=tenant, email="lead@acme.example", password=None, role="tenant_admin", is_staff=True, now=NOON
    )
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def execution(start: Start) -> Execution:
    return drive(start(flow(act("a", on_success="end"), end(), first="a"), script={}))


@pytest.fixture
def waiting(start: Start) -> Execution:
    return start(flow(act("a", on_success="end"), end(), first="a"), script={})


def _page(browser: Client, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, path
    return str(answer.text)


def test_every_page_of_an_execution_opens(browser: Client, execution: Execution) -> None:
    run = StepRun.objects.filter(execution=execution).order_by("position")[1]
    for path in (f"execution/{execution.pk}/change/", f"steprun/{run.pk}/change/", "execution/", "steprun/", "event/"):
        assert f"pexec-{execution.number}" in _page(browser, f"/admin/executions/{path}")


def test_the_pages_need_no_inline_style(browser: Client, execution: Execution) -> None:
    """The policy of our pages lets none through, so whatever it should show would be missing."""
    for path in ("execution/", f"execution/{execution.pk}/change/", "steprun/"):
        page = _page(browser, f"/admin/executions/{path}")
        assert not re.search(r"\sstyle=", page)
        assert 'class="status status-completed"' in page
        assert "/static/executions/admin.css" in page


def test_an_execution_is_paused_resumed_and_cancelled_by_the_actions(browser: Client, waiting: Execution) -> None:
    for action, expected in (("pause", "paused"), ("resume", "pending"), ("cancel", "cancelled")):
        browser.post("/admin/executions/execution/", {"action": action, "_selected_action": [str(waiting.pk)]})
        waiting.refresh_from_db()
        assert waiting.status == expected


def test_what_cannot_be_done_is_said(browser: Client, waiting: Execution) -> None:
    services.cancel_execution(execution=waiting, actor=SYSTEM, now=NOON)

    given = {"action": "resume", "_selected_action": [str(waiting.pk)]}
    answer = browser.post("/admin/executions/execution/", given, follow=True)

    assert "The execution has ended: it is cancelled." in answer.text


def test_the_page_of_an_execution_asks_no_question_for_each_step(browser: Client, start: Start) -> None:
    short = drive(start(flow(act("a", on_success="end"), end(), first="a"), script={}))
    many = [act(f"s{n}", on_success=f"s{n + 1}" if n < 19 else "end") for n in range(20)]
    long = drive(start(flow(*many, end(), first="s0"), script={}))

    asked = []
    for execution in (short, long):
        _page(browser, f"/admin/executions/execution/{execution.pk}/change/")  # the workflow is kept after the first
        with CaptureQueriesContext(connection) as queries:
            _page(browser, f"/admin/executions/execution/{execution.pk}/change/")
        asked.append(len(queries))

    assert asked[0] == asked[1]


@pytest.fixture
def review(start: Start) -> Review:
    """Of a step that was lost in the middle of a call, and gives a number."""
    workflow = flow(
        act("a", on_success="end", out_args=("__n__",)), end(), first="a",
        variables={"__n__": Variable("__n__", type="integer")},
    )  # fmt: skip
    execution = start(workflow)
    advance(execution, "start")
    work = claim(execution, "a")
    change(work.run.id, "intent_fence = fence, effect = 'intended', effective_class = 'unsafe'")
    lose(work)
    sweep_once()
    return Review.objects.get(execution=execution)


def _happened(browser: Client, review: Review, **given: str) -> str:
    posted = {"action": "it_happened", "_selected_action": [str(review.pk)], **given}
    return str(browser.post("/admin/executions/review/", posted, follow=True).text)


def test_before_it_happened_the_output_is_asked_for(browser: Client, review: Review) -> None:
    page = _happened(browser, review)

    assert 'name="output"' in page
    assert "step a" in page
    review.refresh_from_db()
    assert review.status == "open"


def test_what_is_typed_in_completes_the_step(browser: Client, review: Review) -> None:
    _happened(browser, review, apply="1", reason="seen in the ticket system", output="42")

    review.refresh_from_db()
    assert (review.status, review.resolution, review.reason) == ("resolved", "happened", "seen in the ticket system")
    assert (review.step_run.status, review.step_run.result) == ("completed", {"output": 42})


@pytest.mark.parametrize(("reason", "output"), [("", "42"), ("looked", "many")])
def test_without_a_reason_or_with_an_output_that_does_not_fit_it_stays_open(
    browser: Client, review: Review, reason: str, output: str
) -> None:
    _happened(browser, review, apply="1", reason=reason, output=output)

    review.refresh_from_db()
    assert review.status == "open"


def test_the_page_of_a_review_shows_what_is_known(browser: Client, review: Review) -> None:
    page = _page(browser, f"/admin/executions/review/{review.pk}/change/")

    assert "trying again is possible from" in page.lower()
    assert "lease_lost_at" in page
