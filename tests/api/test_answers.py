"""What every answer carries, whoever made it."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from django.test import Client

from api import middleware
from config.logs import OneLine

PAGES = ["/sample", "/sample/things/%00", "/sample/raising/bug", "/nowhere", "/sample/open"]


@pytest.mark.parametrize("page", PAGES)
def test_every_answer_tells_browsers_to_do_nothing_with_it(client: Client, page: str) -> None:
    answer = client.get(page)

    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("page", PAGES)
def test_a_well_formed_request_id_comes_back(client: Client, page: str) -> None:
    assert client.get(page, headers={"x-request-id": "Trace.1:a_b-c"})["X-Request-ID"] == "Trace.1:a_b-c"


@pytest.mark.parametrize("given", ["short", "x" * 129, "with space", "line\tfeed", "ümlaut12", ""])
def test_any_other_request_id_is_replaced(client: Client, given: str) -> None:
    answered = client.get("/sample", headers={"x-request-id": given})["X-Request-ID"]

    assert re.fullmatch(r"[0-9a-f]{32}", answered)


def test_the_log_has_one_line_a_request_with_its_id_and_without_its_query(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        client.get("/sample?search=hidden", headers={"x-request-id": "my-request"})

    lines = [OneLine().format(record) for record in caplog.records if record.name == "api.requests"]
    assert len(lines) == 1
    assert "[my-request]" in lines[0]
    assert re.search(r"GET /sample 200 \d+ ms", lines[0])
    assert "hidden" not in lines[0]


def test_a_path_cannot_forge_a_line_in_the_log(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        client.get("/sample/things/a%0aFAKE%20INFO%1b[2J")

    lines = [OneLine().format(record) for record in caplog.records]
    assert not any("\n" in line or "\x1b" in line for line in lines)


@pytest.fixture
def soarca_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sample's paths count as SOARCA's."""
    monkeypatch.setattr(middleware, "family_name_of", lambda path: "soarca" if path.startswith("/sample") else None)


def _preflight(client: Client, path: str, origin: str = "https://roaster.example") -> Any:
    headers = {"origin": origin, "access-control-request-method": "POST"}
    return client.options(path, headers=headers)


def test_a_preflight_of_soarca_passes_without_credentials(stranger: Client, soarca_paths: None) -> None:
    answer = _preflight(stranger, "/sample")

    assert answer.status_code == 204
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Access-Control-Allow-Methods"] == "GET, HEAD, POST"
    assert answer["Access-Control-Allow-Headers"] == "content-type, authorization, x-api-key, idempotency-key"
    assert answer["Access-Control-Max-Age"] == "600"
    assert "Access-Control-Allow-Credentials" not in answer


def test_errors_carry_the_origin_too_and_unknown_paths_have_no_preflight(
    stranger: Client, soarca_paths: None, db: None
) -> None:
    assert stranger.get("/sample")["Access-Control-Allow-Origin"] == "*"
    assert _preflight(stranger, "/sample/none/at/all").status_code == 404


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://gui.example", True),
        ("https://gui.example.evil.test", False),
        ("https://evilgui.example", False),
        ("http://gui.example", False),
        ("https://gui.example:8443", False),
        ("HTTPS://GUI.EXAMPLE", False),
        ("null", False),
        ("", False),
    ],
)
def test_a_listed_origin_is_compared_exactly(
    stranger: Client, soarca_paths: None, settings: Any, origin: str, allowed: bool
) -> None:
    settings.SOARCA_ALLOWED_ORIGINS = ("https://gui.example", "null")
    answer = _preflight(stranger, "/sample", origin)

    assert answer.get("Access-Control-Allow-Origin") == (origin if allowed else None)
    assert "Origin" in answer["Vary"]


def test_other_families_allow_no_origin_by_default(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "family_name_of", lambda _: "s4e")

    assert "Access-Control-Allow-Origin" not in client.get("/sample", headers={"origin": "https://a.example"})
    assert "Access-Control-Allow-Origin" not in _preflight(client, "/sample")
