"""The admin as people use it: through the browser's requests."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from accounts import services
from accounts.models import ApiKey, Tenant, User
from accounts.selectors import identify
from accounts.site import tenant_lookup
from tests.accounts import NOON, PASSWORD

EMAIL = "owner@acme.example"


@pytest.fixture
def staff(tenant: Tenant) -> User:
    return services.create_user(
        tenant=tenant, email=EMAIL, password=PASSWORD, role="tenant_admin", is_staff=True, now=NOON
    )


@pytest.fixture
def operator(db: None) -> User:
    return services.create_user(
        tenant=None, email="op@host.example", password=None, role="admin", is_staff=True, now=NOON
    )


@pytest.fixture
def stranger(other_tenant: Tenant) -> User:
    return services.create_user(tenant=other_tenant, email="s@other.example", password=None, role="admin", now=NOON)


@pytest.fixture
def browser(staff: User) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def _login(client: Client, email: str, password: str, **headers: str) -> Any:
    return client.post("/admin/login/?next=/admin/", {"username": email, "password": password}, headers=headers)


def _faults(answer: Any) -> str:
    return " ".join(re.findall(r'<ul class="errorlist[^>]*>(.*?)</ul>', answer.text, re.DOTALL))


def test_staff_log_in_by_email_and_password(staff: User) -> None:
    answer = _login(Client(), "Owner@ACME.example", PASSWORD)

    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


def test_people_who_are_no_staff_are_turned_away(staff: User, tenant: Tenant) -> None:
    services.create_user(tenant=tenant, email="u@acme.example", password=PASSWORD, role="admin", now=NOON)

    assert _login(Client(), "u@acme.example", PASSWORD).status_code == 200
    assert Client().get("/admin/").status_code == 302


def test_too_many_failures_are_429_and_say_how_long_to_wait(staff: User) -> None:
    client = Client()
    for _ in range(10):
        assert _login(client, EMAIL, "wrong").status_code == 200

    answer = _login(client, EMAIL, PASSWORD)

    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert "Too many failed logins" in answer.text


def test_a_client_cannot_pass_for_another_address(staff: User) -> None:
    client = Client()
    statuses = [_login(client, EMAIL, "x", **{"x-forwarded-for": f"192.0.2.{n}"}).status_code for n in range(11)]

    assert statuses == [200] * 10 + [429]


def test_a_login_ends_with_the_account_and_with_the_tenant(browser: Client, staff: User, tenant: Tenant) -> None:
    assert browser.get("/admin/").status_code == 200
    Tenant.objects.update(is_active=False)
    assert browser.get("/admin/").status_code == 302

    Tenant.objects.update(is_active=True)
    User.objects.update(is_active=False)
    assert browser.get("/admin/").status_code == 302


@pytest.mark.parametrize("role", ["viewer", "analyst", "api_service"])
def test_what_staff_may_do_follows_from_their_role(browser: Client, staff: User, role: str) -> None:
    User.objects.update(role=role)

    assert browser.get("/admin/accounts/apikey/").status_code == 403
    assert browser.get("/admin/accounts/user/").status_code == 403
    assert browser.post("/admin/accounts/apikey/add/", {}).status_code == 403
    assert browser.get("/admin/playbooks/playbook/").status_code == (403 if role == "api_service" else 200)


def test_every_page_of_the_admin_opens_and_shows_no_other_tenant(
    browser: Client, stranger: User, other_tenant: Tenant
) -> None:
    services.issue_api_key(tenant=other_tenant, owner=stranger, name="foreign-key", now=NOON)

    for model in admin.site._registry:
        if tenant_lookup(model) is None:
            continue
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        answer = browser.get(path)
        assert answer.status_code == 200, path
        for foreign in ("s@other.example", "foreign-key", "Other", str(other_tenant.id)):
            assert foreign not in answer.text, path


def test_rows_of_another_tenant_are_as_good_as_missing(browser: Client, stranger: User, other_tenant: Tenant) -> None:
    key, _ = services.issue_api_key(tenant=other_tenant, owner=stranger, name="x", now=NOON)
    for path in (
        f"/admin/accounts/user/{stranger.pk}/change/",
        f"/admin/accounts/tenant/{other_tenant.pk}/change/",
        f"/admin/accounts/apikey/{key.pk}/change/",
        f"/admin/accounts/apikey/{key.pk}/history/",
    ):
        assert browser.get(path).status_code in {302, 404}, path

    browser.post("/admin/accounts/apikey/", {"action": "revoke", "_selected_action": [str(key.pk)]})
    key.refresh_from_db()
    assert key.revoked_at is None


def test_what_belongs_to_no_tenant_is_hidden_from_people_of_one(browser: Client, operator: User) -> None:
    assert browser.get("/admin/auth/group/").status_code == 403

    browser.force_login(operator)
    assert browser.get("/admin/auth/group/").status_code == 200


def test_a_key_is_shown_once_and_works(browser: Client, staff: User, tenant: Tenant) -> None:
    given = {"tenant": tenant.pk, "owner": staff.pk, "name": "CI", "scopes": ["playbooks:read"]}
    answer = browser.post("/admin/accounts/apikey/add/", given)

    shown = re.search(r"s4e_live_[\w-]{43}", answer.text)
    assert shown, _faults(answer)
    caller = identify(shown[0], now=NOON)
    assert caller is not None
    assert caller.actor.permissions == {"playbooks:read"}
    assert answer["Cache-Control"] == "no-store" or "no-cache" in answer["Cache-Control"]
    key = ApiKey.objects.get()
    for path in ("/admin/accounts/apikey/", f"/admin/accounts/apikey/{key.pk}/change/", "/admin/"):
        text = browser.get(path).text
        assert shown[0] not in text
        assert key.digest not in text


def test_a_key_never_holds_more_than_the_one_who_makes_it(browser: Client, staff: User, tenant: Tenant) -> None:
    chief = services.create_user(tenant=tenant, email="c@acme.example", password=None, role="admin", now=NOON)
    answer = browser.post("/admin/accounts/apikey/add/", {"tenant": tenant.pk, "owner": chief.pk, "name": "CI"})

    assert "Nobody grants" in _faults(answer)
    assert not ApiKey.objects.exists()


def test_a_key_cannot_be_made_for_another_tenant(
    browser: Client, staff: User, stranger: User, other_tenant: Tenant
) -> None:
    for tenant, owner in ((other_tenant, stranger), (other_tenant, staff), (staff.tenant, stranger)):
        assert tenant is not None
        browser.post("/admin/accounts/apikey/add/", {"tenant": tenant.pk, "owner": owner.pk, "name": "x"})

    assert not ApiKey.objects.exists()


def test_a_key_is_revoked_by_the_action(browser: Client, staff: User, tenant: Tenant) -> None:
    key, text = services.issue_api_key(tenant=tenant, owner=staff, name="CI", now=NOON)
    browser.post("/admin/accounts/apikey/", {"action": "revoke", "_selected_action": [str(key.pk)]})

    assert identify(text, now=NOON) is None


def _person(tenant: Tenant, **given: Any) -> dict[str, Any]:
    return {"tenant": tenant.pk, "email": "new@acme.example", "name": "", "role": "viewer", "is_active": "on"} | given


def test_a_person_is_made_with_a_password_that_passes_the_rules(browser: Client, tenant: Tenant) -> None:
    refused = browser.post("/admin/accounts/user/add/", _person(tenant, new_password="changeme1234"))
    assert "first that are tried" in _faults(refused)

    browser.post("/admin/accounts/user/add/", _person(tenant, new_password=PASSWORD))
    made = User.objects.get(email="new@acme.example")
    assert made.check_password(PASSWORD)
    assert not made.is_superuser


@pytest.mark.parametrize("role", ["admin", "platform_admin"])
def test_staff_cannot_make_or_change_people_who_hold_more(browser: Client, tenant: Tenant, role: str) -> None:
    refused = browser.post("/admin/accounts/user/add/", _person(tenant, role=role))
    assert "Nobody grants" in _faults(refused)

    chief = services.create_user(tenant=tenant, email="c@acme.example", password=PASSWORD, role=role, now=NOON)
    for change in ({"role": role}, {"role": "viewer"}):
        browser.post(
            f"/admin/accounts/user/{chief.pk}/change/",
            _person(tenant, **change, new_password="gravel-tide-plum-window"),
        )
    chief.refresh_from_db()
    assert chief.role == role
    assert chief.check_password(PASSWORD)


def test_the_last_administrator_can_neither_leave_nor_be_demoted(browser: Client, staff: User) -> None:
    path = f"/admin/accounts/user/{staff.pk}/change/"
    for given in ({"role": "viewer", "is_active": "on"}, {"role": "tenant_admin"}):
        assert "last administrator" in _faults(browser.post(path, {"name": "", "is_staff": "on"} | given))

    staff.refresh_from_db()
    assert (staff.role, staff.is_active) == ("tenant_admin", True)


def test_nobody_names_themselves_superuser_or_leaves_their_tenant(
    browser: Client, staff: User, other_tenant: Tenant
) -> None:
    browser.post(
        f"/admin/accounts/user/{staff.pk}/change/",
        _person(other_tenant, role="tenant_admin", is_staff="on", is_superuser="on", password="x"),
    )

    staff.refresh_from_db()
    assert not staff.is_superuser
    assert staff.tenant_id != other_tenant.pk
    assert staff.check_password(PASSWORD)


def test_a_tenant_cannot_raise_its_own_rate(browser: Client, tenant: Tenant, operator: User) -> None:
    path = f"/admin/accounts/tenant/{tenant.pk}/change/"
    given = {"name": "Acme", "rate_tier": "enterprise", "import_level": "strict", "is_active": "on"}
    given |= {"dispatch_weight": "7", "queue_limit": "9", "keep_days": "30"}
    User.objects.filter(email=EMAIL).update(role="admin")
    browser.post(path, given)
    tenant.refresh_from_db()
    assert (tenant.rate_tier, tenant.import_level) == ("standard", "strict")
    assert (tenant.dispatch_weight, tenant.queue_limit, tenant.keep_days) == (1, None, None)

    browser.force_login(operator)
    browser.post(path, given)
    tenant.refresh_from_db()
    assert tenant.rate_tier == "enterprise"
    assert (tenant.dispatch_weight, tenant.queue_limit, tenant.keep_days) == (7, 9, 30)


def test_nothing_is_deleted(browser: Client, staff: User) -> None:
    for model in ("user", "tenant", "apikey"):
        assert browser.get(f"/admin/accounts/{model}/{staff.pk}/delete/").status_code in {302, 403, 404}
    assert User.objects.filter(pk=staff.pk).exists()


def test_staff_of_a_tenant_cannot_make_people_of_the_deployment(browser: Client, tenant: Tenant) -> None:
    given = _person(tenant, role="tenant_admin", is_staff="on", new_password=PASSWORD) | {"tenant": ""}

    answer = browser.post("/admin/accounts/user/add/", given)

    assert "This field is required." in _faults(answer)
    assert not User.objects.filter(email="new@acme.example").exists()


def test_a_new_person_is_offered_the_own_tenant_and_the_least_role(browser: Client, tenant: Tenant) -> None:
    form = browser.get("/admin/accounts/user/add/").context["adminform"].form

    assert [str(value) for value, _ in form.fields["tenant"].choices] == [str(tenant.pk)]
    assert form.fields["role"].initial == "viewer"


def test_operators_of_the_deployment_make_people_without_a_tenant(operator: User) -> None:
    client = Client()
    client.force_login(operator)
    given = {"tenant": "", "email": "new@host.example", "name": "", "role": "admin", "is_active": "on"}

    client.post("/admin/accounts/user/add/", given)

    assert User.objects.get(email="new@host.example").tenant_id is None
