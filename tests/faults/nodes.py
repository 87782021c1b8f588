"""The deployment under attack: PostgreSQL and Valkey on TCP, workers, sweeps and API servers as processes of their own.

Every process leads a group of its own and is ended by its id when the block ends, also when the suite itself is killed
(the supervisor's watchdog sees to that). Nothing is restarted by itself: what a fault ends, the fault starts again.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from redis import Redis

from config import processes
from config.embedded.account import forget_data
from config.embedded.postgres import postgres
from config.embedded.valkey import valkey
from config.home import ROOT, socket_directory
from config.supervisor import Child, Service, Supervisor

LOOPBACK = "127.0.0.1"
#: of the file system of PostgreSQL's files, where it has one of its own
ROOM = "3g"
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Shape:
    """What a deployment is made of."""

    nodes: int = 3
    threads: int = 4
    pool: str = "threads"
    sweeps: int = 1
    apis: int = 0
    lease: float = 5.0
    environ: Mapping[str, str] = field(default_factory=dict)
    celery_app: str = "config"
    sweep_module: str = ""  # in place of `manage.py sweep`
    data_on_tmpfs: bool = False  # a file system of its own, whose room can be taken away; needs root


class Stack:
    """Everything that runs, and what can be done to it."""

    def __init__(self, directory: Path, shape: Shape, say: Callable[[str], None]) -> None:
        self.directory, self.shape = directory, shape
        self.supervisor = Supervisor(directory, say)
        self.postgres_port, self.valkey_port, self.ledger_port = free_port(), free_port(), free_port()
        self.api_ports = [free_port() for _ in range(shape.apis)]
        #: links that lead elsewhere, such as ("postgres", "worker") to a proxy
        self.ports: dict[tuple[str, str], int] = {}
        #: what stands before the command of a worker, by its number
        self.wrapped: dict[int, Sequence[str]] = {}
        #: workers whose links are not those of all, by their number; homes that are not everybody's, by role
        self.roles: dict[int, str] = {}
        self.homes: dict[str, Path] = {}
        #: what is undone when everything has ended
        self.closing: list[Callable[[], object]] = []
        self._mounted: Path | None = None
        self.ledger_file = directory / "ledger.jsonl"
        self._looking = threading.Lock()
        self._connection: psycopg.Connection[Row] | None = None
        self._secrets = {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "SALLYPORT_MASTER_KEY": b64encode(secrets.token_bytes(32)).decode(),
        }

    # --- addresses ---

    def port_for(self, server: str, role: str) -> int:
        own = {"postgres": self.postgres_port, "valkey": self.valkey_port, "ledger": self.ledger_port}
        return self.ports.get((server, role), own[server])

    def database_url(self, role: str) -> str:
        address = f"sallyport@{LOOPBACK}:{self.port_for('postgres', role)}"
        return f"postgresql://{address}/sallyport?sslmode=disable&application_name={role}"

    def environ(self, role: str) -> dict[str, str]:
        return {
            "SALLYPORT_HOME": str(self.homes.get(role, self.directory)),
            "SALLYPORT_DEVELOPMENT": "1",
            "SALLYPORT_NO_BOOTSTRAP": "1",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONPATH": str(ROOT),
            "ALLOW_NETWORKS": "127.0.0.0/8",
            "SALLYPORT_LEASE": str(self.shape.lease),
            "SALLYPORT_STOP_GRACE": "10",
            "SALLYPORT_ALLOW_FAKE": "1",
            "DATABASE_URL": self.database_url(role),
            "REDIS_URL": f"redis://{LOOPBACK}:{self.port_for('valkey', role)}/0",
            "PORT": "1",
            **processes.KEEP_BYTECODE,
            **self._secrets,
            **self.shape.environ,
        }

    def port_for_api(self, number: int) -> int:
        return self.api_ports[number % len(self.api_ports)]

    def redis(self) -> Redis:
        return Redis(host=LOOPBACK, port=self.valkey_port, socket_timeout=10)

    # --- parts ---

    def start_stores(self) -> None:
        if self.shape.data_on_tmpfs and os.geteuid() == 0:
            self._mount_data()
        stores = [self._postgres(), self._valkey(), self._ledger()]
        self.supervisor.start(*stores)
        self.supervisor.wait_ready(*stores)

    def _mount_data(self) -> None:
        data = self.directory / "postgres"
        data.mkdir(mode=0o711)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=711", "tmpfs", str(data)], check=False)
        if done.returncode == 0:
            self._mounted = data

    def fill_data(self) -> None:
        """Leave PostgreSQL's files no more room than they have. Raises OSError where they have no file system."""
        if self._mounted is None:
            raise OSError("the data directory is no file system of its own (needs root and mount)")
        for spare in (0, 1, 4, 16):  # MiB; they may grow between the look and the word
            room = os.statvfs(self._mounted)
            if self._resize(str((room.f_blocks - room.f_bfree) * room.f_frsize + spare * 2**20)):
                return
        raise OSError("the file system could not be made smaller")

    def empty_data(self) -> None:
        if self._mounted is not None:
            self._resize(ROOM)

    def _resize(self, size: str) -> bool:
        words = ["mount", "-o", f"remount,size={size}", str(self._mounted)]
        return subprocess.run(words, check=False, capture_output=True).returncode == 0

    def unmount(self) -> None:
        if self._mounted is not None:
            subprocess.run(["umount", "-l", str(self._mounted)], check=False)

    def start_parts(self) -> None:
        self.supervisor.start(
            *(self._sweep(number) for number in range(1, self.shape.sweeps + 1)),
            *(self._worker(number) for number in range(1, self.shape.nodes + 1)),
            *(self._api(number, port) for number, port in enumerate(self.api_ports, start=1)),
        )
        self.wait_until(
            lambda: len(self.ready_nodes()) == self.shape.nodes and self._apis_answer(), "the nodes are up", 120
        )

    def start_sweep(self) -> Child:
        self.supervisor.start(self._sweep(len(self.children("sweep")) + int(time.monotonic() * 1000)))
        return self.supervisor.children[-1]

    def children(self, role: str) -> list[Child]:
        return [child for child in self.supervisor.children if child.service.role == role]

    def ready_nodes(self) -> list[Child]:
        """The workers that run and have said so in the database, in the last seconds."""
        rows = self.look("SELECT pid FROM executions_node WHERE role = 'work' AND seen_at > now() - interval '8 s'")
        pids = {row[0] for row in rows}
        return [child for child in self.children("workers") if child.is_running and pid_of(child) in pids]

    def busy_nodes(self) -> list[Child]:
        """The workers that hold a step run at this moment."""
        rows = self.look(
            "SELECT DISTINCT split_part(worker, ':', 2)::int FROM executions_steprun WHERE status = 'running'"
        )
        pids = {row[0] for row in rows}
        return [child for child in self.ready_nodes() if pid_of(child) in pids]

    def signal(self, child: Child, number: int) -> None:
        """Signal the whole group of a process that we started."""
        try:
            os.killpg(pid_of(child), number)
        except ProcessLookupError:
            pass

    def kill(self, child: Child) -> None:
        self.signal(child, signal.SIGKILL)
        if child.process is not None:
            child.process.wait(20)

    def start_again(self, child: Child) -> Child:
        """Start what was ended; a server that refuses because its predecessor's children still end is tried again."""
        self.forget(child)
        for _ in range(20):
            self.supervisor.start(child.service)
            new = self.supervisor.children[-1]
            if child.service.role != "postgres" or self._comes_up(new):
                return new
            self.forget(new)
        raise AssertionError(f"{child.service.name} does not start again: {self.log(child.service.name)[-2000:]}")

    def forget(self, child: Child) -> None:
        if child in self.supervisor.children:
            self.supervisor.children.remove(child)

    def _comes_up(self, child: Child) -> bool:
        until = time.monotonic() + 60
        while time.monotonic() < until and child.is_running:
            if child.service.is_ready():
                return True
            time.sleep(0.05)
        return False

    def log(self, name: str) -> str:
        path = self.supervisor.log_of(name)
        return path.read_text(errors="replace") if path.exists() else ""

    # --- looking, past every fault on a link ---

    def look(self, sql: str, args: Sequence[object] = ()) -> list[Row]:
        """Ask the database on a connection of the suite's own. Raises psycopg.Error while it is away."""
        with self._looking:
            for is_last in (False, True):
                try:
                    return self._ask(sql, args)
                except psycopg.OperationalError:
                    if self._connection is not None:
                        self._connection.close()
                    self._connection = None
                    if is_last:
                        raise
        raise AssertionError

    def _ask(self, sql: str, args: Sequence[object]) -> list[Row]:
        if self._connection is None:
            self._connection = self.connect("harness")
        with self._connection.cursor() as cursor:
            cursor.execute(sql.encode(), args)
            return cursor.fetchall() if cursor.description else []

    def connect(self, name: str) -> psycopg.Connection[Row]:
        return psycopg.connect(
            host=LOOPBACK, port=self.postgres_port, user="sallyport", dbname="sallyport", sslmode="disable",
            connect_timeout=5, autocommit=True, application_name=name, prepare_threshold=None,
            options="-c default_transaction_read_only=off -c statement_timeout=30s",
        )  # fmt: skip

    def wait_until(self, is_so: Callable[[], bool], what: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if is_so():
                    return
            except psycopg.Error:
                pass
            time.sleep(0.1)
        tails = "\n".join(f"{c.service.name}: {self.log(c.service.name)[-1500:]}" for c in self.supervisor.children)
        raise AssertionError(f"after {seconds:.0f} s it is not so that {what}.\n{tails}")

    def wait_briefly(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """Wait for something that need not happen; return whether it did."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if is_so():
                    return True
            except psycopg.Error:
                pass
            time.sleep(0.05)
        return False

    def _apis_answer(self) -> bool:
        return all(processes.status_of(port, "/health/live") == 200 for port in self.api_ports)

    # --- services ---

    def _postgres(self) -> Service:
        service = postgres(durable=True)
        data = Path(service.command[service.command.index("-D") + 1])

        def prepare() -> None:
            service.prepare()
            (data / "pg_hba.conf").write_text(f"host all all {LOOPBACK}/32 trust\n")

        options = ("-c", f"listen_addresses={LOOPBACK}", "-c", f"port={self.postgres_port}",
                   "-c", "unix_socket_directories=", "-c", "synchronous_commit=on", "-c", "fsync=on")  # fmt: skip
        return replace(service, command=(*service.command, *options), prepare=prepare, is_ready=self._database_answers)

    def _database_answers(self) -> bool:
        try:
            self.connect("ready").close()
        except psycopg.Error:
            return False
        return True

    def _valkey(self) -> Service:
        service = valkey(durable=False)
        options = ("--port", str(self.valkey_port), "--bind", LOOPBACK, "--enable-debug-command", "local")
        return replace(service, command=(*service.command, *options))

    def _ledger(self) -> Service:
        command = (sys.executable, "-I", "-S", str(ROOT / "tests" / "faults" / "ledger.py"), str(self.ledger_port),
                   str(self.ledger_file))  # fmt: skip
        return Service(
            name="ledger", role="ledger", command=command, tier=1, stop_signal="SIGTERM",
            is_ready=lambda: processes.status_of(self.ledger_port, "/health") == 200,
        )  # fmt: skip

    def _worker(self, number: int) -> Service:
        environ = self.environ(self.roles.get(number, "worker"))
        [service] = processes.workers(count=1, threads=self.shape.threads, environ=environ, pool=self.shape.pool)
        words = [
            self.shape.celery_app if before == "-A" else word
            for before, word in zip(("", *service.command), service.command, strict=False)
        ]
        words = [word.replace("worker-1-", f"worker-{number}-") for word in words]
        return replace(service, name=f"worker-{number}", command=(*self.wrapped.get(number, ()), *words))

    def _sweep(self, number: int) -> Service:
        service = processes.sweep(environ=self.environ("sweep"))
        command = (sys.executable, "-m", self.shape.sweep_module) if self.shape.sweep_module else service.command
        return replace(service, name=f"sweep-{number}", command=command)

    def _api(self, number: int, port: int) -> Service:
        service = processes.web(port=port, environ={**self.environ("api"), "PORT": str(port)})
        return replace(service, name=f"api-{number}", role="api")


@contextmanager
def stack_of(shape: Shape, *, say: Callable[[str], None], keep: Path | None = None) -> Iterator[Stack]:
    """Start the stores, set Django up in this process for them, and end everything with the block.

    ``keep``: a directory that gets the ledger's file and the logs before they are removed.
    """
    directory = Path(tempfile.mkdtemp(prefix="sallyport-faults-"))
    os.environ["SALLYPORT_HOME"] = str(directory)
    stack = Stack(directory, shape, say)
    try:
        stack.start_stores()
        yield stack
    finally:
        for child in stack.supervisor.children:
            stack.signal(child, signal.SIGCONT)
        stack.supervisor.patience = 4.0  # what is left is no longer part of any measurement
        stack.supervisor.stop()
        stack.unmount()
        for undo in stack.closing:
            undo()
        if keep is not None:
            _keep(directory, keep)
        forget_data()
        shutil.rmtree(socket_directory(), ignore_errors=True)
        shutil.rmtree(directory, ignore_errors=True)


def set_django_up(stack: Stack) -> None:
    """Let this process be the client of the deployment, and make its tables."""
    os.environ.update(stack.environ("driver"))
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)


def _keep(directory: Path, keep: Path) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    for path in [directory / "ledger.jsonl", *(directory / "log").glob("*.log")]:
        if path.exists():
            shutil.copy(path, keep / path.name)


def pid_of(child: Child) -> int:
    assert child.process is not None
    return child.process.pid


def worker_prefix(child: Child) -> str:
    """How the names of the threads of a worker process begin, as step runs and attempts keep them."""
    return f"{socket.gethostname()}:{pid_of(child)}:"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
