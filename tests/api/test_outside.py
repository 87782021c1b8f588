"""Answers that no view makes: unknown paths and failures around views, in the words of the prefix."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from django.db import OperationalError
from django.http import HttpRequest
from django.test import Client, RequestFactory

from api import outside
from api.families import family_name_of


@pytest.fixture
def anybody(db: None) -> Client:
    return Client(raise_request_exception=False)


@pytest.mark.parametrize(
    ("path", "family"),
    [
        ("/api/playbooks", "s4e"),
        ("/api/playbooks/pb-x/nothing", "s4e"),
        ("/api/playbooks/incidents/1/actions", "applylens"),
        ("/api/playbooks/incidentsx", "s4e"),
        ("/api/incidents", "applylens"),
        ("/api/sse/events", "applylens"),
        ("/api/soar/x", "olorin"),
        ("/api/composio", "olorin"),
        ("/api/native/x", "native"),
        ("/api/v1/alerts", "aisoc"),
        ("/api/anything", "aisoc"),
        ("/auth/oidc", "aisoc"),
        ("/graphql", "aisoc"),
        ("/manual/a/b/c", "soarca"),
        ("/playbook", "soarca"),
        ("/playbooks", None),
        ("/fin/x", "soarca"),
        ("/final", None),
        ("//api//playbooks/", "s4e"),
        ("/API/Playbooks", "s4e"),
        ("/", None),
        ("/admin/", None),
        ("/health/live", None),
    ],
)
def test_the_prefix_decides_whose_words_are_used(path: str, family: str | None) -> None:
    assert family_name_of(path) == family


@pytest.mark.parametrize("path", ["/api/playbooks/a/b/c/d", "//api/playbooks", "/api//playbooks", "/API/playbooks"])
def test_an_unknown_path_of_s4e_answers_in_its_envelope(anybody: Client, path: str) -> None:
    answer = anybody.get("/", PATH_INFO=path)  # else the test client would take // for the start of a host

    assert answer.status_code == 404
    assert answer.json()["status"] == "error"
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("path", ["/manual/a/b/c", "/playbook/x/y", "/fin/x/y/z", "/status/history", "//manual"])
def test_an_unknown_path_of_soarca_answers_in_its_envelope(anybody: Client, path: str) -> None:
    answer = anybody.get("/", PATH_INFO=path)  # else the test client would take // for the start of a host

    assert answer.status_code == 404
    assert answer.json()["status"] == "404"
    assert answer.json()["original-call"].startswith("GET ")


@pytest.mark.parametrize("path", ["/api/v1/alerts", "/api/soar/playbooks/execute", "/graphql", "/nothing"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_family_that_is_not_built_answers_404(anybody: Client, method: str, path: str) -> None:
    answer = anybody.generic(method, path)

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_a_host_we_do_not_serve_is_refused_as_json(anybody: Client) -> None:
    answer = anybody.get("/api/playbooks", headers={"host": "evil.example"})

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "bad_request"


def test_pages_of_the_admin_stay_pages(anybody: Client) -> None:
    assert anybody.get("/admin/no/such/page")["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(("error", "status"), [(OperationalError("x"), 503), (RuntimeError("x"), 500)])
def test_a_failure_around_a_view_is_500_and_an_outage_503(error: Exception, status: int) -> None:
    request: HttpRequest = RequestFactory().get("/api/playbooks")
    try:
        raise error
    except Exception:
        assert sys.exc_info()[1] is error
        answer: Any = outside.server_error(request)

    assert answer.status_code == status
    assert ("Retry-After" in answer) == (status == 503)
