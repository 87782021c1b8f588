"""The ledger and the proxy do what they say, since the verdict believes the one and scenarios need the other."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from config.home import ROOT
from config.processes import status_of
from tests.faults.evidence import Line, read_ledger
from tests.faults.load import wait_for
from tests.faults.nodes import LOOPBACK, free_port
from tests.faults.proxy import PostgresProxy, Proxy
from tests.faults.scenarios.database import kind_of


@dataclass(frozen=True)
class Ledger:
    port: int
    file: Path

    def ask(self, path: str, *, step_run: str = "s-1", body: Any = None) -> tuple[int, Any]:
        """Return status and body of one request; (0, None) where the connection was closed."""
        client = http.client.HTTPConnection(LOOPBACK, self.port, timeout=20)
        headers = {"Idempotency-Key": step_run, "X-Step-Run": step_run, "X-Execution": "e-1", "X-Attempt": "1"}
        try:
            client.request("POST", path, json.dumps(body or {"step": "keyed-1"}), headers)
            answer = client.getresponse()
            octets = answer.read()
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            client.close()
        return answer.status, json.loads(octets) if octets.strip() else None

    def lines(self) -> list[Line]:
        return read_ledger(self.file)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(free_port(), tmp_path / "ledger.jsonl")
    program = ROOT / "tests" / "faults" / "ledger.py"
    process = subprocess.Popen([sys.executable, "-I", "-S", str(program), str(made.port), str(made.file)])
    assert wait_for(lambda: status_of(made.port, "/health") == 200, 20)
    yield made
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("mode", "status", "applied"),
    [
        ("ok", 200, True),
        ("slow:10", 200, True),
        ("cut", 0, True),
        ("cut-before", 0, False),
        ("err-after", 500, True),
        ("err-before", 500, False),
        ("no", 400, False),
        ("429:1", 429, False),
        ("redirect", 302, False),
        ("half", 0, True),
        ("huge", 200, True),
    ],
)
def test_a_request_is_written_down_with_whether_it_took_effect(
    ledger: Ledger, mode: str, status: int, applied: bool
) -> None:
    assert ledger.ask(f"/keyed/{mode}", body={"step": "keyed-1"})[0] == status
    [line] = ledger.lines()
    assert (line.mode, line.applied, line.key, line.step_run, line.attempt) == (mode, applied, "s-1", "s-1", 1)


def test_a_key_takes_effect_once_and_gets_its_first_answer_again(ledger: Ledger) -> None:
    first, again = ledger.ask("/keyed/ok"), ledger.ask("/keyed/err-before")
    assert first == again
    assert [line.applied for line in ledger.lines()] == [True, False]


def test_without_keys_every_request_takes_effect(ledger: Ledger) -> None:
    ledger.ask("/unkeyed/ok")
    ledger.ask("/unkeyed/ok")
    assert [line.applied for line in ledger.lines()] == [True, True]


def test_a_fault_that_comes_once_comes_for_each_step_run(ledger: Ledger) -> None:
    statuses = [ledger.ask("/keyed/once:err-before", step_run=run)[0] for run in ("s-1", "s-1", "s-2")]
    assert statuses == [500, 200, 500]


def test_visits_of_a_loop_are_counted_by_step_run(ledger: Ledger) -> None:
    told = [ledger.ask("/keyed/ok", step_run=run)[1] for run in ("s-1", "s-1", "s-2", "s-3")]
    assert [(each["visits"], each["more"]) for each in told] == [(1, "yes"), (1, "yes"), (2, "yes"), (3, "no")]


def test_a_message_can_be_asked_for_exactly_if_it_took_effect(ledger: Ledger) -> None:
    for key, mode in (("s-1", "cut"), ("s-2", "cut-before")):
        metadata = {"event_type": "sallyport_step", "event_payload": {"key": key}}
        body = {"channel": "C0FAULTS1", "text": f"mode={mode};", "metadata": metadata}
        assert ledger.ask("/slack/api/chat.postMessage", step_run=key, body=body)[0] == 0
    found = ledger.ask("/slack/api/conversations.history?channel=C0FAULTS1")[1]["messages"]
    assert [message["metadata"]["event_payload"]["key"] for message in found] == ["s-1"]


def test_a_proxy_lets_through_falls_silent_and_refuses(ledger: Ledger) -> None:
    proxy = Proxy(ledger.port)
    through = Ledger(proxy.port, ledger.file)
    try:
        assert through.ask("/keyed/ok")[0] == 200
        proxy.refuse()
        assert through.ask("/keyed/ok", step_run="s-2")[0] == 0
        proxy.let_flow()
        proxy.stop_flow("down")
        with socket.create_connection((LOOPBACK, proxy.port), timeout=0.5) as silent:
            silent.sendall(b"GET /health HTTP/1.1\r\n\r\n")
            with pytest.raises(TimeoutError):
                silent.recv(1)
            proxy.let_flow()
            silent.settimeout(20)
            assert silent.recv(4) == b"HTTP"
    finally:
        proxy.close()
    assert [line.step_run for line in ledger.lines()] == ["s-1"]


@pytest.mark.parametrize(
    ("application", "statements", "kind"),
    [
        ("worker", ["UPDATE s SET fence = s.fence + 1"], "claim"),
        ("worker", ["UPDATE s SET tries = tries + 1", "UPDATE s SET fence = s.fence + 1"], "record"),
        ("worker", ["UPDATE s SET tries = s.tries + 1 UPDATE n SET fence = n.fence + 1"], "record"),
        ("worker", ["UPDATE n SET fence = n.fence + 1"], "claim"),
        ("worker", ["UPDATE s SET intent_fence = s.fence"], "intent"),
        ("worker", ["SELECT 1"], ""),
        ("sweep", ["UPDATE executions_execution SET status"], "sweep"),
        ("driver", ["INSERT INTO executions_execution (id", "UPDATE executions_execution"], "start"),
        ("driver", ['UPDATE "manual_manualrequest"', "UPDATE executions_execution"], "answer"),
        ("driver", ["UPDATE executions_execution"], "cancel"),
        ("driver", ['INSERT INTO "playbooks_playbook"'], ""),
    ],
)
def test_a_transaction_is_named_by_who_made_it_and_what_it_wrote(
    application: str, statements: list[str], kind: str
) -> None:
    assert kind_of(application, statements) == kind


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_commit_is_cut_before_it_reaches_the_server_or_after_it_is_done(transactional_db: None, side: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS cut; CREATE TABLE cut (id int)")
    found = connection.settings_dict
    host, port = str(found["HOST"]), int(found["PORT"] or 5432)
    target = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else port
    proxy = PostgresProxy(target, lambda _, statements: "insert" if "INSERT INTO cut VALUES (1)" in statements else "")
    proxy.cuts.chance = 10.0  # always
    proxy.cuts.done["insert", "before"] = 1 if side == "after" else 0
    try:
        with (
            pytest.raises(psycopg.OperationalError),
            psycopg.connect(host=LOOPBACK, port=proxy.port, user=found["USER"], dbname=found["NAME"],
                            password=found["PASSWORD"] or None, sslmode="disable") as client,
        ):  # fmt: skip
            client.execute("INSERT INTO cut VALUES (1)")
    finally:
        proxy.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM cut")
        assert cursor.fetchone() == ((1,) if side == "after" else (0,))
        cursor.execute("DROP TABLE cut")
