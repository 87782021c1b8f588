"""One scenario from its first execution to its verdict: load, faults, heal, drain, canaries, evidence."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import psycopg

from tests.faults.nodes import Shape, Stack, set_django_up, stack_of, worker_prefix
from tests.faults.proxy import Proxy

if TYPE_CHECKING:
    from config.supervisor import Child
    from tests.faults.evidence import Evidence
    from tests.faults.load import Load
    from tests.faults.shapes import Mix
    from tests.faults.verdict import Fault, Verdict, Violation

FULL = 1000  # executions of the whole load: minimum numbers of faults are given for it
CANARIES = 20
#: seconds
CANARY_PATIENCE, SHORTEST_DRAIN, LONGEST_WAY_TO_FAULTS, READY_AGAIN = 60.0, 60.0, 180.0, 60.0
#: one execution of the load may keep faults waiting so long, before the scenario gives up reaching its minimum
PATIENCE_A_FAULT = 30.0
#: seconds without one execution coming to its end, after which the load is seen to stand still
LONGEST_STANDSTILL = 180.0
SETTLED = """
SELECT count(*) FROM executions_execution e
 WHERE e.ended_at IS NULL AND e.held_at IS NULL AND EXISTS (
   SELECT 1 FROM executions_steprun s WHERE s.execution_id = e.id AND s.status NOT IN
     ('completed', 'failed', 'timed_out', 'skipped', 'cancelled', 'uncertain')
      AND NOT (s.status = 'waiting' AND s.kind = 'opener')
      AND NOT (s.status = 'waiting' AND EXISTS (
        SELECT 1 FROM executions_execution c JOIN executions_steprun u ON u.execution_id = c.id
         WHERE c.parent_step_run_id = s.id AND u.status = 'uncertain')))
   OR e.ended_at IS NULL AND NOT EXISTS (
   SELECT 1 FROM executions_steprun s WHERE s.execution_id = e.id AND s.ended_at IS NULL)
"""


class CannotProve(Exception):
    """The scenario cannot be carried out here; the message says why."""


@dataclass(frozen=True)
class Scenario:
    """``minimum``: faults for the whole load, below which nothing is proven. ``inject`` goes on until ``run.is_over``.

    ``ends``: kinds of faults after which a worker may end by itself, for its process manager to start again.
    ``ending``: a worker's end is itself the fault, of this kind.
    """

    id: str
    title: str
    how: str
    minimum: int
    inject: Callable[[Run], None]
    shape: Shape = field(default_factory=Shape)
    mix: Callable[[], Mix] | None = None
    through_api: bool = False
    links: Callable[[Run], None] | None = None  # puts proxies between, before anything uses the addresses
    heal: Callable[[Run], None] | None = None
    expect: Callable[[Run, Evidence, Verdict], Iterable[Violation]] | None = None
    check: Callable[[], None] | None = None  # raises CannotProve
    kinds: Sequence[str] = ()  # each must have happened
    least: int = 3  # faults, however small the load
    ends: frozenset[str] = frozenset()
    ending: str = ""


class Run:
    """What a scenario works with."""

    def __init__(self, scenario: Scenario, stack: Stack, *, runs: int, seed: int, say: Callable[[str], None]) -> None:
        self.scenario, self.stack, self.runs, self.say = scenario, stack, runs, say
        self.random = Random(seed)
        self.faults: list[Fault] = []
        self.minimum = minimum_of(scenario, runs)
        self.notes: dict[str, Any] = {}
        self.violations: list[Violation] = []
        self.load: Load
        self.has_given_up = False
        self.proxies: list[Proxy] = []
        self.down: list[Child] = []  # what a fault has ended and has not started again yet
        self._last_fault = self._last_progress = time.monotonic()
        self._ended = 0
        self._said = self._mended = 0.0

    @property
    def lease(self) -> float:
        return self.stack.shape.lease

    @property
    def is_over(self) -> bool:
        """Whether the load was submitted and enough faults have happened, or no more faults come about."""
        self._tell()
        self.mend()
        now = time.monotonic()
        no_faults_come = now - self._last_fault > PATIENCE_A_FAULT + 3 * self.lease
        return no_faults_come or now - self._last_progress > LONGEST_STANDSTILL or self.load.is_submitted.is_set()

    @property
    def has_enough(self) -> bool:
        counts = Counter(fault.kind for fault in self.faults)
        each = max(1, math.ceil(self.minimum / max(len(self.scenario.kinds), 1)))
        return len(self.faults) >= self.minimum and all(counts[kind] >= each for kind in self.scenario.kinds)

    def fault(self, kind: str, *nodes: Child, recovers: str = "held", at: float | None = None) -> None:
        """Note a fault that has just happened to these nodes (none: to all)."""
        from tests.faults.verdict import Fault

        workers = tuple(worker_prefix(node) for node in nodes)
        self.faults.append(Fault(at or time.time(), kind, workers, recovers))
        self._last_fault = time.monotonic()

    def wait(self, seconds: float) -> None:
        """Let time pass between two faults; shorter where the scenario is over."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.is_over:
            time.sleep(min(0.05, max(until - time.monotonic(), 0)))

    def busy_node(self, *, besides: int = 1, seconds: float = 20.0) -> Child | None:
        """Return a node that holds a step run while ``besides`` others are up, or None if there is none for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.is_over:
            try:
                ready, busy = self.stack.ready_nodes(), self.stack.busy_nodes()
            except psycopg.Error:
                ready, busy = [], []
            if busy and len(ready) > besides:
                return self.random.choice(busy)
            time.sleep(0.05)
        return None

    def mend(self) -> None:
        """Start nodes again that ended by themselves, as any process manager does; most faults are no reason to end."""
        from tests.faults.verdict import Violation

        if time.monotonic() - self._mended < 1:
            return
        self._mended = time.monotonic()
        for role in ("workers", "sweep", "api"):
            for child in self.stack.children(role):
                if child.is_running or child in self.down:
                    continue
                if self.scenario.ending and role == "workers":
                    self.fault(self.scenario.ending, child)
                    self.stack.start_again(child)
                    continue
                kind = self.faults[-1].kind if self.faults else "no fault"
                code = child.process.returncode if child.process else None
                ends = self.notes.setdefault("ended_by_themselves", {})
                ends[kind] = ends.get(kind, 0) + 1
                if kind not in self.scenario.ends:
                    told = f"it ended with {code} after {kind}, which is no reason to"
                    self.violations.append(Violation("ended", "-", child.service.name, told))
                self.stack.start_again(child)

    def _tell(self) -> None:
        if time.monotonic() - self._said < 5:
            return
        self._said = time.monotonic()
        try:
            ended = self.load.ended()
        except psycopg.Error:
            return
        if ended != self._ended:
            self._ended, self._last_progress = ended, time.monotonic()
        self.say(f"{self.scenario.id}: {ended} of {self.runs} executions over, {len(self.faults)} faults "
                 f"of at least {self.minimum}")  # fmt: skip


def minimum_of(scenario: Scenario, runs: int) -> int:
    if scenario.minimum == 0:
        return 0
    return max(scenario.least, math.ceil(scenario.minimum * runs / FULL))


def run_scenario(
    scenario: Scenario, *, runs: int, seed: int, lease: float, say: Callable[[str], None], keep: Path
) -> dict[str, Any]:
    """Carry out one scenario in this process, which must not have set Django up yet; return its result."""
    from dataclasses import replace

    began = datetime.now(UTC)
    if scenario.check is not None:
        scenario.check()
    shape = replace(scenario.shape, lease=lease)
    with stack_of(shape, say=say, keep=keep) as stack:
        run = Run(scenario, stack, runs=runs, seed=seed, say=say)
        if scenario.links is not None:
            scenario.links(run)
        set_django_up(stack)
        try:
            result = _carry_out(run, seed)
        finally:
            for proxy in run.proxies:
                proxy.close()
    if not result["violations"]:
        for log in keep.glob("*.log"):
            log.unlink()
    result["started"], result["ended"] = began.isoformat(), datetime.now(UTC).isoformat()
    result["ledger_sha256"] = _digest(keep / "ledger.jsonl")
    return result


def _carry_out(run: Run, seed: int) -> dict[str, Any]:
    from tests.faults.evidence import collect
    from tests.faults.load import CALL_LIMIT, CANARY, Load, wait_for
    from tests.faults.shapes import Mix
    from tests.faults.verdict import Violation, judge

    scenario, stack = run.scenario, run.stack
    mix = scenario.mix() if scenario.mix else Mix()
    run.load = load = Load(stack, mix, runs=run.runs, seed=seed, through_api=scenario.through_api)
    load.faults_suffice = lambda: run.has_enough or run.has_given_up
    load.prepare()
    run.say(f"{scenario.id}: starting {stack.shape.nodes} nodes")
    stack.start_parts()
    clock = time.monotonic()
    load.start()
    if scenario.minimum:
        wait_for(lambda: load.ended() >= run.runs / 10, LONGEST_WAY_TO_FAULTS)
    run._last_fault = run._last_progress = time.monotonic()
    scenario.inject(run)
    run.has_given_up = True
    if scenario.heal is not None:
        scenario.heal(run)
    load.is_submitted.wait(LONGEST_WAY_TO_FAULTS)
    under_fire = time.monotonic() - clock
    steps_under_fire = _steps(stack)
    run.say(f"{scenario.id}: {len(run.faults)} faults; draining")
    drained = _drain(run, steps_under_fire / max(under_fire, 1))
    _ready_again(run)
    _send_canaries(run)
    load.stop()
    found = collect(stack, load.accepted_ids(), canary=CANARY)
    verdict = judge(found, run.faults, call_limit=CALL_LIMIT)
    violations = [*verdict.violations, *run.violations]
    violations += [Violation("load", "-", "suite", told) for told in load.broken]
    if scenario.expect is not None:
        violations += scenario.expect(run, found, verdict)
    return _result(run, verdict, violations, seed=seed, drained=drained, rate=steps_under_fire / max(under_fire, 1))


def _steps(stack: Stack) -> int:
    try:
        return int(stack.look("SELECT count(*) FROM executions_steprun WHERE ended_at IS NOT NULL")[0][0])
    except psycopg.Error:
        return 0


def _drain(run: Run, rate: float) -> float:
    """Wait until everything is over or waits for somebody; what does not is found by the verdict."""
    from tests.faults.load import wait_for

    began = time.monotonic()
    left = "SELECT count(*) FROM executions_execution WHERE ended_at IS NULL"
    live = 0
    if wait_for(lambda: bool(run.stack.look(left)), READY_AGAIN):
        live = int(run.stack.look(left)[0][0])
    patience = max(SHORTEST_DRAIN + 6 * run.lease, 2 * live * run.load.mix.steps / max(rate, 1))

    def is_settled() -> bool:
        run.mend()
        run.load.close_breakers()
        return int(run.stack.look(SETTLED)[0][0]) == 0

    wait_for(is_settled, patience)
    return round(time.monotonic() - began, 1)


def _ready_again(run: Run) -> None:
    from tests.faults.load import wait_for
    from tests.faults.verdict import Violation

    if not wait_for(lambda: len(run.stack.ready_nodes()) >= run.stack.shape.nodes, READY_AGAIN):
        run.violations.append(Violation("liveness", "-", "nodes", "not every node works again after the last fault"))
    for port in run.stack.api_ports:
        from config.processes import status_of

        if not wait_for(lambda port=port: status_of(port, "/health/ready") == 200, READY_AGAIN):  # type: ignore[misc]
            run.violations.append(Violation("liveness", "-", f"api {port}", "/health/ready does not say 200 again"))


def _send_canaries(run: Run) -> None:
    """Executions that are submitted after the heal must come to their end soon."""
    from django.db import connection

    from tests.faults.load import wait_for
    from tests.faults.verdict import Violation

    version = run.load.canary_version
    assert version is not None
    connection.close()  # it may be one from before the faults
    began = time.monotonic()
    ids = [run.load.start_one(version, f"canary-{number}") for number in range(CANARIES)]
    run.load.accepted += ids
    done = "SELECT count(*) FROM executions_execution WHERE id = ANY(%s) AND status = 'completed'"
    if not wait_for(lambda: run.stack.look(done, (ids,))[0][0] == CANARIES, CANARY_PATIENCE):
        told = f"not all of {CANARIES} executions were completed within {CANARY_PATIENCE:.0f} s after the heal"
        run.violations.append(Violation("liveness", "-", "canaries", told))
    run.notes["canaries_s"] = round(time.monotonic() - began, 2)


def _result(
    run: Run, verdict: Verdict, violations: Sequence[Violation], *, seed: int, drained: float, rate: float
) -> dict[str, Any]:
    figures = Counter(violation.figure for violation in violations)
    by_kind = Counter(fault.kind for fault in run.faults)
    missing = "" if run.has_enough else _missing(run, by_kind)
    return {
        "id": run.scenario.id,
        "title": run.scenario.title,
        "verdict": "red" if violations else ("not proven" if missing else "proven"),
        "proven": not violations and not missing,
        "reason": f"{len(violations)} violations" if violations else missing,
        "runs": run.runs,
        "executions": verdict.executions,
        "steps": verdict.steps,
        "requests": verdict.requests,
        "faults": len(run.faults),
        "minimum": run.minimum,
        "by_kind": dict(by_kind),
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "uncertain": verdict.uncertain,
        "uncertain_applied": verdict.uncertain_applied,
        "unflagged": verdict.unflagged,
        "unordered": verdict.unordered,
        "resent": verdict.resent,
        "poison": verdict.poison,
        "waiting": verdict.waiting,
        "recovery_p50_s": verdict.recovery(0.5),
        "recovery_p95_s": verdict.recovery(0.95),
        "recovery_p99_s": verdict.recovery(0.99),
        "recoveries": len(verdict.recoveries),
        "steps_per_s": round(rate, 1),
        "drain_s": drained,
        "seed": seed,
        "lease_s": run.lease,
        "other_violations": dict(figures),
        "violations": [str(violation) for violation in violations[:200]],
        "notes": {name: note for name, note in run.notes.items() if not name.startswith("_")},
        "machine": machine(run.stack),
    }


def _missing(run: Run, by_kind: Mapping[str, int]) -> str:
    each = max(1, math.ceil(run.minimum / max(len(run.scenario.kinds), 1)))
    rare = [f"{kind} {by_kind.get(kind, 0)} of {each}" for kind in run.scenario.kinds if by_kind.get(kind, 0) < each]
    told = f"{len(run.faults)} faults of at least {run.minimum}"
    return f"{told}; too few: {', '.join(rare)}" if rare else told


def machine(stack: Stack) -> dict[str, Any]:
    """What the figures were measured on."""
    [[server]] = stack.look("SHOW server_version")
    info: Any = stack.redis().info("server")
    return {
        "postgresql": server,
        "broker": f"{info.get('server_name', 'redis')} {info.get('valkey_version') or info['redis_version']}",
        "celery": version("celery"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
