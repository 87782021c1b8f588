"""A whole Sallyport of a command's own: servers, workers and sweep in a temporary home, gone afterwards.

For commands that must not touch a running deployment's data: conformance and benchmarks.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from config import processes
from config.embedded.account import forget_data
from config.embedded.postgres import postgres
from config.embedded.valkey import valkey
from config.home import home, socket_directory
from config.supervisor import Supervisor


@contextmanager
def own_stack(
    *,
    say: Callable[[str], None],
    workers: int,
    threads: int = 4,
    environ: Mapping[str, str] | None = None,
    server: Mapping[str, str] | None = None,
) -> Iterator[Supervisor]:
    """Start everything but the web server and set Django up in this process for it; ``server``: more of PostgreSQL."""
    directory = Path(tempfile.mkdtemp(prefix="sallyport-own-"))
    given = {
        "SALLYPORT_HOME": str(directory),
        "SALLYPORT_DEVELOPMENT": "1",
        "SALLYPORT_ALLOW_FAKE": "1",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "SALLYPORT_MASTER_KEY": b64encode(secrets.token_bytes(32)).decode(),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        **(environ or {}),
    }
    os.environ.update(given)
    supervisor = Supervisor(home(), say)
    try:
        stores = [postgres(durable=True, settings=server), valkey(durable=False)]
        supervisor.start(*stores)
        supervisor.wait_ready(*stores)
        os.environ["DATABASE_URL"] = f"postgresql://sallyport@/sallyport?host={socket_directory()}"
        os.environ["REDIS_URL"] = f"unix://{socket_directory()}/valkey.sock?db=0"
        _prepare_database()
        told = {**processes.child_environ(port=1, demo=None), **given}
        supervisor.start(
            processes.sweep(environ=told), *processes.workers(count=workers, threads=threads, environ=told)
        )
        yield supervisor
    finally:
        supervisor.stop()
        forget_data()
        shutil.rmtree(directory, ignore_errors=True)


def _prepare_database() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
