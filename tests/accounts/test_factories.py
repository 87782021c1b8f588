"""The factories of the tests build what the services would: usable, and never impossible."""

from __future__ import annotations

import pytest

from accounts.selectors import is_usable
from accounts.services import TenantExists
from core.errors import Invalid
from tests.factories import NOON, ApiKeyFactory, ConnectionFactory, TenantFactory

pytestmark = pytest.mark.django_db


def test_a_key_belongs_to_its_owners_tenant_and_is_usable() -> None:
    key = ApiKeyFactory()

    assert key.tenant == key.owner.tenant
    assert is_usable(key, now=NOON)


def test_a_slug_is_taken_once() -> None:
    TenantFactory(slug="taken")

    with pytest.raises(TenantExists):
        TenantFactory(slug="taken")


def test_a_connection_without_a_usable_address_cannot_be_built() -> None:
    with pytest.raises(Invalid):
        ConnectionFactory(url="gopher://far-side.example.org")
