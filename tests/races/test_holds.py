"""A parent's hold against the start of its child: whoever is first, the child is held (I17)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from uuid import UUID

from accounts.models import Tenant
from core.actors import SYSTEM
from executions.models import Event, Execution
from executions.services import pause_execution, resume_execution
from executions.services.children import start_child
from executions.services.claiming import claim_step
from tests.executions.acting import advance, claim, run_of
from tests.executions.histories import check_history
from tests.executions.test_held_families import CHILD, calling, child_of
from tests.factories import NOON
from tests.flows.starting import Start, store_workflow
from tests.races.racing import racers, staggered, until_both_win


def test_a_child_that_starts_while_its_parent_is_paused_is_held(tenant: Tenant, start: Start) -> None:
    version = store_workflow(tenant, CHILD)

    with racers(2) as threads:

        def play(number: int) -> str:
            parent = start(calling(version))
            advance(parent, "start")
            work = claim(parent, "call")
            pause = partial(pause_execution, execution=parent, actor=SYSTEM, now=NOON)
            told = threads.run(staggered(number, partial(start_child, work), pause))
            assert not [found for found in told if isinstance(found, Exception)], told
            child = child_of(parent)
            parent.refresh_from_db()
            assert (child.held_by, parent.held_by) == ("parent", "operator")
            assert claim_step(step_run_id=run_of(child, "start").pk, worker="w") is None
            check_history(child)
            # Whoever put the hold on the child came second.
            by = Event.objects.get(execution=child, type="execution.paused").data["by"]
            return "start" if by == SYSTEM.name else "pause"

        until_both_win(play, "start", "pause")


def test_pauses_and_resumes_of_a_family_at_once_leave_it_held_whole_or_not_at_all(tenant: Tenant, start: Start) -> None:
    version = store_workflow(tenant, CHILD)
    seen: Counter[tuple[str, str]] = Counter()
    with racers(4) as threads:
        for _ in range(15):
            parent = start(calling(version))
            advance(parent, "start")
            start_child(claim(parent, "call"))
            told = threads.run([partial(_steer, steer, parent.pk) for steer in (pause_execution, resume_execution) * 2])
            assert not [found for found in told if isinstance(found, Exception)], told
            child = child_of(parent)
            parent.refresh_from_db()
            seen[parent.held_by, child.held_by] += 1
            check_history(child)

    assert set(seen) <= {("operator", "parent"), ("", "")}


def _steer(steer: Callable[..., Execution], pk: UUID) -> Execution:
    """Each thread has an object of its own."""
    return steer(execution=Execution.objects.get(pk=pk), actor=SYSTEM, now=NOON)
