from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from openapi_spec_validator import validate

from accounts.models import User
from api.docs import document


@pytest.fixture
def in_production(settings: Any) -> None:
    settings.SALLYPORT_DEVELOPMENT = False


@pytest.fixture
def browser(db: None) -> Client:
    return Client()


def test_the_schema_is_valid_openapi_3_1_and_makes_no_warning() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO(), stderr=StringIO())
    schema = json.loads(document())

    assert schema["openapi"] == "3.1.0"
    validate(schema)


def test_every_path_is_in_it_once_with_its_tag_permission_and_credentials() -> None:
    schema = json.loads(document())

    assert not [path for path in schema["paths"] if path.endswith("/")]
    listing = schema["paths"]["/api/playbooks"]["get"]
    assert listing["tags"] == ["S4E playbooks"]
    assert "`playbooks:read`" in listing["description"]
    assert {"bearerKey": []} in listing["security"]
    assert {"headerKey": []} in listing["security"]
    assert schema["components"]["securitySchemes"]["bearerKey"]["scheme"] == "bearer"


def test_in_development_anybody_reads_it(browser: Client, settings: Any) -> None:
    settings.SALLYPORT_DEVELOPMENT = True

    assert browser.get("/api/schema").json()["openapi"] == "3.1.0"
    assert browser.get("/api/docs").status_code == 200


@pytest.mark.parametrize("path", ["/api/schema", "/api/docs"])
def test_elsewhere_it_takes_a_permission(
    browser: Client, in_production: None, key: str, owner: User, path: str
) -> None:
    assert browser.get(path).status_code == 401
    assert browser.get(path, headers={"x-api-key": key}).status_code == 200

    browser.force_login(owner)
    assert browser.get(path).status_code == 200

    User.objects.update(role="api_service")
    assert browser.get(path).status_code == 403


def test_the_page_runs_under_a_policy_without_inline_scripts(browser: Client, settings: Any) -> None:
    settings.SALLYPORT_DEVELOPMENT = True
    answer = browser.get("/api/docs")

    assert "unsafe" not in answer["Content-Security-Policy"]
    assert "script-src" not in answer["Content-Security-Policy"]
    assert b"<script>" not in answer.content
    assert b"<style>" not in answer.content
