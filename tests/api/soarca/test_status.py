"""/status, paths that do not exist, and what browsers of other origins may do."""

from __future__ import annotations

from datetime import datetime

import pytest
from pytest_django import Settings

from tests.api.soarca.calls import Api, assert_error, manual_playbook, read

pytestmark = pytest.mark.django_db
PREFLIGHT = {"Origin": "https://roaster.example.org", "Access-Control-Request-Method": "POST"}


@pytest.mark.parametrize("path", ["/status", "/status/"])
def test_soa_089_status_is_told_to_everybody(anonymous: Api, path: str) -> None:
    response = anonymous.get(path)

    assert response.status_code == 200
    body = read(response)
    assert body.keys() == {"version", "runtime", "mode", "time", "uptime"}
    assert body["runtime"] == "linux"
    assert body["mode"] in {"development", "production"}
    assert datetime.fromisoformat(body["uptime"]["since"]) <= datetime.fromisoformat(body["time"])
    assert isinstance(body["uptime"]["milliseconds"], int)


@pytest.mark.parametrize("path", ["/status/ping", "/status/ping/"])
def test_soa_090_ping_is_answered_to_everybody(anonymous: Api, path: str) -> None:
    response = anonymous.get(path)

    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain")
    assert response.content == b"pong"


@pytest.mark.parametrize(
    "path",
    [
        "/status/history", "/status/playbook", "/status/fins", "/status/reporters", "/manual/a/b/c", "/trigger",
        "/trigger/x", "/fin/x", "/fin/jobs", "/fin/jobs/x/y", "/keymanagement/a/b", "/reporter/a/b", "//manual",
    ],
)  # fmt: skip
def test_soa_091_a_path_that_does_not_exist_is_404_in_json(api: Api, path: str) -> None:
    assert_error(api.get(path), 404, original=f"GET {path}")


@pytest.mark.parametrize("path", ["/step", "/trusted/variables"])
def test_soa_091_roots_that_were_never_built_are_404_in_json(api: Api, path: str) -> None:
    response = api.get(path)

    assert response.status_code == 404
    assert response["Content-Type"].startswith("application/json")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/trigger/playbook", "POST"),
        ("/trigger/playbook/", "POST"),
        ("/manual/continue", "POST"),
        ("/keymanagement/web1", "PUT, PATCH, DELETE"),
        ("/fin/poll", "POST"),
        ("/fin/3f1d8c5e-1f0e-4a57-9d3e-1d2d3c4b5a69", "GET, HEAD, DELETE"),
        ("/playbook", "GET, HEAD, POST"),
        ("/playbook/playbook--3f1d8c5e-1f0e-4a57-9d3e-1d2d3c4b5a69", "GET, HEAD, PUT, DELETE"),
    ],
)
def test_a_preflight_passes_without_credentials(anonymous: Api, path: str, methods: str) -> None:
    response = anonymous.send("OPTIONS", path, **PREFLIGHT)

    assert response.status_code == 204
    assert response.content == b""
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response["Access-Control-Allow-Methods"] == methods
    assert response["Access-Control-Allow-Headers"] == "content-type, authorization, x-api-key, idempotency-key"
    assert response["Access-Control-Max-Age"] == "600"
    assert "Access-Control-Allow-Credentials" not in response


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("https://gui.example.org", True),
        ("https://GUI.example.org", False),
        ("http://gui.example.org", False),
        ("https://gui.example.org:8443", False),
        ("https://gui.example.org.evil.example", False),
        ("https://evil-gui.example.org", False),
        ("null", False),
    ],
)
def test_a_list_of_origins_is_exact(anonymous: Api, settings: Settings, origin: str, is_allowed: bool) -> None:
    settings.SOARCA_ALLOWED_ORIGINS = ("https://gui.example.org", "null")

    response = anonymous.get("/manual", Origin=origin)

    assert_error(response, 401)
    assert response.headers.get("Access-Control-Allow-Origin") == (origin if is_allowed else None)
    assert "Origin" in response["Vary"]


def test_a_cookie_is_no_credential(anonymous: Api, api: Api) -> None:
    assert_error(anonymous.get("/manual", Cookie=f"token={api.key}"), 401)


def test_a_limit_is_told(api: Api) -> None:
    response = api.get("/manual")

    assert response.headers.get("X-RateLimit-Limit", "600") == "600"


def test_every_answer_has_a_request_id(api: Api) -> None:
    assert api.get("/manual", **{"X-Request-ID": "caller-given-1"})["X-Request-ID"] == "caller-given-1"
    assert api.post("/playbook", manual_playbook())["X-Request-ID"]
