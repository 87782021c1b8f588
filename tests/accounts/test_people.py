from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from accounts import services
from accounts.models import Tenant, User
from accounts.permissions import ROLES
from accounts.selectors import caller_of_user
from core.actors import Actor, ActorKind
from core.errors import Invalid
from tests.accounts import NOON, PASSWORD


def _actor(role: str) -> Actor:
    return Actor(kind=ActorKind.USER, id="1", name="someone", permissions=ROLES[role])


def test_an_email_address_is_one_persons_whatever_its_capitals(
    tenant: Tenant, owner: User, other_tenant: Tenant
) -> None:
    with pytest.raises(services.EmailTaken):
        services.create_user(
            tenant=other_tenant, email="OWNER@ACME.EXAMPLE", password=PASSWORD, role="viewer", now=NOON
        )


@pytest.mark.parametrize(
    "password",
    "short-pw-11 changeme changeme1234 changemechangeme Password12345! 123456789012345 qwertyuiop12 "
    f"iloveyou!!!! owner@acme.example {'x' * 1_025}".split(),
)
def test_a_password_that_is_short_endless_or_well_known_is_refused(tenant: Tenant, password: str) -> None:
    with pytest.raises(Invalid) as refused:
        services.create_user(tenant=tenant, email="owner@acme.example", password=password, role="viewer", now=NOON)

    assert refused.value.fields[0].path == "password"
    assert not User.objects.exists()


@pytest.mark.parametrize("password", ["plum-window-gravel-tide", "twelve chars", "ключ от квартиры", "x!" * 100 + "z"])
def test_a_long_password_needs_no_digits_or_signs(tenant: Tenant, password: str) -> None:
    user = services.create_user(tenant=tenant, email="o@acme.example", password=password, role="viewer", now=NOON)

    assert user.check_password(password)
    assert user.password.startswith("argon2")


@pytest.mark.parametrize(
    ("field", "value"), [("email", "no address"), ("email", "a" * 250 + "@x.example"), ("role", "god")]
)
def test_a_person_with_a_wrong_field_is_refused(tenant: Tenant, field: str, value: str) -> None:
    given: dict[str, Any] = {"tenant": tenant, "email": "o@acme.example", "password": PASSWORD, "role": "viewer"}

    with pytest.raises(Invalid) as refused:
        services.create_user(**given | {field: value}, now=NOON)

    assert refused.value.fields[0].path == field


def test_nobody_grants_what_they_do_not_hold(tenant: Tenant, owner: User) -> None:
    user = services.create_user(tenant=tenant, email="o@acme.example", password=None, role="api_service", now=NOON)

    for granting, granted in product(ROLES, ROLES):
        if ROLES[granted] <= ROLES[granting]:
            assert services.change_role(user=user, role=granted, by=_actor(granting)).role == granted
        else:
            with pytest.raises(services.MayNotGrant):
                services.change_role(user=user, role=granted, by=_actor(granting))


def test_the_last_administrator_stays(tenant: Tenant, owner: User) -> None:
    with pytest.raises(services.LastAdministrator):
        services.change_role(user=owner, role="viewer", by=_actor("admin"))
    with pytest.raises(services.LastAdministrator):
        services.deactivate_user(user=owner)

    services.create_user(tenant=tenant, email="second@acme.example", password=None, role="tenant_admin", now=NOON)

    assert services.change_role(user=owner, role="viewer", by=_actor("admin")).role == "viewer"


def test_a_person_without_a_tenant_or_of_a_closed_one_calls_for_nobody(tenant: Tenant, owner: User) -> None:
    operator = services.create_user(tenant=None, email="op@acme.example", password=None, role="admin", now=NOON)
    assert caller_of_user(operator) is None
    assert caller_of_user(owner) is not None

    tenant.is_active = False
    owner.tenant = tenant
    assert caller_of_user(owner) is None


@pytest.mark.parametrize("slug", ["", "a b", "x" * 65, "ümlaut"])
def test_a_tenant_with_a_wrong_name_is_refused(db: None, slug: str) -> None:
    with pytest.raises(Invalid):
        services.create_tenant(slug=slug, name="x", now=NOON)


def test_two_tenants_never_share_a_short_name(tenant: Tenant) -> None:
    with pytest.raises(services.TenantExists):
        services.create_tenant(slug="acme", name="x", now=NOON)
