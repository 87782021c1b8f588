"""A tenant, and a way to start workflows. Imports stand inside: conftest files are read before Django is set up."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from accounts.models import Tenant
    from tests.connectors.servers import Server
    from tests.flows.starting import Start


@pytest.fixture
def tenant(db: None) -> Tenant:
    """In a transaction that is rolled back; what needs commits asks for ``transactional_db`` or ``run_to_end``."""
    from tests.flows.starting import make_tenant

    return make_tenant()


@pytest.fixture
def start(tenant: Tenant, settings: Any) -> Start:
    """Return ``start_workflow`` for the tenant, with the fake connector allowed."""
    from tests.flows.starting import start_workflow

    settings.SALLYPORT_ALLOW_FAKE = True
    return partial(start_workflow, tenant)


@pytest.fixture(scope="module", autouse=True)
def _only_legal_moves(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    from tests.executions.legal_moves import unwatch_moves, watch_moves

    with django_db_blocker.unblock():
        watch_moves()
    yield
    with django_db_blocker.unblock():
        unwatch_moves()


@pytest.fixture
def effects(tenant: Tenant, settings: Any) -> Iterator[Server]:
    """A ledger on loopback, behind the keyed connection ``ledger``."""
    from tests.connectors.servers import ledger
    from tests.executions.acting import connect

    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    with ledger() as server:
        connect(tenant, server)
        yield server
