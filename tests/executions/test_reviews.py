"""A person resolves what nobody can know (S12)."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import Invalid
from executions.models import Execution, Review
from executions.selectors import final_variables
from executions.services import Quarantined, ReviewResolved, cancel_execution, resolve_review
from executions.services.resolving import OutputRefused, StepEnded
from executions.services.sweeping import sweep_once
from playbooks.cacao.types import Variable
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import (
    OTHER,
    PERSON,
    advance,
    change,
    claim,
    events,
    lose,
    open_reviews,
    run_of,
    state,
    statuses,
)
from tests.executions.histories import check_history
from tests.factories import NOON
from tests.flows.starting import Start


@pytest.fixture
def uncertain(start: Start) -> Execution:
    """An execution whose step ``a`` was lost in the middle of an unsafe call."""
    workflow = flow(
        act("a", on_success="b", on_failure="c", out_args=("__n__",)), act("b", on_success="end"),
        act("c", on_completion="end"), end(), first="a", variables={"__n__": Variable("__n__", type="integer")},
    )  # fmt: skip
    execution = start(workflow)
    advance(execution, "start")
    work = claim(execution, "a")
    change(work.run.id, "intent_fence = fence, effect = 'intended', effective_class = 'unsafe'")
    lose(work)
    sweep_once()
    assert state(execution)[0] == "paused"
    return execution


def resolve(execution: Execution, resolution: str, **more: Any) -> Review:
    review = Review.objects.filter(execution=execution).latest("opened_at")
    given = {"reason": "looked", "actor": PERSON, "now": NOON, **more}
    return resolve_review(review=review, resolution=resolution, **given)


def over(execution: Execution) -> None:
    """The quarantine is over."""
    change(run_of(execution, "a").pk, "quarantine_until = clock_timestamp() - interval '1 s'")


def test_it_happened_completes_the_step_with_the_output_that_is_typed_in(uncertain: Execution) -> None:
    resolve(uncertain, "happened", output=" 42 ")

    assert statuses(uncertain) == {"a": "completed", "b": "pending"}
    assert run_of(uncertain, "a").effect == "applied"
    assert final_variables(uncertain) == {"__n__": "42"}
    assert state(uncertain)[0] == "running"
    check_history(uncertain)


def test_an_output_that_does_not_fit_is_refused_and_the_review_stays_open(uncertain: Execution) -> None:
    with pytest.raises(OutputRefused):
        resolve(uncertain, "happened", output="many")

    assert len(open_reviews(uncertain)) == 1
    assert statuses(uncertain) == {"a": "uncertain"}


def test_trying_again_waits_for_the_quarantine(uncertain: Execution) -> None:
    with pytest.raises(Quarantined):
        resolve(uncertain, "again")
    assert statuses(uncertain) == {"a": "uncertain"}

    over(uncertain)
    resolve(uncertain, "again")
    advance(uncertain, "a")

    assert statuses(uncertain) == {"a": "completed", "b": "pending"}
    check_history(uncertain)


def test_what_is_tried_again_has_its_time_anew(uncertain: Execution) -> None:
    over(uncertain)
    change(run_of(uncertain, "a").pk, "deadline_at = clock_timestamp() - interval '1 h', lost_attempts = 2, tries = 2")
    resolve(uncertain, "again")
    sweep_once()

    found = run_of(uncertain, "a")
    assert (found.status, found.lost_attempts, found.tries, found.effect) == ("pending", 0, 0, "none")


def test_giving_up_follows_on_failure(uncertain: Execution) -> None:
    resolve(uncertain, "give_up", reason="nobody knows")

    assert statuses(uncertain) == {"a": "failed", "c": "pending"}
    assert run_of(uncertain, "a").message == "nobody knows"
    check_history(uncertain)


def test_a_review_is_resolved_once(uncertain: Execution) -> None:
    first = resolve(uncertain, "happened", output="1")

    with pytest.raises(ReviewResolved):
        resolve(uncertain, "give_up", actor=OTHER)
    first.refresh_from_db()
    assert (first.resolution, first.resolved_by) == ("happened", "someone")


def test_a_resolution_is_one_of_three_words(uncertain: Execution) -> None:
    with pytest.raises(Invalid, match="happened, again or give_up"):
        resolve(uncertain, "maybe")


def test_a_review_outlives_the_cancel_of_its_execution_and_then_moves_nothing(uncertain: Execution) -> None:
    cancel_execution(execution=uncertain, actor=PERSON, now=NOON)
    assert state(uncertain)[0] == "cancelled"
    assert len(open_reviews(uncertain)) == 1
    with pytest.raises(StepEnded):
        resolve(uncertain, "again")

    before = events(uncertain)
    resolve(uncertain, "happened", output="1")

    assert open_reviews(uncertain) == []
    assert (state(uncertain), events(uncertain)) == (("cancelled", "cancelled"), before)
    assert statuses(uncertain) == {"a": "cancelled"}


def test_a_step_that_is_uncertain_has_no_deadline_that_could_end_it(uncertain: Execution) -> None:
    change(run_of(uncertain, "a").pk, "deadline_at = clock_timestamp() - interval '1 h'")
    sweep_once()

    assert statuses(uncertain) == {"a": "uncertain"}
