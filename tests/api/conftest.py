"""A client of the sample family, with a key of a tenant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.api import NOON

if TYPE_CHECKING:
    from django.test import Client

    from accounts.models import Tenant, User


@pytest.fixture
def tenant(db: None) -> Tenant:
    from accounts.services import create_tenant

    return create_tenant(slug="acme", name="Acme", now=NOON)


@pytest.fixture
def owner(tenant: Tenant) -> User:
    from accounts.services import create_user

    return create_user(tenant=tenant, email="owner@acme.example", password=None, role="admin", now=NOON)


@pytest.fixture
def key(tenant: Tenant, owner: User) -> str:
    from accounts.services import issue_api_key

    return issue_api_key(tenant=tenant, owner=owner, name="test", now=NOON)[1]


@pytest.fixture
def sample(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.api.sample"


@pytest.fixture
def client(sample: None, key: str) -> Client:
    from django.test import Client

    return Client(headers={"authorization": f"Bearer {key}"}, raise_request_exception=False)


@pytest.fixture
def stranger(sample: None) -> Client:
    from django.test import Client

    return Client(raise_request_exception=False)


@pytest.fixture
def written(api: Any) -> Iterator[None]:
    """Fail when a request of the test inserted, changed or deleted a row; the use of a key may be noted."""
    from django.db import connection

    statements: list[str] = []

    def watch(execute: Any, sql: str, *more: Any) -> Any:
        if sql.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE")) and '"last_used_at"' not in sql:
            statements.append(sql)
        return execute(sql, *more)

    with connection.execute_wrapper(watch):
        yield
    assert statements == []
