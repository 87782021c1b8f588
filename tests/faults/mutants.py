"""The product without one of its guards: a mutant replaces one function, at the start of a test or of a process.

Nothing in the product knows of this. A mutant that turns no invariant red shows a hole in the tests, not in the guard.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from django.db import OperationalError, connection, transaction
from django.utils import timezone

from executions import approving, carry, dispatching, performing, preparing, statements, turn
from executions.engine import decide
from executions.models import StepRun
from executions.services import claiming, recording, resolving, starting, sweeping
from executions.switches import SWITCHED_PLAN
from tests.faults import decisive
from tests.faults.decisive import Scenario

Patch = AbstractContextManager[Any]


@dataclass(frozen=True)
class Mutant:
    """``breaks``: the invariants of which at least one must turn red."""

    id: str
    guard: str
    scenario: Scenario
    breaks: tuple[str, ...]
    patches: Callable[[], list[Patch]]

    @contextmanager
    def put_in(self) -> Iterator[None]:
        with ExitStack() as stack:
            for found in self.patches():
                stack.enter_context(found)
            yield


#: guards that are not there yet, or that another suite holds; each becomes a mutant with its guard
PENDING = {
    "M16": "state in a message's countdown instead of a row: no code sends one, and F11 empties the broker",
    "M23": "no scrubber: tests/security and the canary run hold it",
}


def _sql(name: str, *changes: tuple[str, str]) -> Patch:
    """A statement of the per-step path without one of its conditions."""
    text = getattr(statements, name)
    for old, new in changes:
        assert old in text, f"{name} no longer has {old!r}"
        text = text.replace(old, new)
    return patch.object(statements, name, text)


def _key_per_attempt() -> list[Patch]:
    calls_of = preparing.calls_of

    def fresh(work: Any) -> Any:
        return [replace(call, key=f"{call.key}.{work.run.fence}") for call in calls_of(work)]

    return [patch.object(performing, "calls_of", fresh)]


def _any_fence_may_write() -> list[Patch]:
    return [
        patch.object(statements, "holds_fence", lambda *_: True),
        patch.object(statements, "end_held_attempt", lambda *_, **__: (True, True)),
    ]


def _no_fence_in_record() -> list[Patch]:
    return [
        *_any_fence_may_write(),
        _sql(
            "OUTCOME", ("AND fence = %s AND status || '' = 'running'", "AND (fence = %s OR status || '' = 'running')")
        ),
    ]


def _renewal_of_anybody() -> list[Patch]:
    whose = ("AND s.fence = held.fence ", ""), ("RETURNING s.id, s.fence", "RETURNING s.id, held.fence")
    return [_sql("RENEW", *whose)]


def _clock_of_the_worker() -> list[Patch]:
    """``clock_timestamp()`` becomes what the worker's own clock says."""
    patches: list[Patch] = []
    for name in ("_one", "_all", "_count"):
        real = getattr(statements, name)

        def skewed(sql: str, args: Any, real: Any = real) -> Any:
            return real(sql.replace("clock_timestamp()", f"'{timezone.now().isoformat()}'::timestamptz"), args)

        patches.append(patch.object(statements, name, skewed))
    return patches


def _unlocked_claim() -> list[Patch]:
    turn_of = turn.turn_of

    @contextmanager
    def unlocked(execution_id: Any) -> Iterator[Any]:
        with _sql("LOCK", (" FOR UPDATE", "")), turn_of(execution_id) as found:
            yield found

    return [patch.object(claiming, "turn_of", unlocked)]


def _join_by_counter() -> list[Patch]:
    ended: Counter[tuple[str, str]] = Counter()

    def counted(self: Any, opener: Any, path: str, *, broke: bool) -> None:
        ended[opener.id, path] += 1
        if ended[opener.id, path] == len(opener.next_steps):
            self._opener_done(opener, path)

    return [patch.object(decide.Walk, "_join", counted)]


def _visit_from_memory() -> list[Patch]:
    numbers: dict[str, Any] = {}
    again = decide.Walk._again

    def remembered(self: Any, loop: Any, path: str, ended: Any) -> None:
        number = next(numbers.setdefault(loop.id, itertools.count(1)))
        again(self, loop, path, replace(ended, position=number))

    return [patch.object(decide.Walk, "_again", remembered)]


def _blind_repeat() -> list[Patch]:
    def until_committed(work: Any, act: Callable[[bool], Any]) -> Any:
        try:
            return act(False)
        except OperationalError:
            connection.close()
        blind = _sql("OUTCOME", ("AND fence = %s AND status || '' = 'running'", "AND fence = %s"))
        with ExitStack() as stack:
            for found in (*_any_fence_may_write(), blind):
                stack.enter_context(found)
            return act(True)

    return [patch.object(recording, "until_committed", until_committed)]


def _assumed_done() -> list[Patch]:
    def until_committed(work: Any, act: Callable[[bool], Any]) -> Any:
        try:
            return act(False)
        except OperationalError:
            connection.close()
            return None

    return [patch.object(recording, "until_committed", until_committed)]


@contextmanager
def _without_start_key_constraint() -> Iterator[None]:
    """In the test's own database, and put back."""
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX one_execution_per_start_key")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE executions_execution SET start_key = NULL")
            cursor.execute(
                "CREATE UNIQUE INDEX one_execution_per_start_key ON executions_execution (tenant_id, start_key)"
                " WHERE start_key IS NOT NULL"
            )


def _read_then_write() -> list[Patch]:
    from manual import services as manual
    from manual.models import ManualRequest

    def answer(*, request: Any, answer: Any, actor: Any, now: Any) -> Any:
        if request.status != "open":
            raise manual.RequestGone("It was answered.")
        stored: dict[str, Any] = {"status": "success" if answer.success else "failure", "values": {}, "comment": ""}
        ManualRequest.objects.filter(pk=request.pk).update(
            status="answered", answer=stored, answered_at=now, answered_by=actor.name
        )
        return ManualRequest.objects.get(pk=request.pk)

    return [patch.object(manual, "answer", answer)]


def _announced_before_commit() -> list[Patch]:
    def at_once(act: Callable[[], None], **_: Any) -> None:
        act()

    class Now:
        atomic = staticmethod(transaction.atomic)
        on_commit = staticmethod(at_once)

    return [patch.object(module, "transaction", Now) for module in (turn, starting)]


def _failed_without_a_review() -> list[Patch]:
    return [patch.object(module, "open_review", lambda *_, **__: None) for module in (sweeping, recording)]


def _no_guard_in_the_sweep() -> list[Patch]:
    return [patch.object(sweeping, "_locked", lambda run_id, *_: StepRun.objects.get(pk=run_id))]


def _republish_without_window() -> list[Patch]:
    """However many nudges wait, there is room, and what was published an age ago counts as missing."""
    room = {dispatching.SLOTS: (1000,), dispatching.OUTSTANDING: (1000, 0, 1000)}
    return [
        patch.object(dispatching, "_queue_length", lambda: 0),
        patch.object(dispatching, "_row", room.__getitem__),
    ]


def _backlog_first() -> list[Patch]:
    text = dispatching.PICK
    assert " 0 AS lane" in text
    return [patch.object(dispatching, "PICK", text.replace(" 0 AS lane", " 1 AS lane"))]


def _any_approval_will_do() -> list[Patch]:
    compared = approving.to_approve

    def blind(work: Any, plan: Any) -> Any:
        return None if work.run.note.get(approving.NOTE) else compared(work, plan)

    return [patch.object(approving, "to_approve", blind)]


def _by_due_time() -> list[Patch]:
    text = dispatching.PICK
    assert "ORDER BY r.lane > 0, r.share, " in text
    return [patch.object(dispatching, "PICK", text.replace("ORDER BY r.lane > 0, r.share, ", "ORDER BY r.lane > 0, "))]


def _switch_from_a_cache() -> list[Patch]:
    """What the intent would ask was read before the switch was set."""
    return [_sql("INTENT", (f"AND NOT {SWITCHED_PLAN}", ""))]


def _record_without(*conditions: str) -> list[Patch]:
    """The one statement that records and carries on, without some of what it asks of the rows it locks."""
    whole = carry._statement

    def without(follows: str, **more: Any) -> str:
        text = whole(follows, **more)
        for condition in conditions:
            assert condition in text, f"the statement no longer has {condition!r}"
            text = text.replace(condition, "")
        return text

    return [patch.object(carry, "_statement", without)]


def _claim_without(*conditions: str) -> list[Patch]:
    text = carry.CLAIM
    for condition in conditions:
        assert condition in text, f"the claim no longer has {condition!r}"
        text = text.replace(condition, "")
    return [patch.object(carry, "CLAIM", text)]


def _commits_acknowledged_early() -> list[Patch]:
    from tests.faults import power_cut

    return [patch.object(power_cut, "SETTINGS", {**power_cut.SETTINGS, "synchronous_commit": "off"})]


MUTANTS = {
    mutant.id: mutant
    for mutant in (
        Mutant(
            "M01", "one key for all attempts of a step run", decisive.a_worker_is_lost_after_a_keyed_call,
            ("I7",), _key_per_attempt,
        ),
        Mutant(
            "M02", "the sweep", decisive.a_worker_is_lost_after_a_keyed_call,
            ("I1",), lambda: [patch.object(sweeping, "sweep_once", lambda: 0)],
        ),
        Mutant(
            "M03", "the fence in Record", decisive.a_frozen_worker_wakes_up_and_records,
            ("I5",), _no_fence_in_record,
        ),
        Mutant(
            "M04", "the fence in a renewal", decisive.a_frozen_worker_wakes_up_and_renews,
            ("I6",), _renewal_of_anybody,
        ),
        Mutant(
            "M05", "the intent before a call", decisive.a_worker_is_lost_after_an_unsafe_call,
            ("I8", "I9"), lambda: [patch.object(statements, "note_intent", lambda *_, **__: statements.Noted())],
        ),
        Mutant(
            "M06", "S11: a lost unsafe call is no pending one", decisive.a_worker_is_lost_after_an_unsafe_call,
            ("I8",), lambda: [patch.object(sweeping, "_counts_as_unsafe", lambda _: False)],
        ),
        Mutant(
            "M07", "the database's clock", decisive.a_workers_clock_is_wrong, ("I20",), _clock_of_the_worker,
        ),
        Mutant(
            "M08", "a claim locks its execution", decisive.a_pause_meets_a_claim, ("I17",), _unlocked_claim,
        ),
        Mutant(
            "M09", "the stop in the intent", decisive.a_stop_meets_an_intent,
            ("I18",), lambda: [_sql("INTENT", (" AND stop_as = ''", ""))],
        ),
        Mutant(
            "M10", "a join reads the rows", decisive.a_branchs_end_is_rolled_back_once, ("I12",), _join_by_counter,
        ),
        Mutant(
            "M11", "a visit's number is stored", decisive.a_visits_end_is_rolled_back_once,
            ("I13",), _visit_from_memory,
        ),
        Mutant(
            "M12", "a commit in doubt is not repeated blindly", decisive.the_answer_to_a_commit_is_lost,
            ("I10",), _blind_repeat,
        ),
        Mutant(
            "M13", "a commit in doubt is not taken for done", decisive.the_answer_to_a_commit_is_lost,
            ("I10",), _assumed_done,
        ),
        Mutant(
            "M14", "the window of the dispatcher", decisive.a_backlog_waits_for_few_workers,
            ("I21",), _republish_without_window,
        ),
        Mutant(
            "M15", "lost work goes first", decisive.a_lost_step_stands_behind_a_backlog, ("I21",), _backlog_first,
        ),
        Mutant(
            "M17", "the start key is unique", decisive.equal_starts_come_at_once,
            ("I16",), lambda: [_without_start_key_constraint()],
        ),
        Mutant(
            "M18", "an answer is one guarded UPDATE", decisive.two_people_answer_what_both_have_seen_open,
            ("I14",), _read_then_write,
        ),
        Mutant(
            "M19", "the digest of an approval", decisive.the_target_changes_after_the_vote,
            ("I15",), _any_approval_will_do,
        ),
        Mutant(
            "M20", "lost attempts are counted", decisive.a_step_kills_whoever_claims_it,
            ("I24",), lambda: [patch.object(sweeping, "LOST_ATTEMPTS", 10**6)],
        ),
        Mutant(
            "M21", "events are announced after the commit", decisive.a_stream_looks_as_soon_as_it_is_told,
            ("I23",), _announced_before_commit,
        ),
        Mutant(
            "M22", "tenants by what they had, not by due time", decisive.a_small_tenant_stands_beside_a_backlog,
            ("I22",), _by_due_time,
        ),
        Mutant(
            "M24", "what is uncertain is put to a person", decisive.a_worker_is_lost_after_an_unsafe_call,
            ("I9",), _failed_without_a_review,
        ),
        Mutant(
            "M25", "the quarantine before a person's retry", decisive.a_person_orders_a_retry_at_once,
            ("I6",), lambda: [patch.object(resolving, "_check_again", lambda *_, **__: None)],
        ),
        Mutant(
            "M26", "the pause when a worker carries on", decisive.a_worker_carries_on_after_a_pause,
            ("I17",), lambda: [patch.object(turn.Turn, "may_claim", property(lambda found: found.is_live))],
        ),
        Mutant(
            "M27", "the sweep looks again under the lock", decisive.a_sweep_acts_on_what_it_saw_before,
            ("I4",), _no_guard_in_the_sweep,
        ),
        Mutant(
            "M28", "a commit is on disk before it is acknowledged", decisive.the_servers_power_fails,
            ("I1",), _commits_acknowledged_early,
        ),
        Mutant(
            "M29", "the kill switch inside the intent", decisive.a_switch_is_set_between_two_calls,
            ("SEC-66",), _switch_from_a_cache,
        ),
        Mutant(
            "M30", "the fence in the statement that records and carries on",
            decisive.a_frozen_worker_wakes_up_and_carries_on, ("I5",),
            lambda: _record_without(" AND s.fence = %(fence)s"),
        ),
        Mutant(
            "M31", "the pause in the statement that records and carries on",
            decisive.a_worker_carries_on_after_a_pause, ("I17",),
            lambda: _record_without(" AND e.status || '' = 'running'", " AND e.held_at IS NULL"),
        ),
        Mutant(
            "M32", "the stop in the statement that records and carries on",
            decisive.a_worker_carries_on_after_a_stop, ("I18",), lambda: _record_without(" AND e.stop_as = ''"),
        ),
        Mutant(
            "M33", "a claim looks again at what it locks", decisive.two_workers_have_seen_the_same_step_due,
            ("I4",), lambda: _claim_without(
                " AND e.status || '' = %(status)s", " AND s.fence = %(fence)s",
                " AND s.status || '' IN ('pending', 'retrying')",
            ),
        ),
        Mutant(
            "M34", "a claim looks again at its execution", decisive.a_pause_comes_between_a_look_and_a_claim,
            ("I17",), lambda: _claim_without(" AND e.status || '' = %(status)s", " AND e.held_at IS NULL"),
        ),
    )
}  # fmt: skip

#: the smallest set that every change is held against
ALWAYS = ("M01", "M02", "M03", "M05", "M08", "M12", "M18")


def put_in(name: str) -> None:
    """Put a mutant into this process, until it ends. Refused where the settings are not those of a development."""
    from django.conf import settings

    assert settings.SALLYPORT_DEVELOPMENT, "mutants are for tests"
    MUTANTS[name].put_in().__enter__()
