"""Joins ledger, rows and events, and says what is wrong. Pure: a test hands it made-up evidence.

I-numbers are those of docs/execution.md. Per step run, r requests were received and a effects applied.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from executions.engine.statuses import EXECUTION_MOVES, STEP_BEGINNINGS, STEP_MOVES, ExecutionStatus, StepStatus
from tests.faults.evidence import AttemptRow, EventRow, Evidence, ExecutionRow, Line, ReviewRow, StepRow
from tests.faults.shapes import ACTING

FINAL = ("completed", "failed", "cancelled")
FINAL_STEP = ("completed", "failed", "timed_out", "skipped", "cancelled")
#: answers after which even an unsafe call is made again by itself: nothing was done, and the far side said when to come
TOLD_TO_WAIT = (408, 425, 429, 503)
#: seconds by which the clocks of the ledger's machine and the database's, one machine here, may seem to differ
SLACK = 1.0


@dataclass(frozen=True)
class Violation:
    """``figure``: what it counts as: lost, doubled, unflagged, unordered, or a word of its own."""

    figure: str
    invariant: str
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.invariant:4} {self.figure:12} {self.subject}: {self.message}"


@dataclass(frozen=True)
class Fault:
    """One fault that happened. ``workers``: how the names of the threads it hit begin; none: all of them.

    ``recovers``: what it costs is waited for: "held", the step runs that were held; "nudged", those whose nudge was
    under way; "", nothing in particular.
    """

    at: float
    kind: str
    workers: tuple[str, ...] = ()
    recovers: str = "held"


@dataclass
class Verdict:
    steps: int = 0
    executions: int = 0
    requests: int = 0
    lost: int = 0
    doubled: int = 0
    unflagged: int = 0
    unordered: int = 0
    uncertain: int = 0
    uncertain_applied: int = 0
    resent: int = 0
    poison: int = 0
    waiting: int = 0
    recoveries: list[float] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    def recovery(self, share: float) -> float | None:
        """Return a percentile of the recoveries in seconds, None where no fault hit anything."""
        ordered = sorted(self.recoveries)
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else None


def judge(found: Evidence, faults: Sequence[Fault] = (), *, call_limit: float = 10.0) -> Verdict:
    """``call_limit``: the longest that one call may take, seconds."""
    verdict = Verdict(executions=len(found.executions), requests=len(found.lines))
    verdict.steps = sum(1 for step in found.steps if step.status in FINAL_STEP)
    verdict.poison = sum(1 for step in found.steps if step.reason == "poison")
    verdict.resent = len(found.lines) - len({(line.step_run, line.key) for line in found.lines})
    for violation in _all(found, call_limit):
        verdict.violations.append(violation)
    figures = Counter(violation.figure for violation in verdict.violations)
    verdict.lost, verdict.unflagged = figures["lost"], figures["unflagged"]
    verdict.unordered = figures["unordered"]
    verdict.doubled = sum(max(count - 1, 0) for count in _applied(found, ("keyed", "idempotent", "probe")).values())
    _count_uncertain(found, verdict)
    verdict.recoveries = [seconds for fault in faults if (seconds := recovery_of(fault, found)) is not None]
    return verdict


def class_of(step_id: str) -> str:
    return step_id.partition("-")[0]


def _all(found: Evidence, call_limit: float) -> Iterator[Violation]:
    yield from _lost(found)
    yield from _effects(found)
    yield from _requests(found, call_limit)
    yield from _keys(found)
    yield from _histories(found)
    yield from _orphans(found)
    for place in found.canaries:
        yield Violation("secret", "I25", place, "a connection's secret can be read here")


# --- every accepted start ends or is listed (I1) ---


def _lost(found: Evidence) -> Iterator[Violation]:
    waiting = listed(found)
    there = {execution.id: execution for execution in found.executions}
    for accepted, count in Counter(found.accepted).items():
        if accepted not in there:
            yield Violation("lost", "I1", accepted, "it was accepted, and there is no such execution")
        elif count > 1:
            yield Violation("twice", "I16", accepted, f"{count} starts with different keys were answered with it")
    for execution in found.executions:
        if execution.status not in FINAL and execution.id not in waiting:
            live = [f"{step.step_id} {step.status}" for step in _live(found)[execution.id]]
            told = f"it is {execution.status} and waits for nothing that is listed: {', '.join(live) or 'no live step'}"
            yield Violation("lost", "I1", execution.id, told)


def listed(found: Evidence) -> set[str]:
    """The executions that wait for something that can be named: a person, a review, a hold, a child that does so."""
    reviewed = {review.step_run for review in found.reviews if review.status == "open"}
    live, children = _live(found), {each.parent_step_run: each for each in found.executions if each.parent_step_run}
    result: set[str] = set()

    def is_named(step: StepRow) -> bool:
        if step.status == "uncertain":
            return step.id in reviewed
        child = children.get(step.id)
        return step.id in found.asked or (child is not None and child.status not in FINAL and waits(child))

    def waits(execution: ExecutionRow) -> bool:
        # An opener waits for its branches, which say themselves what they wait for.
        others = [step for step in live[execution.id] if not (step.status == "waiting" and step.kind == "opener")]
        passive = all(step.status in ("uncertain", "waiting") and is_named(step) for step in others)
        return execution.held or (bool(others) and passive)

    for execution in found.executions:
        if execution.status not in FINAL and waits(execution):
            result.add(execution.id)
    return result


def _live(found: Evidence) -> dict[str, list[StepRow]]:
    live: dict[str, list[StepRow]] = defaultdict(list)
    for step in found.steps:
        if step.status not in FINAL_STEP:
            live[step.execution].append(step)
    return live


# --- effects (I7, I8, I9) ---


def _applied(found: Evidence, kinds: Sequence[str]) -> Counter[str]:
    wanted = {step.id for step in found.steps if class_of(step.step_id) in kinds}
    return Counter(line.step_run for line in found.lines if line.applied and line.step_run in wanted)


def _effects(found: Evidence) -> Iterator[Violation]:
    requests, attempts = found.by_step(found.lines), found.by_step(found.attempts)
    reviews = found.by_step(found.reviews)
    for step in found.steps:
        kind = class_of(step.step_id)
        if kind in ACTING:
            yield from _effect(step, kind, requests[step.id], attempts[step.id], reviews[step.id])


def _effect(
    step: StepRow, kind: str, lines: list[Line], attempts: list[AttemptRow], reviews: list[ReviewRow]
) -> Iterator[Violation]:
    applied = sum(line.applied for line in lines)
    subject = f"{step.step_id} {step.id}"
    if step.status == "completed" and applied == 0 and not any(review.resolution == "happened" for review in reviews):
        yield Violation("phantom", "I7", subject, "it is completed, and nothing took effect")
    if kind != "unsafe" and applied > 1:
        yield Violation("doubled", "I7", subject, f"it took effect {applied} times under one key")
    if kind == "unsafe":
        again = sum(review.resolution == "again" for review in reviews)
        told = sum(any(status in TOLD_TO_WAIT for status in attempt.calls) for attempt in attempts)
        if len(lines) > 1 + again + told:
            ordered = f"{1 + again + told} were ordered"
            yield Violation("unordered", "I8", subject, f"it was requested {len(lines)} times, and {ordered}")
        if applied > 1 + again:
            yield Violation("unordered", "I8", subject, f"it took effect {applied} times")
    if applied and step.status != "completed" and not (step.effect == "unknown" and reviews):
        told_of = f"it is {step.status} with the effect {step.effect!r} and {len(reviews)} reviews"
        yield Violation("unflagged", "I9", subject, f"it took effect {applied} times, and {told_of}")


def _count_uncertain(found: Evidence, verdict: Verdict) -> None:
    applied = Counter(line.step_run for line in found.lines if line.applied)
    reviewed = {review.step_run for review in found.reviews}
    verdict.uncertain = len(reviewed)
    verdict.uncertain_applied = sum(1 for run in reviewed if applied[run])
    verdict.waiting = len(listed(found))


# --- requests against attempts (I5, I6) ---


def _requests(found: Evidence, call_limit: float) -> Iterator[Violation]:
    """The product sends no time of its own: a request is held against the times of its attempt's row.

    An attempt that was lost ended when the sweep took it back, which is after its lease.
    """
    attempts = {(attempt.step_run, attempt.number): attempt for attempt in found.attempts}
    steps = {step.id for step in found.steps}
    highest: dict[str, int] = {}
    for line in found.lines:
        subject = f"line {line.line} of {line.step_run or '?'}"
        attempt = attempts.get((line.step_run, line.attempt))
        if line.step_run not in steps or attempt is None:
            yield Violation("stray", "I6", subject, f"there is no attempt {line.attempt} that it could come from")
            continue
        if line.wall < attempt.started_at - SLACK:
            yield Violation("lease", "I6", subject, "it came before its attempt had the lease")
        if attempt.ended_at is not None and line.wall > attempt.ended_at + call_limit + SLACK:
            late = line.wall - attempt.ended_at
            yield Violation("lease", "I6", subject, f"it came {late:.1f} s after its attempt had ended")
        if line.applied and line.attempt < highest.get(line.step_run, 0) and line.handling != "keyed":
            yield Violation("fence", "I5", subject, "an older attempt took effect after a newer one")
        if line.applied:
            highest[line.step_run] = max(highest.get(line.step_run, 0), line.attempt)


def _keys(found: Evidence) -> Iterator[Violation]:
    """One key a step run, the same in every attempt, and nobody else's (I11)."""
    owners: dict[str, str] = {}
    for line in found.lines:
        if line.key != line.step_run and not line.key.startswith(f"{line.step_run}."):
            yield Violation("key", "I11", f"line {line.line}", f"{line.step_run} was called with the key {line.key!r}")
        if owners.setdefault(line.key, line.step_run) != line.step_run:
            yield Violation("key", "I11", f"line {line.line}", f"the key {line.key!r} has two step runs")


# --- events (I3, I23) ---

EXECUTION_EVENTS = {
    "execution.started": ExecutionStatus.RUNNING,
    "execution.paused": ExecutionStatus.PAUSED,
    "execution.completed": ExecutionStatus.COMPLETED,
    "execution.failed": ExecutionStatus.FAILED,
    "execution.cancelled": ExecutionStatus.CANCELLED,
}


def _histories(found: Evidence) -> Iterator[Violation]:
    events: dict[str, list[EventRow]] = defaultdict(list)
    for event in found.events:
        events[event.execution].append(event)
    steps: dict[str, dict[str, str]] = defaultdict(dict)
    for step in found.steps:
        steps[step.execution][step.id] = step.status
    for execution in found.executions:
        told = events[execution.id]
        if [event.seq for event in told] != list(range(1, execution.last_seq + 1)):
            yield Violation("events", "I23", execution.id, "its events are not numbered 1 to the last without gap")
        yield from _replayed(execution, told, steps[execution.id])


def _replayed(execution: ExecutionRow, told: Iterable[EventRow], stored: dict[str, str]) -> Iterator[Violation]:
    status, has_started, seen = ExecutionStatus.PENDING, False, dict[str, StepStatus]()
    for event in told:
        new = _execution_status(event, has_started)
        if new is not None:
            has_started = has_started or event.type == "execution.started"
            if new != status and new not in EXECUTION_MOVES.get(status, ()):
                yield Violation("move", "I3", execution.id, f"{status} to {new} at event {event.seq}")
            status = new
        kind, _, word = event.type.partition(".")
        if kind == "step" and event.step_run:
            moved = StepStatus.RUNNING if word == "claimed" else StepStatus(word)
            old = seen.get(event.step_run)
            if moved not in (STEP_BEGINNINGS if old is None else STEP_MOVES.get(old, frozenset())):
                yield Violation("move", "I3", event.step_run, f"{old} to {moved} at event {event.seq}")
            seen[event.step_run] = moved
    if status != execution.status:
        yield Violation("events", "I23", execution.id, f"its events end {status}, its row is {execution.status}")
    if {run: found.value for run, found in seen.items()} != stored:
        odd = [run for run in seen.keys() | stored.keys() if seen.get(run) != stored.get(run)]
        yield Violation(
            "events", "I23", execution.id, f"events and rows differ in step runs {', '.join(sorted(odd)[:3])}"
        )


def _execution_status(event: EventRow, has_started: bool) -> ExecutionStatus | None:
    if event.type == "execution.resumed":
        return ExecutionStatus.RUNNING if has_started else ExecutionStatus.PENDING
    return EXECUTION_EVENTS.get(event.type)


# --- nothing left behind (section 6 of the plan) ---


def _orphans(found: Evidence) -> Iterator[Violation]:
    live, steps = _live(found), {step.id: step for step in found.steps}
    executions = {execution.id: execution for execution in found.executions}
    for alarm in found.alarms:
        yield Violation("orphan", "I1", "sweep", alarm)
    for execution in found.executions:
        if execution.status not in FINAL and not execution.held and not live[execution.id]:
            yield Violation("orphan", "I1", execution.id, "it is live, and no step of it is")
    for step in found.steps:
        if step.status == "running":
            yield Violation("orphan", "I1", step.id, f"{step.step_id} is still running after the drain")
        if step.status not in FINAL_STEP and executions[step.execution].status in FINAL:
            yield Violation("orphan", "I2", step.id, f"{step.step_id} is {step.status} in an execution that has ended")
    for run in found.asked:
        if run not in steps or steps[run].status != "waiting":
            yield Violation("orphan", "I14", run, "a question is open, and its step does not wait")
    for review in found.reviews:
        if review.status == "open" and review.step_run not in steps:
            yield Violation("orphan", "I9", review.step_run, "a review is open, and there is no such step run")
    if found.unsent:
        yield Violation("orphan", "I1", "outbox", f"{found.unsent} messages were never sent")


# --- recovery ---


def recovery_of(fault: Fault, found: Evidence) -> float | None:
    """Seconds from a fault until everything that it hit was taken up again; None where it hit nothing."""
    if fault.recovers == "held":
        return _held(fault, found)
    if fault.recovers == "nudged":
        return _nudged(fault, found)
    return None


def _held(fault: Fault, found: Evidence) -> float | None:
    """Until every attempt that was held is followed: by its own outcome, by the next claim, or by the sweep's word."""
    following = {(attempt.step_run, attempt.number): attempt for attempt in found.attempts}
    waits = []
    for attempt in found.attempts:
        if attempt.started_at > fault.at or (attempt.ended_at is not None and attempt.ended_at <= fault.at):
            continue
        if fault.workers and not attempt.worker.startswith(fault.workers):
            continue
        after = following.get((attempt.step_run, attempt.number + 1))
        is_followed = attempt.outcome in ("lost", "abandoned") and after is not None
        taken = after.started_at if is_followed and after is not None else attempt.ended_at
        if taken is not None:
            waits.append(taken - fault.at)
    return max(waits) if waits else None


def _nudged(fault: Fault, found: Evidence) -> float | None:
    """Until every step run that was there and not yet claimed is claimed."""
    firsts = {attempt.step_run: attempt.started_at for attempt in found.attempts if attempt.number == 1}
    waits = [
        firsts[step.id] - fault.at
        for step in found.steps
        if step.created_at <= fault.at and step.kind in ("act", "control") and firsts.get(step.id, 0.0) > fault.at
    ]
    return max(waits) if waits else None
