"""A held parent holds its children, and theirs (EXECUTION-SEMANTICS 9); who else holds one is not forgotten."""

from __future__ import annotations

import pytest

from accounts.models import Tenant
from core.actors import SYSTEM
from executions.models import Execution
from executions.services import HeldByParent, cancel_execution, pause_execution, resume_execution
from executions.services.children import start_child
from executions.services.claiming import claim_step
from executions.services.sweeping import sweep_once
from executions.tasks import run_from
from playbooks.cacao.types import Step, StepType, Workflow
from playbooks.models import PlaybookVersion
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import advance, claim, record, run_of, state
from tests.executions.histories import check_history
from tests.factories import NOON
from tests.flows.starting import Start, store_workflow

CHILD = flow(act("inner", on_success="end"), end(), first="inner")


def calling(version: PlaybookVersion, **more: object) -> Workflow:
    step = Step(id="call", type=StepType.PLAYBOOK_ACTION, playbook_id=version.playbook.cacao_id, on_success="end")
    return flow(step, end(), first="call")


@pytest.fixture
def family(tenant: Tenant, start: Start) -> tuple[Execution, Execution, Execution]:
    """Parent, child and grandchild, each but the last waiting for the next."""
    middle = store_workflow(tenant, calling(store_workflow(tenant, CHILD)))
    parent = start(calling(middle))
    run_from(run_of(parent, "start").pk)
    child = child_of(parent)
    run_from(run_of(child, "start").pk)
    return parent, child, child_of(child)


def child_of(execution: Execution) -> Execution:
    return Execution.objects.get(parent_step_run__execution=execution)


def pause(execution: Execution) -> None:
    pause_execution(execution=execution, actor=SYSTEM, now=NOON)


def resume(execution: Execution) -> None:
    resume_execution(execution=execution, actor=SYSTEM, now=NOON)


def holders(*executions: Execution) -> list[str]:
    for execution in executions:
        execution.refresh_from_db()
        assert bool(execution.held_by) == (execution.held_at is not None)
    return [execution.held_by for execution in executions]


def may_claim(execution: Execution, step: str = "start") -> bool:
    return claim_step(step_run_id=run_of(execution, step).pk, worker="w") is not None


def test_a_hold_goes_down_to_the_last_child_and_its_lifting_too(
    family: tuple[Execution, Execution, Execution],
) -> None:
    parent, _, grandchild = family
    pause(parent)
    pause(parent)

    assert holders(*family) == ["operator", "parent", "parent"]
    assert not may_claim(grandchild)
    resume(parent)
    assert holders(*family) == ["", "", ""]
    advance(grandchild, "start", "inner")
    sweep_once()
    sweep_once()
    assert [state(found)[0] for found in family] == ["completed"] * 3
    for found in family:
        check_history(found)


def test_a_child_that_its_own_operator_holds_stays_held(family: tuple[Execution, Execution, Execution]) -> None:
    parent, child, grandchild = family
    pause(child)
    assert holders(*family) == ["", "operator", "parent"]
    pause(parent)
    assert holders(*family) == ["operator", "both", "parent"]
    resume(parent)

    assert holders(*family) == ["", "operator", "parent"]
    assert not may_claim(grandchild)
    resume(child)
    assert holders(*family) == ["", "", ""]
    assert may_claim(grandchild)


def test_an_operator_may_hold_a_child_that_its_parent_holds(family: tuple[Execution, Execution, Execution]) -> None:
    parent, child, _ = family
    pause(parent)
    pause(child)
    assert holders(*family) == ["operator", "both", "parent"]
    resume(child)
    assert holders(*family) == ["operator", "parent", "parent"]
    pause(child)
    resume(parent)

    assert holders(*family) == ["", "operator", "parent"]


def test_the_hold_of_a_parent_is_lifted_at_the_parent(family: tuple[Execution, Execution, Execution]) -> None:
    pause(family[0])

    with pytest.raises(HeldByParent):
        resume(family[1])
    assert holders(*family) == ["operator", "parent", "parent"]


def test_a_child_that_ended_is_left_alone(family: tuple[Execution, Execution, Execution]) -> None:
    parent, _, grandchild = family
    cancel_execution(execution=grandchild, actor=SYSTEM, now=NOON)
    pause(parent)
    assert holders(*family) == ["operator", "parent", ""]
    resume(parent)

    assert (state(grandchild)[0], holders(*family)) == ("cancelled", ["", "", ""])
    check_history(grandchild)


def test_a_held_family_is_cancelled_as_a_whole(family: tuple[Execution, Execution, Execution]) -> None:
    pause(family[0])
    cancel_execution(execution=family[0], actor=SYSTEM, now=NOON)

    assert [state(found)[0] for found in family] == ["cancelled"] * 3


def test_a_child_that_is_started_while_its_parent_is_held_is_born_held(tenant: Tenant, start: Start) -> None:
    """The claim came before the hold: the worker goes on, and what it starts waits."""
    parent = start(calling(store_workflow(tenant, CHILD)))
    advance(parent, "start")
    work = claim(parent, "call")
    pause(parent)
    record(work, start_child(work))
    child = child_of(parent)

    assert holders(parent, child) == ["operator", "parent"]
    assert not may_claim(child)
    check_history(child)
    resume(parent)
    advance(child, "start", "inner")
    sweep_once()
    assert (state(child)[0], state(parent)[0]) == ("completed", "completed")
