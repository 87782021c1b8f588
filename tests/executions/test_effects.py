"""What follows a real call, by effect class and by what came back (the table of EXECUTION-SEMANTICS 7)."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Tenant
from connectors import dispatch
from connectors.base import ProbeAnswer, unknown
from executions.leases import Holding
from executions.models import Attempt, Execution, Review
from executions.performed import Performed
from executions.performing import perform
from executions.services.claiming import Work
from executions.services.recording import record_outcome
from executions.services.sweeping import sweep_once
from executions.tasks import run_from
from playbooks.cacao.types import RetryPolicy
from tests.connectors.servers import Reply, Server, json_reply, ledger
from tests.executions.acting import (
    advance,
    attempts,
    change,
    claim,
    connect,
    lose,
    one_step,
    open_reviews,
    post,
    record,
    run_of,
    state,
)
from tests.executions.histories import check_history
from tests.flows.starting import Start

CUT, BUSY, BROKEN, REFUSED = Reply(manner="cut"), Reply(429, headers={"Retry-After": "7"}), Reply(500), Reply(404)


def run(execution: Execution, step: str = "p") -> Any:
    """Let a worker act on what is due now; what it retries is due at once."""
    change(run_of(execution, step).pk, "due_at = LEAST(due_at, clock_timestamp())")
    run_from(run_of(execution, step).pk)
    return run_of(execution, step)


def begun(start: Start, **more: Any) -> Execution:
    execution = start(one_step(post("p", **more)))
    advance(execution, "start")
    return execution


def keys(server: Server) -> set[str]:
    return {received.headers.get("idempotency-key", "-") for received in server.requests}


@pytest.mark.parametrize("reply", [CUT, BROKEN, BUSY])
def test_a_keyed_call_is_made_again_with_the_same_key(start: Start, effects: Server, reply: Reply) -> None:
    execution = begun(start)
    effects.answers.append(reply)

    assert run(execution).status == "retrying"
    assert run(execution).status == "completed"
    assert keys(effects) == {str(run_of(execution, "p").pk)}
    assert list(effects.state.applied.values()) == [1]
    assert state(execution)[0] == "completed"


def test_a_far_side_that_asks_to_wait_is_left_alone_that_long(start: Start, effects: Server) -> None:
    execution = begun(start)
    effects.answers.append(BUSY)
    found = run(execution)

    assert 5 < (found.due_at - execution.created_at).total_seconds() < 20
    assert found.effect == "none"


def test_a_clear_no_is_not_tried_again(start: Start, effects: Server) -> None:
    execution = begun(start)
    effects.answers.append(REFUSED)
    run(execution)

    assert state(execution) == ("failed", "command_failed")
    assert (run_of(execution, "p").effect, open_reviews(execution)) == ("none", [])
    assert len(effects.requests) == 1


@pytest.mark.parametrize("reply", [CUT, BROKEN])
def test_after_three_tries_whose_effect_nobody_knows_the_step_fails_under_review(
    start: Start, effects: Server, reply: Reply
) -> None:
    execution = begun(start)
    effects.answers.extend([reply] * 3)
    for _ in range(3):
        run(execution)

    assert state(execution)[0] == "failed"
    assert run_of(execution, "p").effect == "unknown"
    assert len(open_reviews(execution)) == 1


def test_a_later_no_does_not_hide_what_an_earlier_try_may_have_done(start: Start, effects: Server) -> None:
    execution = begun(start)
    effects.answers.extend([CUT, REFUSED])
    run(execution)
    run(execution)

    assert state(execution)[0] == "failed"
    assert (run_of(execution, "p").effect, len(open_reviews(execution))) == ("unknown", 1)


def test_nor_does_a_connection_that_is_gone_by_then(start: Start, effects: Server, tenant: Tenant) -> None:
    from connectors.models import Connection

    execution = begun(start)
    effects.answers.append(CUT)
    run(execution)
    Connection.objects.filter(tenant=tenant).delete()
    run(execution)

    assert state(execution) == ("failed", "no_connection")
    assert (run_of(execution, "p").effect, len(open_reviews(execution))) == ("unknown", 1)


def test_an_unsafe_call_without_an_answer_is_put_to_a_person(start: Start, effects: Server, tenant: Tenant) -> None:
    connect(tenant, effects, keyed=False)
    execution = begun(start, retry=RetryPolicy(attempts=5))
    effects.answers.append(CUT)

    found = run(execution)

    assert (found.status, found.effect) == ("uncertain", "unknown")
    assert (len(effects.requests), len(open_reviews(execution))) == (1, 1)
    assert state(execution)[0] == "paused"


def test_an_unsafe_call_that_failed_is_made_again_only_where_the_author_says_so(
    start: Start, effects: Server, tenant: Tenant
) -> None:
    connect(tenant, effects, keyed=False)
    effects.answers.extend([BROKEN, BROKEN])
    once, twice = begun(start), begun(start, retry=RetryPolicy(attempts=2))

    assert run(once).status == "failed"
    assert len(open_reviews(once)) == 1
    assert run(twice).status == "retrying"
    assert run(twice).status == "completed"


def test_a_refused_connection_sends_nothing_and_is_tried_again(start: Start, effects: Server, tenant: Tenant) -> None:
    with ledger() as gone:
        connect(tenant, gone, keyed=False)
    execution = begun(start)
    found = run(execution)

    assert (found.status, found.effect) == ("retrying", "none")
    for _ in range(2):
        found = run(execution)
    assert (found.status, found.effect, open_reviews(execution)) == ("failed", "none", [])
    assert attempts(execution, "p") == ["failed"] * 3


def test_an_answer_that_cannot_be_read_leaves_the_effect_unknown(start: Start, effects: Server) -> None:
    execution = begun(start)
    effects.answers.append(Reply(200, b"x" * 100, manner="half"))
    found = run(execution)

    assert found.status in ("retrying", "failed")
    assert found.effect in ("intended", "unknown")


def test_a_repeatable_call_is_not_repeated_once_its_key_is_forgotten(start: Start, effects: Server) -> None:
    execution = begun(start)
    effects.answers.append(CUT)
    run(execution)
    change(run_of(execution, "p").pk, "class_valid_until = clock_timestamp() - interval '1 s'")

    assert run(execution).status == "uncertain"
    assert (len(effects.requests), len(open_reviews(execution))) == (1, 1)


def test_nor_when_the_connection_has_become_unsafe_since(start: Start, effects: Server, tenant: Tenant) -> None:
    execution = begun(start)
    effects.answers.append(CUT)
    run(execution)
    connect(tenant, effects, keyed=False)

    assert run(execution).status == "uncertain"
    assert len(effects.requests) == 1


def test_a_read_has_no_intent_and_no_effect(start: Start, effects: Server) -> None:
    execution = begun(start, method="GET", path="/effect/x")
    effects.answers.extend([CUT, json_reply({"found": 1})])
    run(execution)
    found = run(execution)

    assert (found.status, found.effect, found.intent_fence) == ("completed", "none", 0)


def test_what_was_intended_and_not_sent_is_handed_back_without_a_trace(start: Start, effects: Server) -> None:
    execution = begun(start)
    work = claim(execution, "p")
    lose(work)
    with pytest.raises(Exception, match="lease"):
        act(work)

    assert effects.requests == []
    assert run_of(execution, "p").effect == "none"


def act(work: Work) -> None:
    holding = Holding(work.run.id, work.run.fence, asked_at=work.asked_at, lease=30)
    record_outcome(work=work, performed=perform(work, holding), carry_on=False)


class Asked:
    """Stands where the far side is asked; the connector's own probes are tested with the connectors."""

    def __init__(self, *answers: ProbeAnswer) -> None:
        self.answers = list(answers)
        self.times = 0

    def __call__(self, *_: object, **__: object) -> tuple[ProbeAnswer, None]:
        self.times += 1
        return self.answers[min(self.times, len(self.answers)) - 1], None


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make every call one that can be asked for, and let a test say what the far side answers."""
    from dataclasses import replace

    from connectors.base import EffectClass

    real = dispatch.plan

    def plan(**given: Any) -> dispatch.Plan:
        return replace(real(**given), effect=EffectClass.PROBE)

    def answering(*answers: ProbeAnswer) -> Asked:
        asked = Asked(*answers)
        monkeypatch.setattr(dispatch, "plan", plan)
        monkeypatch.setattr(dispatch, "probe", asked)
        return asked

    return answering


def test_what_the_far_side_says_is_there_is_not_done_again(start: Start, effects: Server, probed: Any) -> None:
    asked = probed(ProbeAnswer.THERE)
    execution = begun(start)
    effects.answers.append(CUT)
    run(execution)

    assert run(execution).status == "completed"
    assert (asked.times, len(effects.requests)) == (1, 1)
    assert run_of(execution, "p").effect == "applied"


def test_what_is_not_there_is_done_again_at_most_three_times(start: Start, effects: Server, probed: Any) -> None:
    asked = probed(ProbeAnswer.NOT_THERE)
    execution = begun(start)
    effects.answers.extend([CUT, CUT, CUT])
    for _ in range(4):
        run(execution)

    assert state(execution)[0] == "failed"
    assert (asked.times, len(effects.requests)) == (3, 3)
    assert (run_of(execution, "p").effect, open_reviews(execution)) == ("none", [])


def test_a_far_side_that_cannot_tell_is_asked_a_few_times_and_then_a_person_is(
    start: Start, effects: Server, probed: Any
) -> None:
    asked = probed(ProbeAnswer.CANNOT_TELL)
    execution = begun(start)
    effects.answers.append(CUT)
    found = run(execution)
    for _ in range(5):
        if found.status != "retrying":
            break
        found = run(execution)

    assert (found.status, found.effect) == ("uncertain", "unknown")
    assert (asked.times, len(effects.requests), len(open_reviews(execution))) == (2, 1, 1)


def test_the_last_try_of_a_probe_is_asked_for_before_it_is_given_up(start: Start, effects: Server, probed: Any) -> None:
    probed(ProbeAnswer.NOT_THERE, ProbeAnswer.NOT_THERE, ProbeAnswer.THERE)
    execution = begun(start)
    effects.answers.extend([BROKEN, BROKEN, BROKEN])
    for _ in range(4):
        run(execution)

    assert state(execution)[0] == "completed"
    assert len(effects.requests) == 3


def asked_in_vain(start: Start, effects: Server) -> Execution:
    """A call whose answer was cut off, and a far side that could not tell three times."""
    execution = begun(start)
    effects.answers.append(CUT)
    for _ in range(3):
        run(execution)
    assert run_of(execution, "p").status == "uncertain"
    return execution


def let_it_be_asked_again(execution: Execution) -> None:
    change(run_of(execution, "p").pk, "due_at = clock_timestamp(), quarantine_until = clock_timestamp()")
    sweep_once()


def test_a_far_side_that_could_not_tell_is_asked_again_and_a_clear_answer_closes_the_review(
    start: Start, effects: Server, probed: Any
) -> None:
    asked = probed(*[ProbeAnswer.CANNOT_TELL] * 2, ProbeAnswer.THERE)
    execution = asked_in_vain(start, effects)
    assert sweep_once() == 0  # a minute has to pass
    let_it_be_asked_again(execution)

    assert (run_of(execution, "p").status, run_of(execution, "p").effect) == ("pending", "intended")
    assert run(execution).status == "completed"
    assert state(execution)[0] == "completed"
    assert (asked.times, len(effects.requests)) == (3, 1)
    assert open_reviews(execution) == []
    [review] = Review.objects.filter(execution=execution)
    assert (review.resolution, review.resolved_by) == ("happened", "the far side")
    check_history(execution)


def test_what_turns_out_not_to_be_there_is_done_after_all(start: Start, effects: Server, probed: Any) -> None:
    probed(*[ProbeAnswer.CANNOT_TELL] * 2, ProbeAnswer.NOT_THERE)
    execution = asked_in_vain(start, effects)
    let_it_be_asked_again(execution)
    run(execution)

    assert state(execution)[0] == "completed"
    assert len(effects.requests) == 2
    [review] = Review.objects.filter(execution=execution)
    assert (review.status, review.resolution) == ("resolved", "again")
    check_history(execution)


def test_the_waits_between_the_rounds_grow_and_end(start: Start, effects: Server, probed: Any) -> None:
    from executions.services.asking_again import ROUNDS

    probed(ProbeAnswer.CANNOT_TELL)
    execution = asked_in_vain(start, effects)
    waits = []
    for rounds in (0, 1, 2, 9, ROUNDS):
        found = run_of(execution, "p")
        change(found.pk, f"note = note || '{{\"asked_again\": {max(rounds - 1, 0)}}}'")
        if rounds:
            let_it_be_asked_again(execution)
            for _ in range(3):
                run(execution)
        found = run_of(execution, "p")
        assert found.status == "uncertain"
        last = Attempt.objects.filter(step_run=found).latest("number").ended_at
        assert last is not None
        waits.append(None if found.due_at is None else round((found.due_at - last).total_seconds() / 60))

    assert waits == [1, 2, 4, 60, None]
    assert len(open_reviews(execution)) == 1
    assert len(effects.requests) == 1


def test_while_the_far_side_is_asked_a_person_waits(start: Start, effects: Server, probed: Any) -> None:
    from django.utils import timezone

    from core.actors import SYSTEM
    from executions.services import resolve_review
    from executions.services.resolving import BeingAsked

    probed(ProbeAnswer.CANNOT_TELL)
    execution = asked_in_vain(start, effects)
    let_it_be_asked_again(execution)
    [review] = open_reviews(execution)
    given: Any = {"review": review, "resolution": "give_up", "reason": "", "actor": SYSTEM, "now": timezone.now()}
    with pytest.raises(BeingAsked):
        resolve_review(**given)
    assert len(open_reviews(execution)) == 1

    for _ in range(3):
        run(execution)
    resolve_review(**given)
    assert state(execution)[0] == "failed"


def test_a_held_execution_asks_nobody_again(start: Start, effects: Server, probed: Any) -> None:
    from core.actors import SYSTEM
    from executions.services import pause_execution
    from tests.factories import NOON

    probed(ProbeAnswer.CANNOT_TELL)
    execution = asked_in_vain(start, effects)
    pause_execution(execution=execution, actor=SYSTEM, now=NOON)
    let_it_be_asked_again(execution)

    assert run_of(execution, "p").status == "uncertain"


def test_an_unsafe_step_is_never_asked_for(start: Start, effects: Server) -> None:
    execution = start(one_step(post("p", "/effect/unkeyed")))
    advance(execution, "start")
    work = claim(execution, "p")
    record(work, Performed(unknown("cut"), effect_class="unsafe", is_intended=True))

    found = run_of(execution, "p")
    assert (found.status, found.due_at) == ("uncertain", None)
