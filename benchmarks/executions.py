"""Durable executions of steps that do nothing, from their submission to the commit of their end."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from uuid import UUID, uuid4

from django.db import connection

from accounts.models import Tenant
from accounts.services import create_tenant
from core.actors import SYSTEM
from executions.services import start_execution
from executions.statements import database_now
from playbooks.cacao.types import Operation, Step, StepType, Workflow
from playbooks.models import PlaybookVersion
from playbooks.services import store_dialect

LOOK_EVERY = 0.002  # seconds
PATIENCE = 180  # seconds


class Durable:
    """A tenant and the playbooks that are timed; ``operation``: of the connector ``fake``, what a step does."""

    name = "Sallyport"

    def __init__(self, operation: str = "fake.read") -> None:
        self._operation = operation
        self.tenant = create_tenant(slug=f"bench-{uuid4().hex[:8]}", name="Benchmark", now=database_now())
        self._sequences: dict[int, PlaybookVersion] = {}
        self._parallels: dict[int, PlaybookVersion] = {}

    def run_sequences(self, count: int, steps: int) -> None:
        """Start executions as fast as possible and wait for all of them."""
        _wait(self.start_sequences(count, steps))

    def start_sequences(self, count: int, steps: int) -> list[UUID]:
        version = self._sequences.get(steps) or self._sequences.setdefault(steps, self._sequence(steps))
        return [self._start(version) for _ in range(count)]

    def run_parallel(self, branches: int) -> None:
        """Start an execution that fans out once, and wait for it."""
        version = self._parallels.get(branches) or self._parallels.setdefault(branches, self._parallel(branches))
        _wait([self._start(version)])

    def _start(self, version: PlaybookVersion) -> UUID:
        return start_execution(
            tenant=self.tenant, version=version, inputs={}, options={}, actor=SYSTEM, now=database_now()
        ).pk

    def _sequence(self, steps: int) -> PlaybookVersion:
        names = [f"step-{number}" for number in range(steps)]
        pairs = zip(names, [*names[1:], "end"], strict=True)
        return store(self.tenant, [self._fake(name, on_success=following) for name, following in pairs], first=names[0])

    def _parallel(self, branches: int) -> PlaybookVersion:
        firsts = tuple(f"branch-{number}" for number in range(branches))
        fork = Step(id="fork", type=StepType.PARALLEL, next_steps=firsts, on_completion="end")
        steps = [self._fake(name, on_success=f"end-{name}") for name in firsts]
        ends = [Step(id=f"end-{name}", type=StepType.END) for name in firsts]
        return store(self.tenant, [fork, *steps, *ends], first="fork")

    def _fake(self, name: str, *, on_success: str) -> Step:
        reference = f"act-{self._operation.replace('.', '-')}"
        operation = Operation(name=self._operation, reference=reference, parameters={"output": {"seen": name}})
        return Step(id=name, type=StepType.ACTION, operation=operation, on_success=on_success)


def store(tenant: Tenant, steps: list[Step], *, first: str) -> PlaybookVersion:
    """Store a playbook of these steps, its start and its end beside them."""
    start = Step(id="start", type=StepType.START, on_completion=first)
    found = {step.id: step for step in (start, *steps, Step(id="end", type=StepType.END))}
    return store_dialect(
        tenant=tenant,
        octets=b"{}",
        dialect="s4e",
        workflow=Workflow(start="start", steps=found, dialect="s4e"),
        slug=f"bench-{uuid4().hex[:12]}",
        name="Benchmark",
        description="",
        label="1.0.0",
        trigger={},
        tags=[],
        step_count=len(steps),
        cacao_id=f"playbook--{uuid4()}",
        actor=SYSTEM,
        now=database_now(),
    )


def _wait(executions: Sequence[UUID]) -> None:
    """Wait for the end of each in turn. Raises RuntimeError where one ended otherwise than completed."""
    pause = threading.Event()
    until = time.monotonic() + PATIENCE
    for execution in executions:
        while (status := _status(execution)) != "completed":
            if status in ("failed", "cancelled"):
                raise RuntimeError(f"the benchmark's execution ended {status}")
            if time.monotonic() > until:
                raise TimeoutError("the benchmark's executions did not end within three minutes")
            pause.wait(LOOK_EVERY)


def _status(execution: UUID) -> str:
    """By plain SQL: looking is no part of what is measured, so it takes as little of the processors as it can."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT status FROM executions_execution WHERE id = %s", (execution,))
        return str(cursor.fetchone()[0])
