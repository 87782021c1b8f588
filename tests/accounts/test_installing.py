from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts import installing
from accounts.installing import FirstTokenRefused, OwnerExists, make_first_token, use_first_token
from accounts.models import FirstToken, Tenant, User
from accounts.selectors import identify
from core.errors import Invalid
from tests.accounts import NOON, PASSWORD

GIVEN = {"slug": "main", "name": "Main", "email": "first@acme.example", "password": PASSWORD}


def test_a_token_makes_the_first_administrator_once(db: None) -> None:
    token = make_first_token(now=NOON)

    owner = use_first_token(token=token, **GIVEN, now=NOON)

    caller = identify(owner.api_key, now=NOON)
    assert caller is not None
    assert caller.tenant == owner.tenant
    assert owner.user.role == "platform_admin"
    assert owner.user.is_staff
    assert not owner.user.is_superuser
    with pytest.raises(FirstTokenRefused):
        use_first_token(token=token, **GIVEN | {"slug": "second", "email": "x@acme.example"}, now=NOON)


def test_a_token_is_stored_as_a_digest_only(db: None) -> None:
    token = make_first_token(now=NOON)

    assert token not in str(list(FirstToken.objects.values()))


def test_a_token_ends_after_a_day_and_with_the_next_one(db: None) -> None:
    first = make_first_token(now=NOON)
    second = make_first_token(now=NOON)

    with pytest.raises(FirstTokenRefused):
        use_first_token(token=first, **GIVEN, now=NOON)
    with pytest.raises(FirstTokenRefused):
        use_first_token(token=second, **GIVEN, now=NOON + timedelta(days=1))


def test_a_refused_password_leaves_the_token_usable_and_nothing_behind(db: None) -> None:
    token = make_first_token(now=NOON)

    with pytest.raises(Invalid):
        use_first_token(token=token, **GIVEN | {"password": "changeme"}, now=NOON)

    assert not Tenant.objects.exists()
    assert use_first_token(token=token, **GIVEN, now=NOON).tenant.slug == "main"


def test_there_is_no_token_once_there_is_an_administrator(owner: User) -> None:
    with pytest.raises(OwnerExists):
        make_first_token(now=NOON)


@pytest.mark.django_db(transaction=True)
def test_of_many_uses_at_once_one_wins() -> None:
    token = make_first_token(now=NOON)

    def use(number: int) -> bool:
        given = GIVEN | {"slug": f"t{number}", "email": f"u{number}@acme.example"}
        try:
            use_first_token(token=token, **given, now=NOON)
        except FirstTokenRefused:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(use, range(6))) == 1
    assert Tenant.objects.count() == 1


def test_the_command_makes_an_owner_and_prints_the_key_once(db: None, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    printed = StringIO()

    call_command("create_owner", "o@acme.example", "--password-file", str(secret), "--json", stdout=printed)

    made = json.loads(printed.getvalue())
    assert set(made) == {"tenant", "username", "api_key"}
    assert User.objects.get(email=made["username"]).check_password(PASSWORD)


def test_the_command_can_make_the_password(db: None) -> None:
    printed = StringIO()

    call_command("create_owner", "o@acme.example", "--generate-password", "--json", stdout=printed)

    made = json.loads(printed.getvalue())
    assert User.objects.get(email=made["username"]).check_password(made["password"])


def test_the_command_says_what_is_wrong(owner: User, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="already"):
        call_command("create_owner", "o@acme.example", "--tenant", "acme", "--generate-password")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("create_owner", "o@acme.example", "--password-file", str(tmp_path / "none"))


def test_the_token_command_prints_a_token_and_later_does_nothing(db: None) -> None:
    first, second = StringIO(), StringIO()
    call_command("first_token", stdout=first)
    assert installing.TOKEN_PREFIX in first.getvalue()

    call_command("create_owner", "o@acme.example", "--generate-password", stdout=StringIO())
    call_command("first_token", stdout=second)

    assert installing.TOKEN_PREFIX not in second.getvalue()
