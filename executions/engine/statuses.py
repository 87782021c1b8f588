"""The states of executions and step runs, and every legal move between them.

Source: EXECUTION-SEMANTICS 4 and 5, widened where the comments say so. ``move()`` on the querysets and the
statements of the per-step path are both held against these tables by one test.
"""

from __future__ import annotations

from enum import StrEnum


class ExecutionStatus(StrEnum):
    PENDING = "pending"  # accepted; nothing has begun
    RUNNING = "running"  # a step run was claimed or opened
    PAUSED = "paused"  # held by an operator, or everything live waits for something outside
    COMPLETED = "completed"  # the outermost scope reached an end
    FAILED = "failed"  # a failure left the outermost scope, a deadline passed, or a limit was reached
    CANCELLED = "cancelled"  # somebody cancelled


class StepStatus(StrEnum):
    PENDING = "pending"  # to be claimed once due
    RUNNING = "running"  # a worker holds the lease
    RETRYING = "retrying"  # a try failed; to be claimed again once due
    WAITING = "waiting"  # for a person, a timer, a child execution, a far side, or an opener's branches
    UNCERTAIN = "uncertain"  # nobody can know whether the effect took place; a review is open
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


LIVE_EXECUTION = frozenset({ExecutionStatus.PENDING, ExecutionStatus.RUNNING, ExecutionStatus.PAUSED})
FINAL_EXECUTION = frozenset(ExecutionStatus) - LIVE_EXECUTION
LIVE_STEP = frozenset(
    {StepStatus.PENDING, StepStatus.RUNNING, StepStatus.RETRYING, StepStatus.WAITING, StepStatus.UNCERTAIN}
)
FINAL_STEP = frozenset(StepStatus) - LIVE_STEP

E, S = ExecutionStatus, StepStatus

EXECUTION_MOVES: dict[ExecutionStatus, frozenset[ExecutionStatus]] = {
    E.PENDING: frozenset({E.RUNNING, E.PAUSED, E.FAILED, E.CANCELLED}),  # E2, hold of a pending one, E6, E7
    E.RUNNING: frozenset({E.PAUSED, E.COMPLETED, E.FAILED, E.CANCELLED}),  # E3, E5, E6, E7
    E.PAUSED: frozenset({E.PENDING, E.RUNNING, E.COMPLETED, E.FAILED, E.CANCELLED}),  # hold lifted, E4, E5, E6, E7
}

STEP_MOVES: dict[StepStatus, frozenset[StepStatus]] = {
    # S4; S14; S15; poison and undeliverable (S20); breaker open (S21); lost lease of a far worker is on WAITING
    S.PENDING: frozenset({S.RUNNING, S.TIMED_OUT, S.CANCELLED, S.FAILED, S.RETRYING}),
    # S5 to S11, S16; drained (S22) and lost (S10) go back to pending; S23 skips without a connection
    S.RUNNING: frozenset(
        {
            S.COMPLETED,
            S.WAITING,
            S.RETRYING,
            S.FAILED,
            S.TIMED_OUT,
            S.PENDING,
            S.UNCERTAIN,
            S.CANCELLED,
            S.SKIPPED,
        }
    ),
    S.RETRYING: frozenset({S.RUNNING, S.TIMED_OUT, S.CANCELLED, S.FAILED}),  # S4, S14, S15, S20
    # S13, S14, S15; S17 approval given, the step now acts; S18 a far worker's lease is lost; S19 callback says failed
    S.WAITING: frozenset(
        {S.COMPLETED, S.FAILED, S.TIMED_OUT, S.CANCELLED, S.PENDING, S.UNCERTAIN, S.RETRYING, S.SKIPPED}
    ),
    S.UNCERTAIN: frozenset({S.COMPLETED, S.FAILED, S.PENDING, S.CANCELLED}),  # S12, S15
}

#: How a step run may begin: S1, S2, S3, and control steps that fold into a commit (S1b).
STEP_BEGINNINGS = frozenset({S.PENDING, S.SKIPPED, S.WAITING, S.COMPLETED, S.FAILED})


class IllegalMove(Exception):
    """A bug: some code tried a move that no table allows."""


def check_execution_move(old: str, new: str) -> None:
    if ExecutionStatus(new) not in EXECUTION_MOVES.get(ExecutionStatus(old), frozenset()):
        raise IllegalMove(f"execution: {old} to {new}")


def check_step_move(old: str, new: str) -> None:
    if StepStatus(new) not in STEP_MOVES.get(StepStatus(old), frozenset()):
        raise IllegalMove(f"step run: {old} to {new}")
