"""The history that reads are measured with is made of rows as the engine leaves them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.db import connection

from accounts.models import Tenant
from benchmarks import history
from executions.models import Attempt, Event, Execution, StepRun
from executions.services import cancel_execution
from playbooks.cacao.types import Workflow
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import PERSON, advance
from tests.executions.histories import check_history
from tests.executions.test_answering import ask
from tests.factories import NOON
from tests.flows.driving import drive
from tests.flows.starting import make_tenant, start_workflow, store_workflow

TWO = flow(act("a", on_success="b"), act("b", on_success="end"), end(), first="a")
ASKS = flow(ask(on_success="end"), end(), first="q")


@pytest.mark.django_db(transaction=True)
def test_copies_are_whole_and_lie_in_the_past_in_the_order_of_their_making(settings: Any) -> None:
    settings.SALLYPORT_ALLOW_FAKE = True
    tenant = make_tenant()
    templates = [_ran(tenant, TWO), _ran(tenant, TWO), _cancelled(tenant)]
    versions = [store_workflow(tenant, TWO) for _ in range(2)]
    told: list[str] = []
    made = history.History(tenant, versions, [one.pk for one in templates], ())

    made.grow(200, say=told.append)

    copies = Execution.objects.filter(tenant=tenant).exclude(pk__in=made.templates)
    assert copies.count() == 197
    times = list(copies.order_by("id").values_list("created_at", flat=True))
    assert times == sorted(times)
    assert Counter(copies.values_list("status", flat=True)).keys() == {"completed", "cancelled"}
    for copy in copies.order_by("?")[:10]:
        check_history(copy)
        template = next(one for one in templates if one.status == copy.status)
        assert StepRun.objects.filter(execution=copy).count() == StepRun.objects.filter(execution=template).count()
        assert Attempt.objects.filter(step_run__execution=copy).exists()
    assert Event.objects.filter(execution__in=copies, step_run_id__isnull=False).exists()
    assert "200 executions" in told[-1]
    with connection.cursor() as cursor:  # what points at what was not checked as it was written
        cursor.execute(
            "SELECT count(*) FROM executions_steprun s LEFT JOIN executions_scope c ON c.id = s.scope_id"
            " WHERE c.execution_id IS DISTINCT FROM s.execution_id"
        )
        assert cursor.fetchone() == (0,)


def _ran(tenant: Tenant, workflow: Workflow) -> Execution:
    return drive(start_workflow(tenant, workflow, script={}))


def _cancelled(tenant: Tenant) -> Execution:
    execution = start_workflow(tenant, ASKS)
    advance(execution, "start")
    return cancel_execution(execution=execution, actor=PERSON, now=NOON)
