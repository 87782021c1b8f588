"""The end of an execution against its cancel, and the end of a child against its parent's (EXECUTION-SEMANTICS 9)."""

from __future__ import annotations

from functools import partial

from core.actors import SYSTEM
from executions.models import Execution
from executions.services import ExecutionEnded, cancel_execution
from executions.services.children import settle_child
from executions.tasks import run_from
from playbooks.cacao.types import Step, StepType
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import advance, answer, asked, claim, record, run_of, state
from tests.executions.histories import check_history
from tests.executions.test_answering import ask
from tests.factories import NOON
from tests.flows.starting import Start, store_workflow
from tests.races.racing import racers, staggered, until_both_win

ONE = flow(act("a", on_success="end"), end(), first="a")


def cancel(execution: Execution) -> Execution:
    return cancel_execution(execution=execution, actor=SYSTEM, now=NOON)


def test_an_execution_is_completed_or_cancelled_and_the_loser_is_told(start: Start) -> None:
    with racers(2) as threads:

        def play(number: int) -> str:
            execution = start(ONE)
            advance(execution, "start")
            work = claim(execution, "a")
            _, told = threads.run(staggered(number, partial(record, work), partial(cancel, execution)))

            found = state(execution)[0]
            assert isinstance(told, ExecutionEnded) == (found == "completed"), told
            assert run_of(execution, "a").status == "completed"
            check_history(execution)
            return found

        until_both_win(play, "completed", "cancelled")


def test_an_answer_counts_or_the_cancel_does(start: Start) -> None:
    with racers(2) as threads:

        def play(number: int) -> str:
            execution = start(flow(ask(on_success="b"), act("b", on_success="end"), end(), first="q"))
            advance(execution, "start")
            request = asked(execution, "q")
            answered, _ = threads.run(staggered(number, partial(answer, request), partial(cancel, execution)))

            assert state(execution)[0] == "cancelled"
            request.refresh_from_db()
            assert request.status == ("cancelled" if isinstance(answered, Exception) else "answered")
            check_history(execution)
            return request.status

        until_both_win(play, "answered", "cancelled")


def test_a_childs_end_meets_its_parents_cancel(start: Start) -> None:
    with racers(2) as threads:

        def play(number: int) -> str:
            child = store_workflow(start.args[0], ONE)  # type: ignore[attr-defined]
            step = Step(id="call", type=StepType.PLAYBOOK_ACTION, playbook_id=child.playbook.cacao_id, on_success="b")
            parent = start(flow(step, act("b", on_success="end"), end(), first="call"))
            run_from(run_of(parent, "start").pk)
            inner = Execution.objects.get(parent_step_run__execution=parent)
            advance(inner, "start")
            work = claim(inner, "a")

            def finish() -> bool:
                record(work)
                return settle_child(run_of(parent, "call").pk)

            moved, cancelled = threads.run(staggered(number, finish, partial(cancel, parent)))

            assert not isinstance(cancelled, Exception)
            assert state(parent)[0] == "cancelled"
            assert state(inner)[0] in ("completed", "cancelled")
            assert run_of(parent, "call").status == ("completed" if moved is True else "cancelled")
            check_history(parent)
            check_history(inner)
            return f"child {state(inner)[0]}"

        until_both_win(play, "child completed", "child cancelled")
