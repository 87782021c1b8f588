"""A playbook that starts another one (CACAO.md 12.12, EXECUTION-SEMANTICS 9 and 10)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from accounts.models import Tenant
from core.actors import SYSTEM
from executions.models import Execution, StepRun
from executions.performed import Abandoned
from executions.selectors import final_variables
from executions.services import cancel_execution, start_execution
from executions.services.children import settle_child, start_child
from executions.services.claiming import claim_step
from executions.services.sweeping import sweep_once
from executions.tasks import run_from
from playbooks.cacao.types import Step, StepType, Variable, Workflow
from playbooks.models import PlaybookVersion
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import advance, change, claim, lose, pass_deadline, record, run_of, state, statuses
from tests.executions.histories import check_history
from tests.factories import NOON
from tests.flows.starting import Start, store_workflow

CHILD = flow(
    act("inner", on_success="end"), end(), first="inner",
    variables={"__in__": Variable("__in__", external=True), "__out__": Variable("__out__", value="made")},
)  # fmt: skip


@pytest.fixture
def child(tenant: Tenant) -> PlaybookVersion:
    return store_workflow(tenant, CHILD)


def calling(version: PlaybookVersion | str, **more: Any) -> Workflow:
    called = version if isinstance(version, str) else version.playbook.cacao_id
    given: dict[str, Any] = {"in_args": ("__in__",), "out_args": ("__out__",), "on_success": "end", **more}
    step = Step(id="call", type=StepType.PLAYBOOK_ACTION, playbook_id=called, **given)
    variables = {"__in__": Variable("__in__", value="given"), "__out__": Variable("__out__", value="old")}
    return flow(step, end(), first="call", variables=variables)


def begun(start: Start, workflow: Workflow, **options: Any) -> Execution:
    """Run to where the child has been started."""
    execution = start(workflow, **options)
    run_from(run_of(execution, "start").pk)
    return execution


def child_of(execution: Execution) -> Execution:
    return Execution.objects.get(parent_step_run__execution=execution)


def test_a_child_gets_its_arguments_and_gives_its_variables_back(start: Start, child: PlaybookVersion) -> None:
    parent = begun(start, calling(child))
    assert (statuses(parent), state(parent)[0]) == ({"call": "waiting"}, "paused")
    inner = child_of(parent)
    assert inner.inputs == {"variables": {"__in__": "given"}}
    assert (inner.depth, inner.tenant_id) == (1, parent.tenant_id)

    advance(inner, "start", "inner")
    sweep_once()

    assert state(parent) == ("completed", "")
    assert final_variables(parent)["__out__"] == "made"
    check_history(parent)
    check_history(inner)


def test_a_child_that_fails_fails_its_step(start: Start, child: PlaybookVersion) -> None:
    parent = begun(start, calling(child))
    cancel_execution(execution=child_of(parent), actor=SYSTEM, now=NOON)
    sweep_once()

    assert state(parent) == ("failed", "child_failed")
    assert final_variables(parent)["__out__"] == "old"


def test_a_cancelled_parent_cancels_its_child_at_once_and_the_childs_child_too(
    start: Start, tenant: Tenant, child: PlaybookVersion
) -> None:
    middle = store_workflow(tenant, calling(child))
    parent = begun(start, calling(middle, in_args=()))
    run_from(run_of(child_of(parent), "start").pk)
    grandchild = child_of(child_of(parent))

    cancel_execution(execution=parent, actor=SYSTEM, now=NOON)

    assert [state(found)[0] for found in (parent, child_of(parent), grandchild)] == ["cancelled"] * 3
    assert claim_step(step_run_id=run_of(grandchild, "start").pk, worker="w") is None
    for found in (parent, child_of(parent), grandchild):
        check_history(found)


def test_a_step_that_is_timed_out_takes_its_child_along(start: Start, child: PlaybookVersion) -> None:
    parent = begun(start, calling(child))
    pass_deadline(parent, "call")
    sweep_once()

    assert state(parent) == ("failed", "timed_out")
    assert state(child_of(parent))[0] == "cancelled"


def test_a_child_whose_step_has_ended_all_the_same_is_found_by_the_sweep(start: Start, child: PlaybookVersion) -> None:
    parent = begun(start, calling(child))
    change(run_of(parent, "call").pk, "status = 'completed', ended_at = clock_timestamp()")
    sweep_once()

    assert state(child_of(parent))[0] == "cancelled"


def test_a_worker_that_comes_too_late_starts_no_child(start: Start, child: PlaybookVersion) -> None:
    parent = start(calling(child))
    advance(parent, "start")
    frozen = claim(parent, "call")
    cancel_execution(execution=parent, actor=SYSTEM, now=NOON)
    lose(frozen)
    sweep_once()
    assert state(parent)[0] == "cancelled"

    with pytest.raises(Abandoned):
        start_child(frozen)
    assert not Execution.objects.filter(depth=1).exists()


def test_a_step_that_is_claimed_again_starts_no_second_child(start: Start, child: PlaybookVersion) -> None:
    parent = start(calling(child))
    advance(parent, "start")
    first = claim(parent, "call")
    start_child(first)
    lose(first)
    sweep_once()
    record(claim(parent, "call"), start_child(claim_again(parent)))

    assert Execution.objects.filter(depth=1).count() == 1


def claim_again(parent: Execution) -> Any:
    """The work of the present holder."""
    from executions.services.claiming import claimed_before
    from executions.turn import turn_of

    with turn_of(parent.pk) as turn:
        assert turn is not None
        found = claimed_before(turn, worker="w1", asked_at=0)
    assert found is not None
    return found


def test_starting_the_same_child_twice_gives_the_first_one(
    start: Start, tenant: Tenant, child: PlaybookVersion
) -> None:
    parent = begun(start, calling(child))
    given: dict[str, Any] = {
        "tenant": tenant,
        "version": child,
        "inputs": {"variables": {"__in__": "x"}},
        "actor": SYSTEM,
        "now": NOON,
    }
    owner = StepRun.objects.select_related("execution").get(pk=run_of(parent, "call").pk)

    assert start_execution(**given, parent=owner).pk == child_of(parent).pk


@pytest.mark.parametrize(
    ("called", "reason"), [("playbook--nowhere", "playbook_not_found"), ("missing argument", "argument_invalid")]
)
def test_a_child_that_cannot_be_started_fails_the_step(
    start: Start, child: PlaybookVersion, called: str, reason: str
) -> None:
    workflow = calling(child, in_args=()) if called == "missing argument" else calling(called)
    parent = begun(start, workflow)

    assert state(parent) == ("failed", reason)


def test_a_playbook_that_starts_itself_through_another_is_refused(start: Start, tenant: Tenant) -> None:
    own = f"playbook--{uuid4()}"
    other = store_workflow(tenant, calling(own, in_args=()))
    outer = store_workflow(tenant, calling(other, in_args=()), cacao_id=own)
    parent = start_execution(tenant=tenant, version=outer, inputs={"variables": {}}, actor=SYSTEM, now=NOON)
    run_from(run_of(parent, "start").pk)
    run_from(run_of(child_of(parent), "start").pk)

    assert state(child_of(parent)) == ("failed", "limit")


def test_a_dry_run_starts_dry_children(start: Start, child: PlaybookVersion) -> None:
    parent = begun(start, calling(child), dry_run=True)

    assert child_of(parent).options["dry_run"] is True


def test_a_child_that_ends_is_noticed_once(start: Start, child: PlaybookVersion) -> None:
    parent = begun(start, calling(child))
    advance(child_of(parent), "start", "inner")
    run = run_of(parent, "call").pk

    assert [settle_child(run), settle_child(run)] == [True, False]
