"""Every test runs against real servers: those of DATABASE_URL and REDIS_URL, or the test run's own."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings

from config import home
from config.embedded.account import forget_data
from config.embedded.postgres import postgres
from config.embedded.valkey import valkey
from config.supervisor import CannotStart, Supervisor

if TYPE_CHECKING:
    from executions.models import Execution

SERVERS = pytest.StashKey[Supervisor]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start the servers that are not given, then let Django read where they are.

    Processes of pytest-xdist find both addresses in the environment and start nothing.
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    os.environ.setdefault("SALLYPORT_DEVELOPMENT", "1")
    os.environ.setdefault("SALLYPORT_REDIS_PREFIX", "sallyport-test:")
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(48))
    os.environ.setdefault("SALLYPORT_MASTER_KEY", b64encode(secrets.token_bytes(32)).decode())
    if not config.option.collectonly and not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")):
        _start_servers(config)
    settings.DATABASES  # noqa: B018  (reads the settings: pytest-django sets Django up only once they are read)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs: Sequence[Any]) -> None:
    """Processes of pytest-xdist share one Redis: each has its own keys and queues there.

    Each reads its settings before any hook of this file, so its environment has to say so from the start.
    """
    for spec in specs:
        spec.env["SALLYPORT_REDIS_PREFIX"] = f"sallyport-{spec.id}:"


def _start_servers(config: pytest.Config) -> None:
    # Directly below the temporary directory, where the account that runs PostgreSQL can enter.
    os.environ["SALLYPORT_HOME"] = tempfile.mkdtemp(prefix="sallyport-test-")
    servers = Supervisor(home.home(), say=print)
    config.stash[SERVERS] = servers
    wanted = []
    try:
        if not os.environ.get("DATABASE_URL"):
            wanted.append(postgres(durable=False))
            os.environ["DATABASE_URL"] = f"postgresql://sallyport@/sallyport?host={home.socket_directory()}"
        if not os.environ.get("REDIS_URL"):
            wanted.append(valkey(durable=False))
            os.environ["REDIS_URL"] = f"unix://{home.socket_directory()}/valkey.sock?db=0"
        servers.start(*wanted)
        servers.wait_ready(*wanted)
    except CannotStart as error:
        pytest_unconfigure(config)
        raise pytest.UsageError(str(error)) from error


def pytest_unconfigure(config: pytest.Config) -> None:
    servers = config.stash.get(SERVERS, None)
    if servers is not None:
        del config.stash[SERVERS]
        servers.stop()
        forget_data()
        for directory in (servers.home, home.socket_directory()):
            shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def run_to_end(transactional_db: None) -> Callable[..., Execution]:
    """Return a function that drives an execution until it is final or waits for somebody (see tests.flows.driving)."""
    from tests.flows.driving import drive

    return drive


@pytest.fixture(autouse=True)
def _no_renewals_from_outside(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test in a transaction of its own: the keeper's connection would see none of its leases, and call them lost."""
    if "db" not in request.fixturenames or "transactional_db" in request.fixturenames:
        return
    from executions import tasks
    from executions.leases import LeaseKeeper

    keeper = LeaseKeeper()
    monkeypatch.setattr(keeper, "_keep", lambda: None)
    monkeypatch.setattr(tasks, "keeper", keeper)
