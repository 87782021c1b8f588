from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts import services
from accounts.models import ApiKey, Tenant, User
from accounts.permissions import ROLES
from accounts.selectors import identify
from core.errors import Invalid
from tests.accounts import NOON, PASSWORD


def _permissions(key: str) -> frozenset[str]:
    caller = identify(key, now=NOON)
    return caller.actor.permissions if caller else frozenset()


@pytest.fixture
def key(tenant: Tenant, owner: User) -> tuple[ApiKey, str]:
    return services.issue_api_key(tenant=tenant, owner=owner, name="CI", now=NOON)


def test_a_key_is_stored_as_a_digest_only(key: tuple[ApiKey, str]) -> None:
    row, text = key
    stored = ApiKey.objects.values().get(pk=row.pk)

    assert text.startswith("s4e_live_")
    assert len(text) == len("s4e_live_") + 43
    assert not any(text in str(value) for value in stored.values())
    assert text.startswith(stored["prefix"])
    assert len(text) - len(stored["prefix"]) >= 32


def test_a_key_stands_for_its_tenant_and_its_owner(key: tuple[ApiKey, str], tenant: Tenant, owner: User) -> None:
    caller = identify(key[1], now=NOON)

    assert caller is not None
    assert caller.tenant == tenant
    assert caller.actor.person == owner.id
    assert caller.actor.permissions == ROLES["admin"]


@pytest.mark.parametrize("text", ["", "s4e_live_", "s4e_live_" + "A" * 43, "\ud800", "x" * 5_000])
def test_any_other_text_stands_for_nobody(key: tuple[ApiKey, str], text: str) -> None:
    assert identify(text, now=NOON) is None


def test_a_revoked_key_is_refused_at_once_and_for_good(key: tuple[ApiKey, str]) -> None:
    row = services.revoke_api_key(key=key[0], now=NOON)
    again = services.revoke_api_key(key=key[0], now=NOON + timedelta(days=1))

    assert identify(key[1], now=NOON) is None
    assert again.revoked_at == row.revoked_at == NOON


def test_a_key_ends_at_the_very_moment_it_expires(tenant: Tenant, owner: User) -> None:
    expiry = NOON + timedelta(hours=1)
    _, text = services.issue_api_key(tenant=tenant, owner=owner, name="short", now=NOON, expires_at=expiry)

    assert identify(text, now=expiry - timedelta(microseconds=1)) is not None
    assert identify(text, now=expiry) is None


def test_a_key_ends_with_its_owner_and_with_its_tenant(key: tuple[ApiKey, str], tenant: Tenant, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert identify(key[1], now=NOON) is None

    User.objects.filter(pk=owner.pk).update(is_active=True)
    Tenant.objects.filter(pk=tenant.pk).update(is_active=False)
    assert identify(key[1], now=NOON) is None


def test_a_key_never_outlives_its_owners_move_to_another_tenant(
    key: tuple[ApiKey, str], owner: User, other_tenant: Tenant
) -> None:
    User.objects.filter(pk=owner.pk).update(tenant=other_tenant)

    assert identify(key[1], now=NOON) is None


def test_a_key_loses_what_its_owner_loses(tenant: Tenant, owner: User) -> None:
    analyst = services.create_user(tenant=tenant, email="a@acme.example", password=PASSWORD, role="analyst", now=NOON)
    scopes = ["playbooks:read", "playbooks:execute"]
    _, text = services.issue_api_key(tenant=tenant, owner=analyst, name="run", now=NOON, scopes=scopes)
    assert _permissions(text) == set(scopes)

    User.objects.filter(pk=analyst.pk).update(role="viewer")

    assert _permissions(text) == {"playbooks:read"}


def test_the_last_use_is_noted_at_most_once_a_minute(key: tuple[ApiKey, str]) -> None:
    row, text = key
    for seconds, noted in [(0, 0), (59, 0), (60, 0), (61, 61), (100, 61)]:
        services.authenticate_key(text, now=NOON + timedelta(seconds=seconds))
        row.refresh_from_db()
        assert row.last_used_at == NOON + timedelta(seconds=noted)


def test_identifying_takes_one_query(key: tuple[ApiKey, str], django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        identify(key[1], now=NOON)


@pytest.mark.parametrize(
    "wrong",
    [{"scopes": ["playbooks:fly"]}, {"expires_at": NOON}, {"name": ""}, {"name": "x" * 201}],
)
def test_a_key_with_a_wrong_field_is_refused(tenant: Tenant, owner: User, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        services.issue_api_key(tenant=tenant, owner=owner, now=NOON, **({"name": "x"} | wrong))


def test_nobody_owns_a_key_of_another_tenant(other_tenant: Tenant, owner: User) -> None:
    with pytest.raises(Invalid):
        services.issue_api_key(tenant=other_tenant, owner=owner, name="x", now=NOON)


def test_scopes_that_give_the_owner_nothing_are_refused(tenant: Tenant, owner: User) -> None:
    viewer = services.create_user(tenant=tenant, email="v@acme.example", password=PASSWORD, role="viewer", now=NOON)

    with pytest.raises(services.MayNotGrant):
        services.issue_api_key(tenant=tenant, owner=viewer, name="x", now=NOON, scopes=["playbooks:write"])
