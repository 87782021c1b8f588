"""A tenant whose rows are committed, and a way to start workflows. Imports stand inside: Django is set up later."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from accounts.models import Tenant
    from tests.flows.starting import Start


@pytest.fixture(scope="module", autouse=True)
def _only_legal_moves(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    from tests.executions.legal_moves import unwatch_moves, watch_moves

    with django_db_blocker.unblock():
        watch_moves()
    yield
    with django_db_blocker.unblock():
        unwatch_moves()


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    from tests.flows.starting import make_tenant

    return make_tenant()


@pytest.fixture
def start(tenant: Tenant) -> Start:
    from tests.flows.starting import start_workflow

    return partial(start_workflow, tenant)
