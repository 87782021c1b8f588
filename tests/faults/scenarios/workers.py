"""Faults of worker processes: killed, eaten by a call, drained, frozen, with a clock of their own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tests.faults.frame import CannotProve, Run, Scenario
from tests.faults.nodes import Shape, pid_of

if TYPE_CHECKING:
    from tests.faults.evidence import Evidence
    from tests.faults.shapes import Mix
    from tests.faults.verdict import Verdict, Violation

KILL_EVERY, FREEZE_EVERY, DRAIN_EVERY, EAT_EVERY, JUMP_EVERY = 2.0, 6.0, 10.0, 4.0, 3.0
GRACE = 30.0
EATERS = ("eat-exit", "eat-memory", "eat-time")


def gentle() -> Mix:
    """A far side without faults of its own: what is uncertain then is by the fault."""
    from tests.faults.shapes import GENTLE, Mix

    return Mix(modes=GENTLE)


def nothing(run: Run) -> None:
    """No fault: the figures that the others are held against."""
    while not run.load.is_submitted.is_set():
        run.wait(1)


def kill(run: Run) -> None:
    """SIGKILL the process group of a node that holds work, and start it again."""
    while not run.is_over:
        node = run.busy_node()
        if node is None:
            continue
        run.down.append(node)
        run.stack.kill(node)
        run.fault("SIGKILL", node)
        run.stack.start_again(node)
        run.wait(KILL_EVERY)


def freeze(run: Run) -> None:
    """SIGSTOP a node that holds work for one to three leases, then let it go on as if nothing had been."""
    while not run.is_over:
        node = run.busy_node()
        if node is None:
            continue
        run.stack.signal(node, signal.SIGSTOP)
        run.fault("SIGSTOP", node)
        try:
            time.sleep(run.random.uniform(1, 3) * run.lease)
        finally:
            run.stack.signal(node, signal.SIGCONT)
        run.wait(FREEZE_EVERY - run.lease)


def drain(run: Run) -> None:
    """Ask a node to end, every second time by a soft shutdown, and start it again once it has."""
    from tests.faults.verdict import Violation

    while not run.is_over:
        node = run.busy_node()
        if node is None:
            continue
        number = signal.SIGQUIT if len(run.faults) % 2 else signal.SIGTERM
        run.down.append(node)
        assert node.process is not None
        node.process.send_signal(number)
        run.fault(number.name, node)
        began = time.monotonic()
        try:
            node.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            told = f"it has not ended {GRACE:.0f} s after {number.name}"
            run.violations.append(Violation("drain", "-", node.service.name, told))
            run.stack.kill(node)
        longest = max(run.notes.get("longest_drain_s", 0), round(time.monotonic() - began, 1))
        run.notes["longest_drain_s"] = longest
        run.stack.start_again(node)
        run.wait(DRAIN_EVERY)


def nothing_uncertain(_: Run, found: Evidence, verdict: Verdict) -> Iterator[Violation]:
    from tests.faults.verdict import Violation

    if verdict.uncertain:
        yield Violation(
            "uncertain", "S22", "drain", f"{verdict.uncertain} reviews, where everything could be given back"
        )
    for attempt in found.attempts:
        if attempt.outcome == "lost":
            yield Violation(
                "drain", "S22", attempt.step_run, "its lease ran out, and its worker had time to give it back"
            )


def eat(run: Run) -> None:
    """Start playbooks whose one call ends its worker, has no memory, or never returns; start what ended again."""
    from tests.faults.shapes import calling

    versions = {how: run.load.store(calling("keyed", "keyed-1", how)) for how in EATERS}
    eaters: dict[str, list[str]] = {how: [] for how in EATERS}
    turn, next_at = 0, 0.0
    while not run.is_over:
        if time.monotonic() >= next_at:
            how = EATERS[turn % len(EATERS)]
            started = run.load.start_one(versions[how], f"eater-{turn}")
            run.load.accepted.append(started)
            eaters[how].append(str(started))
            if how != "eat-exit":
                run.fault(how, recovers="")
            turn, next_at = turn + 1, time.monotonic() + EAT_EVERY
        time.sleep(0.2)
    run.notes["eaters"] = eaters


def digest_eaters(run: Run) -> None:
    """The last ones eat on after the load: workers are started again until they are through."""
    from tests.faults.load import wait_for

    ids = [each for group in run.notes["eaters"].values() for each in group]
    over = "SELECT count(*) FROM executions_execution WHERE id::text = ANY(%s) AND ended_at IS NOT NULL"

    def are_over() -> bool:
        run.mend()
        return int(run.stack.look(over, (ids,))[0][0]) == len(ids)

    wait_for(are_over, 120)


def eaters_end(run: Run, found: Evidence, _: Verdict) -> Iterator[Violation]:
    """An eater ends as failed; one that ended its worker is poison after three attempts."""
    from tests.faults.verdict import Violation

    eaters = {id_: how for how, ids in run.notes.pop("eaters").items() for id_ in ids}
    attempts = Counter(attempt.step_run for attempt in found.attempts)
    for step in found.steps:
        how = eaters.get(step.execution)
        if how is None or not step.step_id.startswith("keyed"):
            continue
        if step.status != "failed":
            yield Violation("poison", "I24", step.id, f"{how}: it is {step.status} and not failed")
        elif how == "eat-exit" and (step.reason != "poison" or attempts[step.id] != 3):
            told = f"reason {step.reason!r} after {attempts[step.id]} attempts, not 'poison' after 3"
            yield Violation("poison", "I24", step.id, told)


# --- clocks ---


def _library() -> Path | None:
    found = shutil.which("faketime")
    folders = (Path("/usr/lib"), Path("/usr/local/lib"))
    paths = [path for folder in folders for path in folder.rglob("libfaketime.so.1")] if found else []
    return paths[0] if paths else None


def check_faketime() -> None:
    if _library() is None:
        raise CannotProve("faketime is not installed (Debian: apt install faketime)")


CLOCKS = {1: "-1h", 2: "+1h", 3: "+0 x2", 4: "jumping"}


def set_clocks(run: Run) -> None:
    """Give each worker a clock of its own, which the database, the ledger and the suite do not share.

    The monotonic clock stays true: no clock that jumps or is set wrong changes it.
    """
    for number, clock in CLOCKS.items():
        file = run.stack.directory / f"clock-{number}"
        file.write_text("+0" if clock == "jumping" else clock)
        file.chmod(0o644)
        run.stack.wrapped[number] = (
            "env", f"LD_PRELOAD={_library()}", f"FAKETIME_TIMESTAMP_FILE={file}", "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME_DONT_RESET=1",
        )  # fmt: skip


def run_with_clocks(run: Run) -> None:
    """Let one clock jump; a clock counts as a fault for every three seconds in which its node claimed something."""
    claims = "SELECT split_part(worker, ':', 2)::int, count(*) FROM executions_attempt GROUP BY 1"
    before: dict[int, int] = {}
    while not run.is_over:
        minutes = run.random.randint(-90, 90)
        (run.stack.directory / "clock-4").write_text(f"{minutes:+d}m")
        run.wait(JUMP_EVERY)
        try:
            now = {row[0]: row[1] for row in run.stack.look(claims)}
        except psycopg.Error:
            continue
        for node in run.stack.children("workers"):
            number = int(node.service.name.rpartition("-")[2])
            if now.get(pid_of(node), 0) > before.get(pid_of(node), 0):
                run.fault(CLOCKS[number], node, recovers="")
        before = now


SCENARIOS: Sequence[Scenario] = (
    Scenario("F00", "no fault", "the load alone", 0, nothing, least=0),
    Scenario("F01", "worker SIGKILL", "process group of one of 3 nodes that holds work, every 2 s", 60, kill),
    Scenario(
        "F02", "a call that kills or eats its worker", "the process ends, has no memory, or a call never returns",
        30, eat, shape=Shape(celery_app="tests.faults.eater_app"), heal=digest_eaters, expect=eaters_end, kinds=EATERS,
        ending="eat-exit",
    ),
    Scenario(
        "F03", "rolling restart", "SIGTERM to one node every 10 s, every second time SIGQUIT",
        12, drain, mix=gentle, expect=nothing_uncertain,
    ),
    Scenario("F04", "freeze", "SIGSTOP for 1 to 3 leases, then SIGCONT", 15, freeze),
    Scenario(
        "F10", "clocks", "workers an hour early, an hour late, at double speed, and jumping by up to 90 minutes",
        40, run_with_clocks, shape=Shape(nodes=4), links=set_clocks, check=check_faketime, kinds=tuple(CLOCKS.values()),
        least=8,
    ),
)  # fmt: skip
