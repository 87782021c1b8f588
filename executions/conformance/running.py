"""Runs everything that a folder expects; executions are carried out by the workers that are there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from accounts.models import Tenant
from accounts.services import create_tenant
from executions.conformance import expressions, imports, signatures, traces
from executions.conformance.files import Folder, look_through
from executions.conformance.verdicts import Verdict
from executions.models import Execution
from executions.statements import database_now

#: how long nothing may end before what is left counts as not ending
PATIENCE = 60.0
LOOK_EVERY = 0.05


def run(root: Path, *, say: Callable[[str], None]) -> list[Verdict]:
    """Return one verdict for each thing that the folder expects. Raises FolderInvalid."""
    folder = look_through(root)
    verdicts: list[Verdict] = []
    say(f"importing {len(folder.playbooks)} playbooks at two levels")
    for path in folder.playbooks:
        tenants = {level: _fresh_tenant(level) for level in ("strict", "lenient")}
        verdicts += imports.judge(path, folder.name(path), folder.imports.get(path), tenants=tenants)
    verdicts += [Verdict("import", str(path), ("the file is not there",)) for path in _missing(folder)]
    for path in folder.conditions:
        verdicts += expressions.judge(path, folder.name(path))
    for path in folder.vectors:
        verdicts += signatures.judge(path, folder.name(path))
    return verdicts + _play(folder, say)


def _play(folder: Folder, say: Callable[[str], None]) -> list[Verdict]:
    played = [
        scenario
        for path in folder.traces
        for scenario in traces.start_all(path, folder.name(path), tenant=_fresh_tenant("trace"))
    ]
    say(f"playing {len(played)} scenarios of {len(folder.traces)} traces")
    _wait([scenario.execution for scenario in played if scenario.execution is not None])
    return [traces.judge(scenario) for scenario in played]


def _wait(executions: list[Execution]) -> None:
    """Wait until all have ended, or nothing has ended for PATIENCE seconds."""
    ids = [execution.pk for execution in executions]
    left, since = len(ids), time.monotonic()
    pause = threading.Event()
    while left and time.monotonic() - since < PATIENCE:
        pause.wait(LOOK_EVERY)
        now_left = Execution.objects.filter(pk__in=ids, ended_at=None).count()
        if now_left != left:
            left, since = now_left, time.monotonic()


def _missing(folder: Folder) -> list[Path]:
    return [path for path in folder.imports if path not in folder.playbooks]


def _fresh_tenant(purpose: str) -> Tenant:
    return create_tenant(slug=f"conformance-{purpose}-{uuid4().hex[:12]}", name="Conformance", now=database_now())
