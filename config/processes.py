"""The processes of one deployment on one machine, as `manage.py up` starts them.

The commands are those of docker-compose.yml; docs/operations.md says what each is for.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
from collections.abc import Mapping

from config.home import ROOT, home, kept_name
from config.supervisor import CannotStart, Service

LOOPBACK = "127.0.0.1"


def web(*, port: int, environ: Mapping[str, str]) -> Service:
    command = (
        *(sys.executable, "-m", "uvicorn", "config.asgi:application", "--host", LOOPBACK, "--port", str(port)),
        *("--lifespan", "off", "--no-access-log", "--no-server-header", "--no-proxy-headers"),
        # An open stream would otherwise keep the process for ever after a SIGTERM.
        *("--timeout-graceful-shutdown", "3", "--ws-max-size", "65536"),
    )
    return Service(name="web", role="web", command=command, environ=environ, popen={"cwd": ROOT}, port=port)


def workers(*, count: int, threads: int, environ: Mapping[str, str], pool: str = "threads") -> list[Service]:
    """``pool``: of Celery; ``threads`` is how many steps a process runs at once, whatever runs them."""

    def command(name: str) -> tuple[str, ...]:
        return (
            *(sys.executable, "-m", "celery", "-A", "config", "worker", f"--pool={pool}", "-c", str(threads)),
            *("--without-gossip", "--without-mingle", "-l", "INFO", "-n", f"{name}-{kept_name()}@%h"),
        )

    names = [f"worker-{number}" for number in range(1, count + 1)]
    return [
        Service(name=name, role="workers", command=command(name), environ=environ, popen={"cwd": ROOT})
        for name in names
    ]


def sweep(*, environ: Mapping[str, str]) -> Service:
    command = (sys.executable, str(ROOT / "manage.py"), "sweep")
    return Service(name="sweep", role="sweep", command=command, environ=environ, popen={"cwd": ROOT})


def fins(*, environ: Mapping[str, str]) -> Service:
    """The bridge to an MQTT broker; only where one is configured."""
    command = (sys.executable, str(ROOT / "manage.py"), "fins")
    return Service(name="fins", role="fins", command=command, environ=environ, popen={"cwd": ROOT})


def install(*, environ: Mapping[str, str]) -> Service:
    """Migrates and makes what the first start needs; it ends by itself."""
    command = (sys.executable, str(ROOT / "manage.py"), "install")
    return Service(name="install", role="install", command=command, environ=environ, popen={"cwd": ROOT})


def demo(*, port: int) -> Service:
    command = (sys.executable, "-I", "-S", str(ROOT / "config" / "demo_target.py"), "--port", str(port))
    return Service(
        name="demo", role="demo", command=command, is_ready=lambda: status_of(port, "/health") == 200, port=port
    )


def status_of(port: int, path: str) -> int:
    """Return the HTTP status of a GET on loopback; 0 when nobody answers."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def check_free(port: int) -> None:
    if not is_free(port):
        raise CannotStart(f"Port {port} is taken by another process. Give a free one: PORT=8001 python3 manage.py up")


def demo_port() -> int:
    """Return the port of this home's demonstration target: the one it had, else a free one."""
    kept = home() / "demo_port"
    if kept.exists() and is_free(int(kept.read_text())):
        return int(kept.read_text())
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = int(probe.getsockname()[1])
    kept.write_text(str(port))
    return port


#: Lets Pythons keep what they compile, also where the environment says otherwise: without it every process compiles
#: every module anew, which takes several times as long as loading it.
KEEP_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}


def child_environ(*, port: int, demo: int | None) -> dict[str, str]:
    """Return what children are told beside what this process was told itself."""
    told = {
        "PORT": str(port),
        "SALLYPORT_HOME": str(home()),
        "SALLYPORT_NO_BOOTSTRAP": "1",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", "")))),
    }
    return told | KEEP_BYTECODE | ({"SALLYPORT_DEMO_ENDPOINT": f"{LOOPBACK}:{demo}"} if demo else {})
