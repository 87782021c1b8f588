"""Durable executions of fake steps, timed from their start to the commit of their end."""

from __future__ import annotations

import threading
import time
from uuid import uuid4

from accounts.models import Tenant
from accounts.services import create_tenant
from core.actors import SYSTEM
from executions.models import Execution
from executions.services import start_execution
from executions.statements import database_now
from playbooks.cacao.types import Operation, Step, StepType, Workflow
from playbooks.models import PlaybookVersion
from playbooks.services import store_dialect

LOOK_EVERY = 0.005


class Bench:
    """A tenant and the playbooks that are timed."""

    def __init__(self) -> None:
        self.tenant = create_tenant(slug=f"bench-{uuid4().hex[:8]}", name="Benchmark", now=database_now())

    def time_sequence(self, steps: int) -> float:
        names = [f"step-{number}" for number in range(steps)]
        pairs = zip(names, [*names[1:], "end"], strict=True)
        return self._time([_fake(name, on_success=following) for name, following in pairs], first=names[0])

    def time_parallel(self, branches: int) -> float:
        firsts = tuple(f"branch-{number}" for number in range(branches))
        fork = Step(id="fork", type=StepType.PARALLEL, next_steps=firsts, on_completion="end")
        steps = [_fake(name, on_success=f"end-{name}") for name in firsts]
        ends = [Step(id=f"end-{name}", type=StepType.END) for name in firsts]
        return self._time([fork, *steps, *ends], first="fork")

    def _time(self, steps: list[Step], *, first: str) -> float:
        version = store(self.tenant, steps, first=first)
        began = time.perf_counter()
        execution = start_execution(
            tenant=self.tenant, version=version, inputs={}, options={}, actor=SYSTEM, now=database_now()
        )
        _wait(execution)
        return time.perf_counter() - began


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


def _fake(name: str, *, on_success: str) -> Step:
    operation = Operation(name="fake.run", reference="act-fake", parameters={})
    return Step(id=name, type=StepType.ACTION, operation=operation, on_success=on_success)


def _wait(execution: Execution) -> None:
    pause = threading.Event()
    until = time.monotonic() + 180
    while time.monotonic() < until:
        status = Execution.objects.values_list("status", flat=True).get(pk=execution.pk)
        if status == "completed":
            return
        if status in ("failed", "cancelled"):
            raise RuntimeError(f"the benchmark's execution ended {status}")
        pause.wait(LOOK_EVERY)
    raise TimeoutError("the benchmark's execution did not end within three minutes")
