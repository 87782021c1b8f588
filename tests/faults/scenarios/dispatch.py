"""Sweepers that are not there or too many, nudges that lie, and people who steer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
from redis.exceptions import RedisError

from config.processes import status_of
from tests.faults.frame import Run, Scenario
from tests.faults.nodes import Shape

if TYPE_CHECKING:
    from tests.faults.evidence import Evidence
    from tests.faults.verdict import Verdict, Violation

LATE_AFTER = 15.0


def hurt_sweepers(run: Run) -> None:
    """None for a while, five at once, one killed every two seconds."""
    while not run.is_over:
        match len(run.faults) % 3:
            case 0:
                _none(run)
            case 1:
                _five(run)
            case _:
                _killed(run)
        run.wait(2)


def _none(run: Run) -> None:
    """Nothing is dispatched or repaired, and ``/health/ready`` says so."""
    from tests.faults.load import wait_for
    from tests.faults.verdict import Violation

    gone = run.stack.children("sweep")
    run.down += gone
    for sweep in gone:
        run.stack.kill(sweep)
    run.fault("none", recovers="")
    if not wait_for(lambda: status_of(run.stack.api_ports[0], "/health/ready") == 503, LATE_AFTER):
        told = f"/health/ready did not say within {LATE_AFTER:.0f} s that no sweep runs"
        run.violations.append(Violation("alarm", "-", "sweep_late", told))
    for sweep in gone:
        run.stack.start_again(sweep)


def _five(run: Run) -> None:
    more = [run.stack.start_sweep() for _ in range(4)]
    run.fault("five", recovers="")
    run.wait(2 * run.lease)
    run.down += more
    for sweep in more:
        run.stack.kill(sweep)
        run.stack.forget(sweep)


def _killed(run: Run) -> None:
    [sweep, *_] = run.stack.children("sweep")
    run.down.append(sweep)
    run.stack.kill(sweep)
    run.fault("killed", recovers="")
    run.stack.start_again(sweep)


# --- nudges ---

REAL = "SELECT id FROM executions_steprun ORDER BY random() LIMIT 20"
GARBAGE = (b"{broken", b"", b"\x80\x04\x95pickle", b"[1, 2, 3]", b'{"body": "e30=", "headers": {}}', b"null")


def nudge(run: Run) -> None:
    """Ring for steps that are over, running, not there, of another tenant; many times; and with what is no message."""
    from celery import current_app
    from kombu.exceptions import OperationalError

    from executions import queue

    while not run.is_over:
        try:
            ids: list[UUID] = [row[0] for row in run.stack.look(REAL)]
            again = [each for each in ids for _ in range(run.random.randint(1, 5))]
            run.random.shuffle(again)
            queue.publish([queue.Nudge((each,)) for each in again])
            queue.publish([queue.Nudge((uuid4(), uuid4())) for _ in range(10)])
            for _ in range(len(again) + 10):
                run.fault("nudge", recovers="")
            _send_strange(run, current_app)
        except (psycopg.Error, RedisError, OperationalError):
            pass
        run.wait(0.5)


def _send_strange(run: Run, app: Any) -> None:
    words: list[dict[str, Any]] = [
        {"kwargs": {"step_run_ids": ["not-an-id"]}},
        {"kwargs": {"step_run_ids": 7}},
        {"kwargs": {"other": True}},
        {"kwargs": {"step_run_ids": []}, "serializer": "pickle"},
    ]
    if run.random.random() < 0.05:
        words.append({"kwargs": {"step_run_ids": ["x" * 10_000_000]}})
    for word in words:
        app.send_task("executions.run_step", queue="steps", ignore_result=True, retry=False, **word)
        run.fault("strange message", recovers="")
    queue_key = next((key for key in run.stack.redis().keys("*steps") if b"_kombu" not in key), None)
    if queue_key is not None and run.random.random() < 0.1:
        run.stack.redis().lpush(queue_key, run.random.choice(GARBAGE))
        run.fault("no message", recovers="")
        run.wait(3)  # Celery's transport gives up over it: a worker ends, and is started again


# --- steering ---


def steer(run: Run) -> None:
    """Cancel, pause and resume executions at random moments, also those that are ending."""
    outcomes: dict[str, int] = {}
    while not run.is_over:
        word = run.random.choices(("cancel", "pause", "resume"), (1, 4, 4))[0]
        said = run.load.steer_one(word)
        if said:
            outcomes[f"{word} {said}"] = outcomes.get(f"{word} {said}", 0) + 1
            run.fault(word, recovers="")
        else:
            time.sleep(0.02)
    run.notes["outcomes"] = outcomes


def resume_all(run: Run) -> None:
    for _ in range(20):
        if run.load.resume_all():
            return
        time.sleep(0.5)


def steering_holds(run: Run, found: Evidence, _: Verdict) -> Iterator[Violation]:
    """No claim between a hold and its end (I17), by the order of events; none after a stop was asked for (I18)."""
    from tests.faults.verdict import Violation

    held: dict[str, bool] = {}
    for event in found.events:
        if event.type == "execution.paused":
            held[event.execution] = event.held
        elif event.type == "execution.resumed":
            held[event.execution] = False
        elif event.type == "step.claimed" and held.get(event.execution):
            yield Violation("steering", "I17", event.execution, f"event {event.seq} is a claim while it was held")
    stops = {each.id: each.stop_requested_at for each in found.executions if each.stop_requested_at is not None}
    owners = {step.id: step.execution for step in found.steps}
    for attempt in found.attempts:
        stopped = stops.get(owners[attempt.step_run])
        if stopped is not None and attempt.started_at > stopped:
            late = attempt.started_at - stopped
            yield Violation("steering", "I18", attempt.step_run, f"it was claimed {late:.3f} s after the stop")
    outcomes = run.notes.get("outcomes", {})
    tried = sum(count for word, count in outcomes.items() if word.startswith("cancel"))
    for said in ("done", "too late"):
        if tried >= 50 and outcomes.get(f"cancel {said}", 0) < 0.1 * tried:
            yield Violation(
                "sides", "I18", "cancel", f"of {tried} cancels only {outcomes.get(f'cancel {said}', 0)} {said}"
            )


SCENARIOS: Sequence[Scenario] = (
    Scenario(
        "F15", "sweepers", "none, five at once, killed", 15, hurt_sweepers, shape=Shape(apis=1),
        kinds=("none", "five", "killed"),
    ),
    Scenario(
        "F16", "hostile nudges", "repeated, reordered, forged, broken, 10 MB, pickled", 5000, nudge,
        kinds=("nudge",), least=100, ends=frozenset({"no message"}),
    ),
    Scenario(
        "F17", "steering under load", "cancels, pauses and resumes at random moments", 10_000, steer, heal=resume_all,
        expect=steering_holds, least=100,
    ),
)  # fmt: skip
