"""Every path of the contract is routed to its own view, and every routed path is in it; what is none is said so."""

from __future__ import annotations

import random
import re
import time
from typing import Any

import pytest
from django.core import signing
from django.urls import Resolver404, URLResolver, resolve
from django.urls.resolvers import RegexPattern

from api.applylens.action_urls import ACTIONS
from api.applylens.tokens import _SALT, PREFIX
from api.applylens.urls import urlpatterns
from api.permissions import verbs_of
from api.urls import urlpatterns as everything
from tests.api.applylens.calls import Api, make, read, refused

INCIDENTS = {
    "api/incidents": "GET HEAD POST",
    "api/incidents/signals": "POST",
    "api/incidents/ID": "GET HEAD PATCH",
    "api/incidents/ID/acknowledge": "POST",
    "api/incidents/ID/mitigate": "POST",
    "api/incidents/ID/resolve": "POST",
    "api/incidents/ID/close": "POST",
    "api/incidents/ID/assign": "POST",
    "api/sse/events": "GET HEAD",
    "api/sse/token": "POST",
}
VIEWS = {
    "/api/incidents": "Incidents",
    "/api/incidents/signals": "Signals",
    "/api/incidents/123": "IncidentDetail",
    "/api/incidents/123/acknowledge": "Acknowledge",
    "/api/incidents/123/mitigate": "Mitigate",
    "/api/incidents/123/resolve": "Resolve",
    "/api/incidents/123/close": "Close",
    "/api/incidents/123/assign": "Assign",
    "/api/sse/events": "Events",
    "/api/sse/token": "StreamToken",
}


def test_the_contract_and_the_routes_are_the_same() -> None:
    routed: dict[str, Any] = {}
    for pattern in urlpatterns:
        path = re.sub(r"<[^>]+>", "ID", str(pattern.pattern))
        view: Any = pattern.callback
        routed[path] = " ".join(verbs_of(view.view_class))
    actions = {re.sub(r"<[^>]+>", "ID", path[1:]) for path in ACTIONS}

    found = {path: verbs for path, verbs in routed.items() if path.rstrip("/") not in actions}

    assert found == INCIDENTS | {f"{path}/": verbs for path, verbs in INCIDENTS.items()}


@pytest.mark.parametrize("seed", range(5))
def test_each_path_has_its_own_view_whatever_the_order_of_the_routes(seed: int) -> None:
    shuffled = list(everything)
    random.Random(seed).shuffle(shuffled)
    table = URLResolver(RegexPattern(r"^/"), shuffled)

    for path, name in VIEWS.items():
        for spelling in (path, f"{path}/"):
            view: Any = table.resolve(spelling).func
            assert view.view_class.__name__ == name, spelling


@pytest.mark.parametrize("path", ["//api/incidents", "/API/incidents", "/api/incidents//123", "/api/incidents/123//"])
def test_doubled_slashes_and_capitals_are_no_paths(path: str) -> None:
    with pytest.raises(Resolver404):
        resolve(path)


@pytest.mark.parametrize("path", [path for path in VIEWS if path != "/api/sse/events"])
def test_a_slash_at_the_end_changes_nothing(api: Api, path: str) -> None:
    assert api.send("OPTIONS", f"{path}/").status_code == 200
    assert api.send("OPTIONS", path)["Allow"] == api.send("OPTIONS", f"{path}/")["Allow"]


@pytest.mark.parametrize("path", VIEWS)
@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_verb_that_a_path_does_not_know_is_a_405(api: Api, path: str, verb: str) -> None:
    verbs = INCIDENTS[path[1:].replace("123", "ID")].split()
    if verb in verbs:
        return

    response = api.send(verb, path, {} if verb != "GET" else None)

    refused(response, 405, "method_not_allowed")
    assert response["Allow"] == ", ".join(verbs)


@pytest.mark.parametrize(
    "path",
    ["/api/incidents/123/reopen", "/api/incidents/signals/1", "/api/playbooks/incidents", "/api/playbooks/incidents/x",
     "/api/sse", "/api/sse/other", "/api/incidentsx/1/../2", "/api/incidents/00000000000000000001/acknowledge"],
)  # fmt: skip
def test_an_unknown_path_is_a_404_in_the_familys_words(api: Api, path: str) -> None:
    response = api.get(path)

    assert response.status_code == 404
    assert response["Content-Type"].startswith("application/json")
    if not path.startswith("/api/incidentsx"):
        refused(response, 404, "not_found")


@pytest.mark.parametrize("path", ["/api/incidents", "/api/incidents/signals", "/api/incidents/1/acknowledge"])
def test_a_form_or_plain_text_is_a_415(api: Api, path: str) -> None:
    from django.test import Client

    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        response = Client().post(path, b"kind=gate", content_type=kind, headers={"Authorization": f"Bearer {api.key}"})
        refused(response, 415, "unsupported_media_type")  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [path for path in VIEWS if path != "/api/sse/events"])
def test_without_credentials_every_path_is_a_401(db: None, path: str) -> None:
    verb = INCIDENTS[path[1:].replace("123", "ID")].split()[-1]
    for caller in (Api(), Api("s4e_live_wrong"), Api("not a key")):
        response = caller.send(verb, path, {} if verb != "GET" else None)
        refused(response, 401, "unauthorized")
        assert response["WWW-Authenticate"] == "Bearer"


def test_a_body_that_is_too_large_is_a_413(api: Api) -> None:
    response = api.send("POST", "/api/incidents", b'{"summary": "' + b"x" * (5 * 2**20) + b'"}')

    refused(response, 413, "payload_too_large")


def test_a_bug_is_a_500_in_the_familys_words(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr("api.applylens.views.list_incidents", broken)

    error = refused(api.get("/api/incidents"), 500, "internal_error")

    assert "secret" not in str(error)
    assert sum("A view failed" in record.message for record in caplog.records) == 1


def test_the_other_header_names_the_same_caller(api: Api, tenant: Any) -> None:
    from django.test import Client

    number = make(tenant).pk
    response = Client().get(f"/api/incidents/{number}", headers={"X-API-Key": api.key or ""})

    assert read(response)["id"] == number  # type: ignore[arg-type]
    assert response["Cache-Control"] == "no-store"


def test_a_tenant_that_is_named_widens_nothing(api: Api, other_tenant: Any) -> None:
    make(other_tenant)

    response = api.send("GET", "/api/incidents", X_Tenant_ID=str(other_tenant.pk))

    assert read(response)["total"] == 0


@pytest.mark.parametrize("path", ["/api/incidents/1{}acknowledge", "/api/sse{}events", "/api/incidents{}signals"])
def test_a_colon_is_a_colon_however_it_is_written(api: Api, path: str) -> None:
    for spelling in (":", "%3A", "%3a"):
        refused(api.get(path.format(spelling)), 404, "not_found")


def test_without_redis_requests_pass_uncounted(api: Api, tenant: Any, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    number = make(tenant).pk
    given = {"action_type": "clear_cache", "params": {"index_name": "emails"}}

    answers = [
        api.get("/api/incidents"),
        api.get(f"/api/incidents/{number}"),
        api.post(f"/api/incidents/{number}/acknowledge", {}),
        *(api.post(f"/api/playbooks/incidents/{number}/actions/dry-run", given) for _ in range(3)),
    ]

    assert {answer.status_code for answer in answers} == {200}
    assert not any("X-RateLimit-Limit" in answer for answer in answers)


def test_a_stream_token_that_is_not_ours_or_over_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    good = read(api.post("/api/sse/token"))["token"]
    payload, moment, signature = good.removeprefix(PREFIX).split(":")
    value = signing.loads(good.removeprefix(PREFIX), salt=_SALT)
    with monkeypatch.context() as earlier:
        earlier.setattr("django.core.signing.time.time", lambda: time.time_ns() / 1e9 - 61)
        old = PREFIX + signing.dumps(value, salt=_SALT)
    wrong = [
        old,
        PREFIX + signing.dumps(value, salt=_SALT, key="changeme"),
        PREFIX + signing.dumps(value, salt="api.olorin.state"),
        f"{PREFIX}{payload[:-1]}A:{moment}:{signature}",
        f"{PREFIX}{payload}:{moment}:{signature[:-1]}",
        f"{PREFIX}{payload}:{moment}:",
        f"{PREFIX}{payload}:{moment}",
        PREFIX,
    ]

    for token in wrong:
        refused(Api().get(f"/api/sse/events?token={token}"), 401, "unauthorized")
    assert Api().send("HEAD", f"/api/sse/events?token={good}").status_code == 200


def test_every_path_is_in_the_schema() -> None:
    from drf_spectacular.generators import SchemaGenerator

    paths: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)["paths"]  # type: ignore[no-untyped-call]

    for path, verbs in INCIDENTS.items():
        shown = paths["/" + path.replace("ID", "{incident}")]
        assert {verb.upper() for verb in shown} == set(verbs.split()) - {"HEAD"}
        for operation in shown.values():
            assert operation["tags"] == ["ApplyLens incidents"]
            assert "Permission: `incidents:" in operation["description"]
