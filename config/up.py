"""`manage.py up`: everything in one command. This process only supervises; Django runs in its children."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from config import env, processes, readiness, sample_run
from config.embedded.postgres import postgres
from config.embedded.valkey import valkey
from config.home import ROOT, home, write_private
from config.supervisor import CannotStart, Service, Supervisor

READY_WITHIN = 120.0  # seconds
NOTHING_GENERATED = (
    "(With DATABASE_URL set nothing is generated and every key is given; SALLYPORT_DEVELOPMENT=1 makes it a "
    "development start.)"
)
DESCRIPTION = """Start Sallyport: PostgreSQL and Valkey of its own (or those of DATABASE_URL and REDIS_URL), the
workers, the sweep and the web server; run a sample playbook; serve until Ctrl-C.
Environment: PORT (8000), SALLYPORT_HOME (var/), WORKERS (worker processes, one a core)."""


def main(arguments: Sequence[str]) -> int:
    """Return the exit code: 0 after a stop that was asked for, 1 when it could not start."""
    parser = argparse.ArgumentParser(prog="manage.py up", description=DESCRIPTION)
    parser.add_argument("--no-sample", action="store_true", help="Do not run the sample playbook.")
    options = parser.parse_args(arguments)
    try:
        _Start(run_sample=not options.no_sample).run()
    except ImproperlyConfigured as error:
        print(f"\nSallyport cannot start: {error} {NOTHING_GENERATED}", file=sys.stderr)
        return 1
    except CannotStart as error:
        print(f"\nSallyport cannot start: {error}", file=sys.stderr)
        return 1
    return 0


class _Start:
    def __init__(self, *, run_sample: bool) -> None:
        self.began = time.monotonic()
        self.run_sample = run_sample
        self.port = env.integer("PORT", 8000, minimum=1, maximum=65535)
        self.worker_count = env.integer("WORKERS", os.cpu_count() or 1, minimum=1, maximum=256)
        self.threads = env.integer("SALLYPORT_WORKER_THREADS", 4, minimum=1, maximum=64)
        self.is_development = env.flag("SALLYPORT_DEVELOPMENT", default=not env.text("DATABASE_URL"))
        broker = env.text("MQTT_BROKER")
        self.speaks_mqtt = bool(broker) and env.flag("ENABLE_FINS", default=True)
        self.url = env.text("SALLYPORT_PUBLIC_URL", f"http://{processes.LOOPBACK}:{self.port}").rstrip("/")

    def run(self) -> None:
        if not self.is_development:
            importlib.import_module("config.settings")  # what is missing is said before anything starts
        home().mkdir(parents=True, exist_ok=True)
        self.supervisor = Supervisor(home(), self.say)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self.supervisor.ask_to_stop())
        try:
            processes.check_free(self.port)
            self.start()
            if not self.supervisor.is_stopping:
                self.welcome()
                self.supervisor.watch()
        finally:
            self.say("stopping")
            self.supervisor.stop()
            self.say("stopped; nothing is left running")

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:6.1f} s] {text}", flush=True)

    def start(self) -> None:
        """Start in parallel what can be. After a first start or an update, applications wait for the database."""
        demo_port = processes.demo_port() if self.is_development else None
        environ = processes.child_environ(port=self.port, demo=demo_port)
        stores = self._stores()
        before = [processes.demo(port=demo_port)] if demo_port else []
        applications = [
            processes.web(port=self.port, environ=environ),
            processes.sweep(environ=environ),
            *([processes.fins(environ=environ)] if self.speaks_mqtt else []),
            *processes.workers(count=self.worker_count, threads=self.threads, environ=environ),
        ]
        stamp = _Stamp((self.port, demo_port, self.url, env.text("DATABASE_URL")))
        is_warm = stamp.is_current() and not env.text("DATABASE_URL")
        self.say(f"starting with {home()} ({'warm' if is_warm else 'first start or update'})")
        self.supervisor.facts = {"url": self.url, "home": str(home()), "ports": {"web": self.port, "demo": demo_port}}
        self.supervisor.start(*stores, *before, *(applications if is_warm else ()))
        self.supervisor.wait_ready(*stores, *before)
        if not is_warm:
            self.supervisor.run_to_end(processes.install(environ=environ), label="preparing the database")
            stamp.write()
            self.supervisor.start(*applications)
        readiness.wait(self.supervisor, port=self.port, within=READY_WITHIN)
        self._note_time(is_warm=is_warm)

    def welcome(self) -> None:
        credentials = home() / "credentials.json"
        self.supervisor.publish(f"process {os.getpid()}, {self.url}")
        print(f"\n  API page     {self.url}/api/docs\n  admin        {self.url}/admin/", flush=True)
        if self.is_development and credentials.exists():
            print(f"  credentials  {credentials}  (owner's login and an API key)")
        elif self.is_development:
            print("  credentials  gone; `python3 manage.py install --renew` makes new ones")
        else:
            print(f"  first login  see {self.supervisor.log_of('install')}: a token for making the administrator")
        print(
            f"  logs         {home() / 'log'}\n  status       python3 manage.py status\n  stop         Ctrl-C\n",
            flush=True,
        )
        if self.run_sample and self.is_development and credentials.exists():
            threading.Thread(target=self._show_sample, args=(credentials,), daemon=True).start()

    def _show_sample(self, credentials: Path) -> None:
        key = json.loads(credentials.read_text())["api_key"]
        try:
            sample_run.show(port=self.port, api_key=key, say=self.say)
        except sample_run.SampleFailed as error:
            self.say(f"sample run: {error}")

    def _stores(self) -> list[Service]:
        stores = [] if env.text("DATABASE_URL") else [postgres()]
        return stores if env.text("REDIS_URL") else [*stores, valkey()]

    def _note_time(self, *, is_warm: bool) -> None:
        """Say how long it took, and keep it, so that a warm start is told beside the last cold one."""
        if self.supervisor.is_stopping:
            return
        took = time.monotonic() - self.began
        path = home() / "start_times.json"
        times = json.loads(path.read_text()) if path.exists() else {}
        times["warm" if is_warm else "cold"] = round(took, 2)
        write_private(path, json.dumps(times))
        other = f"; cold start: {times['cold']:.1f} s" if is_warm and "cold" in times else ""
        self.say(f"ready after {took:.1f} s ({'warm' if is_warm else 'cold'} start{other})")


class _Stamp:
    """Whether the database of this home was prepared by the same migrations, samples and addresses as now."""

    def __init__(self, facts: Iterable[object]) -> None:
        digest = hashlib.sha256(repr(tuple(facts)).encode())
        for path in sorted([*ROOT.glob("*/migrations/*.py"), *ROOT.glob("playbooks/samples/**/*.json")]):
            digest.update(path.name.encode() + path.read_bytes())
        self._value = digest.hexdigest()
        self._path = home() / "prepared"

    def is_current(self) -> bool:
        return self._path.exists() and self._path.read_text() == self._value

    def write(self) -> None:
        write_private(self._path, self._value)
