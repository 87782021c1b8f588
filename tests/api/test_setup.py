from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts.installing import make_first_token
from accounts.models import Tenant, User

GIVEN = {"tenant": "main", "email": "first@acme.example", "password": "plum-window-gravel-tide"}


@pytest.fixture
def anybody(db: None, settings: Any) -> Client:
    settings.SALLYPORT_REDIS_PREFIX = f"test-{uuid4()}:"
    return Client()


def _setup(client: Client, **given: Any) -> Any:
    return client.post("/api/native/setup", GIVEN | given, content_type="application/json")


def test_the_printed_token_makes_an_administrator_whose_key_works(anybody: Client) -> None:
    answer = _setup(anybody, token=make_first_token(now=timezone.now()))

    assert answer.status_code == 201
    assert {"tenant", "email", "api_key"} == set(answer.json())
    listed = anybody.get("/api/playbooks", headers={"x-api-key": answer.json()["api_key"]})
    assert listed.status_code == 200
    assert listed.json()["meta"]["total"] == 0


def test_a_wrong_or_used_token_makes_nobody(anybody: Client) -> None:
    token = make_first_token(now=timezone.now())
    assert _setup(anybody, token="first_wrong").status_code == 403
    assert not User.objects.exists()

    assert _setup(anybody, token=token).status_code == 201
    refused = _setup(anybody, token=token, tenant="second", email="second@acme.example")

    assert refused.status_code == 403
    assert refused["Content-Type"] == "application/problem+json"
    assert refused.json()["code"] == "first_token_refused"
    assert Tenant.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("password", "changeme"), ("password", 7), ("email", "x"), ("tenant", "a b"), ("token", None), ("role", "admin")],
)
def test_a_wrong_field_is_named_and_the_token_stays_good(anybody: Client, field: str, value: Any) -> None:
    token = make_first_token(now=timezone.now())

    refused = _setup(anybody, **{"token": token, field: value})

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["path"].replace("slug", "tenant") == field
    assert "plum" not in refused.text
    assert _setup(anybody, token=token).status_code == 201


def test_guessing_is_slowed_down(anybody: Client) -> None:
    statuses = [_setup(anybody, token=f"first_{number}").status_code for number in range(11)]

    assert statuses == [403] * 10 + [429]
