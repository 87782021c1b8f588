"""Waits until /health/ready says 200, and shows which part is still missing."""

from __future__ import annotations

import http.client
import json
import time

from config.processes import LOOPBACK
from config.progress import Bar
from config.supervisor import CannotStart, Supervisor


def wait(supervisor: Supervisor, *, port: int, within: float) -> None:
    """Return when ready or when a stop is asked for. Raises CannotStart after ``within`` seconds.

    A process that ends meanwhile is started again; one that keeps ending is a failure, shown with its log.
    """
    deadline = time.monotonic() + within
    with Bar("starting", 6) as bar:
        while not supervisor.is_stopping:
            is_ready, missing, count = look(port)
            if is_ready:
                return
            bar.advance(count, f"waiting for {', '.join(missing)}" if missing else "")
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"not ready after {within:.0f} s: {', '.join(missing) or 'the web server does not answer'}. "
                    f"The logs in {supervisor.home / 'log'} say why."
                )
            supervisor.tend(0.05)


def look(port: int) -> tuple[bool, list[str], int]:
    """Return (is ready, what is missing, how many checks are well)."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        response = connection.getresponse()
        checks = json.loads(response.read())["checks"]
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return False, [], 0
    finally:
        connection.close()
    missing = [name for name, check in checks.items() if not check["ok"]]
    return response.status == 200, missing, len(checks) - len(missing)
