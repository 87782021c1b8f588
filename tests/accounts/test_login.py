from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from statistics import median
from time import perf_counter

import pytest
from django.db import connection
from django.db.models import F

from accounts import login, services
from accounts.login import TooManyFailures, check_login
from accounts.models import LoginCounter, Tenant, User
from tests.accounts import NOON, PASSWORD

HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"
EMAIL = "owner@acme.example"


def _fail(times: int, *, email: str = EMAIL, address: str = HOME) -> None:
    for _ in range(times):
        assert check_login(email=email, password="wrong", address=address) is None


def _a_minute_passes() -> None:
    LoginCounter.objects.update(window_started_at=F("window_started_at") - timedelta(seconds=61))


def test_the_right_password_logs_in_whatever_the_capitals_of_the_address(owner: User) -> None:
    assert check_login(email="OWNER@acme.example", password=PASSWORD, address=HOME) == owner


@pytest.mark.parametrize(
    ("email", "password"),
    [(EMAIL, "wrong"), ("nobody@acme.example", PASSWORD), (EMAIL, "x" * 2**20), (EMAIL, "\0"), ("\0", PASSWORD)],
)
def test_every_reason_for_a_refusal_has_the_same_answer(owner: User, email: str, password: str) -> None:
    assert check_login(email=email, password=password, address=HOME) is None


def test_closed_accounts_and_tenants_are_refused_like_wrong_passwords(owner: User, tenant: Tenant) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert check_login(email=EMAIL, password=PASSWORD, address=HOME) is None

    User.objects.filter(pk=owner.pk).update(is_active=True)
    Tenant.objects.filter(pk=tenant.pk).update(is_active=False)
    assert check_login(email=EMAIL, password=PASSWORD, address=HOME) is None


def test_a_megabyte_of_password_is_not_hashed(owner: User) -> None:
    def seconds(password: str) -> float:
        began = perf_counter()
        check_login(email=EMAIL, password=password, address=HOME)
        return perf_counter() - began

    hashed = min(seconds("wrong") for _ in range(3))
    assert min(seconds("x" * 2**20) for _ in range(3)) < hashed


def test_an_unknown_address_takes_the_time_of_a_wrong_password(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "OF_PAIR", 1_000)
    monkeypatch.setattr(login, "OF_ADDRESS", 1_000)

    def seconds(email: str) -> float:
        began = perf_counter()
        check_login(email=email, password="wrong", address=HOME)
        return perf_counter() - began

    pairs = [(seconds(EMAIL), seconds("nobody@acme.example")) for _ in range(9)]
    known, unknown = (median(times) for times in zip(*pairs, strict=True))

    assert unknown > known / 2


def test_the_eleventh_failure_in_a_minute_waits_even_with_the_right_password(owner: User) -> None:
    _fail(10)

    with pytest.raises(TooManyFailures) as refused:
        check_login(email=EMAIL, password=PASSWORD, address=HOME)

    assert 1 <= refused.value.retry_after <= 60
    assert check_login(email=EMAIL, password=PASSWORD, address=ELSEWHERE) == owner


def test_a_minute_later_the_account_is_open_again(owner: User) -> None:
    _fail(10)
    _a_minute_passes()

    assert check_login(email=EMAIL, password=PASSWORD, address=HOME) == owner


def test_trying_many_accounts_from_one_address_waits(owner: User) -> None:
    for number in range(3):
        _fail(10, email=f"user{number}@acme.example")

    with pytest.raises(TooManyFailures):
        check_login(email=EMAIL, password=PASSWORD, address=HOME)


def test_many_addresses_cannot_try_one_account_nor_keep_its_owner_out(owner: User) -> None:
    assert check_login(email=EMAIL, password=PASSWORD, address=HOME) == owner
    for number in range(10):
        _fail(10, address=f"203.0.113.{number}")

    with pytest.raises(TooManyFailures):
        check_login(email=EMAIL, password=PASSWORD, address=ELSEWHERE)
    assert check_login(email=EMAIL, password=PASSWORD, address=HOME) == owner


def test_good_logins_do_not_count_as_failures(owner: User) -> None:
    for _ in range(12):
        assert check_login(email=EMAIL, password=PASSWORD, address=HOME) == owner


def test_counters_name_neither_people_nor_addresses_and_go_after_a_while(owner: User) -> None:
    _fail(1)
    names = " ".join(LoginCounter.objects.values_list("subject", flat=True))
    LoginCounter.objects.update(window_started_at=F("window_started_at") - timedelta(hours=2))

    assert "acme" not in names
    assert HOME not in names
    assert login.forget_old_counters() == 3


@pytest.mark.django_db(transaction=True)
def test_many_tries_at_once_do_not_slip_past_the_limit() -> None:
    tenant = services.create_tenant(slug="acme", name="Acme", now=NOON)
    services.create_user(tenant=tenant, email=EMAIL, password=PASSWORD, role="admin", now=NOON)

    def attempt(_: int) -> bool:
        try:
            check_login(email=EMAIL, password="wrong", address=HOME)
        except TooManyFailures:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        tried = sum(pool.map(attempt, range(24)))

    assert tried == 10
