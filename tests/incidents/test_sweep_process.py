"""The process of ``manage.py sweep`` watches over incidents, and ends when it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config.home import ROOT
from incidents.models import Breach
from tests.api.applylens.calls import make
from tests.api.stream.serving import LONG, database_url
from tests.flows.starting import make_tenant


@pytest.mark.django_db(transaction=True)
def test_the_sweep_notes_what_is_late(tmp_path: Path) -> None:
    incident = make(make_tenant(), minutes_ago=6)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "sweep"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url(), "SALLYPORT_NO_BOOTSTRAP": "1"},
            stdout=log,
            stderr=log,
        )
    try:
        until = time.monotonic() + 2 * LONG
        while not Breach.objects.filter(incident=incident).exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until, (tmp_path / "log").read_text()
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 0
    finally:
        process.kill()
        process.wait()
