"""Runs the shipped sample playbook over the real HTTP API and prints its steps as they finish.

A program outside would do the same: start it with an API key, listen to its stream, ask for its steps.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from config.processes import LOOPBACK

SHOWN = "pb-contain-address"  # the playbook that is run, by its id in the S4E API; shipped in playbooks/samples
FINAL = frozenset({"completed", "failed", "cancelled"})
FINAL_STEP = frozenset({"completed", "failed", "skipped"})
WITHIN = 60.0  # seconds
LONGEST_WAIT = 5.0  # seconds without an event until the steps are asked for all the same


class SampleFailed(Exception):
    """The sample run did not go as it should; the message says where to look."""


def show(*, port: int, api_key: str, say: Callable[[str], None]) -> None:
    """Start the playbook SHOWN and follow it to its end."""
    client = _Client(port, api_key)
    started = client.call("POST", f"/api/playbooks/{SHOWN}/run", {"parameters": {}})
    execution = started["execution_id"]
    say(f"sample run: {SHOWN} started as {execution}")
    printed: set[str] = set()
    with _wake_ups(port, api_key, started.get("stream") or f"/ws/executions/{execution}") as wait:
        deadline = time.monotonic() + WITHIN
        while True:
            status = client.call("GET", f"/api/playbooks/executions/{execution}")["status"]
            for step in client.call("GET", f"/api/playbooks/executions/{execution}/steps"):
                if step["status"] in FINAL_STEP and step["step_id"] not in printed:
                    printed.add(step["step_id"])
                    say(_line(step))
            if status in FINAL:
                break
            if time.monotonic() > deadline:
                raise SampleFailed(f"{execution} is still {status} after {WITHIN:.0f} s; see the logs and the admin")
            wait()
    if status != "completed":
        raise SampleFailed(f"{execution} {status}; GET /api/playbooks/executions/{execution}/steps says why")
    say(f"sample run: {execution} completed")


def _line(step: dict[str, Any]) -> str:
    told = step.get("error") or step.get("output")
    shown = "" if told in (None, "", {}) else json.dumps(told)
    return f"  {step['status']:<9}  {step['step_name']}  {shown[:100]}".rstrip()


class _Client:
    def __init__(self, port: int, api_key: str) -> None:
        self._port, self._headers = port, {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return ``data`` of a successful answer."""
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=30)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, self._headers)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise SampleFailed(f"{method} {path}: {error}") from error
        finally:
            connection.close()
        if response.status >= 300:
            raise SampleFailed(f"{method} {path} was answered {response.status}: {text[:300]}")
        return json.loads(text)["data"]


@contextmanager
def _wake_ups(port: int, api_key: str, path: str) -> Iterator[Callable[[], None]]:
    """Yield a function that returns when the execution's stream tells of something new."""
    from websockets.exceptions import ConnectionClosedOK, WebSocketException
    from websockets.sync.client import connect

    headers = {"Authorization": f"Bearer {api_key}"}
    try:
        with connect(f"ws://{LOOPBACK}:{port}{path}", additional_headers=headers, proxy=None) as stream:

            def wait() -> None:
                try:
                    stream.recv(timeout=LONGEST_WAIT)
                    while True:
                        stream.recv(timeout=0)  # what came together is looked at together
                except (TimeoutError, ConnectionClosedOK):
                    return  # the stream of an execution closes with its last event

            yield wait
    except (OSError, WebSocketException) as error:
        raise SampleFailed(f"the stream {path} broke: {error}") from error
