"""Things to test with, built through the services, so that none of them is impossible."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import factory

from accounts.models import ApiKey, Tenant, User
from accounts.services import create_tenant, create_user, issue_api_key
from connectors.models import Connection
from connectors.services import save_connection

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


class ThroughService(factory.Factory):  # type: ignore[misc]  # factory-boy's classes are untyped
    """Calls ``service`` with what it was given; no row is written past it."""

    class Meta:
        abstract = True

    @classmethod
    def _create(cls, _: type[Any], *args: Any, **kwargs: Any) -> Any:
        made = cls.service(*args, **kwargs)
        return made[0] if isinstance(made, tuple) else made


class TenantFactory(ThroughService):
    service = staticmethod(create_tenant)
    slug = factory.Sequence(lambda number: f"tenant-{number}")
    name = factory.LazyAttribute(lambda made: made.slug.title())
    now = NOON

    class Meta:
        model = Tenant


class UserFactory(ThroughService):
    service = staticmethod(create_user)
    tenant = factory.SubFactory(TenantFactory)
    email = factory.Sequence(lambda number: f"person-{number}@example.org")
    password = None
    role = "analyst"
    now = NOON

    class Meta:
        model = User


class ApiKeyFactory(ThroughService):
    """Gives the row; the key's text is what ``issue_api_key`` returns beside it."""

    service = staticmethod(issue_api_key)
    owner = factory.SubFactory(UserFactory)
    tenant = factory.LazyAttribute(lambda made: made.owner.tenant)
    name = "a program"
    now = NOON

    class Meta:
        model = ApiKey


class ConnectionFactory(ThroughService):
    """An http connection to ``url``; loopback and private addresses join its own list by themselves."""

    service = staticmethod(save_connection)
    tenant = factory.SubFactory(TenantFactory)
    kind = "http"
    name = factory.Sequence(lambda number: f"connection-{number}")
    url = "https://far-side.example.org"
    keyed = False
    now = NOON

    class Meta:
        model = Connection
