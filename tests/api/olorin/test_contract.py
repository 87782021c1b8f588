"""Every path of the contract has its own view, in any order, with and without a slash; nothing else answers."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import URLResolver
from django.urls.resolvers import RegexPattern

from api.olorin.urls import urlpatterns
from api.permissions import verbs_of
from api.urls import urlpatterns as every_family
from tests.api.olorin.calls import ACTION, EXECUTE, action, body, refused, send_action
from tests.api.s4e.calls import Api

CONTRACT = {
    "api/soar/playbooks/execute": ("PlaybookExecute", "POST"),
    "api/soar/playbooks/executions/ID": ("ExecutionDetail", "GET HEAD"),
    "api/composio/soar-action": ("SoarAction", "POST"),
    "api/composio/connect/ID": ("Connect", "POST"),
    "api/composio/callback": ("Callback", "GET HEAD"),
    "api/composio/connections": ("Connections", "GET HEAD"),
    "api/composio/connections/ID": ("ConnectionDetail", "DELETE"),
    "api/composio/test-connection/ID": ("ConnectionTest", "POST"),
}
PRINTED = {
    "/api/soar/playbooks/execute": "PlaybookExecute",
    "/api/soar/playbooks/executions/exec_abc123": "ExecutionDetail",
    "/api/composio/soar-action": "SoarAction",
    "/api/composio/connect/stripe": "Connect",
    "/api/composio/callback": "Callback",
    "/api/composio/connections": "Connections",
    "/api/composio/connections/conn_abc123": "ConnectionDetail",
    "/api/composio/test-connection/conn_abc123": "ConnectionTest",
}
UNKNOWN = [
    "/api/soar", "/api/soar/playbooks", "/api/soar/playbooks/executions", "/api/soar/playbooks/execute/x",
    "/api/composio", "/api/composio/connect", "/api/composio/test-connection", "/api/composio/callback/x",
    "/api/soar//playbooks/execute", "/api/SOAR/playbooks/execute",
    "/api/composio/connections/a/b", "/api/composio/connect/a:b", "/api/soar/playbooks/execute//",
]  # fmt: skip


def test_the_contract_and_the_routes_are_the_same() -> None:
    routed: dict[str, Any] = {}
    for pattern in urlpatterns:
        view: Any = pattern.callback
        found = (view.view_class.__name__, " ".join(verbs_of(view.view_class)))
        routed[re.sub(r"<[^>]+>", "ID", str(pattern.pattern))] = found

    assert routed == CONTRACT | {f"{path}/": found for path, found in CONTRACT.items()}


def test_all_001_002_003_every_path_has_its_own_view_in_any_order() -> None:
    shuffler, table = random.Random(7), list(every_family)
    for _ in range(5):
        shuffler.shuffle(table)
        resolver = URLResolver(RegexPattern(r"^/"), list(table))
        for path, name in PRINTED.items():
            for spelling in (path, f"{path}/"):
                view: Any = resolver.resolve(spelling).func
                assert (view.view_class.__module__.split(".")[1], view.view_class.__name__) == ("olorin", name)


def test_all_003_a_slash_more_is_no_redirect(db: None) -> None:
    for path in PRINTED:
        for verb in ("get", "post", "delete"):
            assert getattr(Client(), verb)(f"{path}/").status_code not in (301, 302, 307, 308)


@pytest.mark.parametrize("path", UNKNOWN)
def test_all_005_013_what_is_not_in_the_contract_is_not_found(api: Api, path: str) -> None:
    refused(api.get(path), 404)
    refused(api.post(path, {}), 404)


@pytest.mark.parametrize("path", PRINTED)
def test_all_010_another_method_is_405(api: Api, path: str) -> None:
    allowed = set(
        CONTRACT[re.sub(r"(executions|connect|connections|test-connection)/.+", r"\1/ID", path[1:])][1].split()
    )
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - allowed:
        answer = api.send(method, path)
        refused(answer, 405)
        assert set(answer["Allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", [EXECUTE, ACTION])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_all_017_other_types_than_json_are_415(api: Api, path: str, kind: str) -> None:
    headers = {"Authorization": f"Bearer {api.key}"}

    refused(_client_post(path, json.dumps(body()).encode(), kind, headers), 415)


@pytest.mark.parametrize(
    "octets", [b"[]", b"7", b'"x"', b"null", b"{", b'{"a":NaN}', b'{"a":1e999}', b'{"a":Infinity}']
)
def test_all_018_019_what_is_no_object_that_we_read_is_400(api: Api, octets: bytes) -> None:
    refused(api.post(EXECUTE, octets), 400)
    refused(api.post(EXECUTE, b'{"a":' * 1000 + b"1" + b"}" * 1000), 400)


def test_a_body_over_5_mib_is_413(api: Api) -> None:
    refused(api.post(EXECUTE, body(context={"blob": "x" * (5 * 2**20)})), 413)


def test_all_021_a_bug_is_500_without_a_trace(
    api: Api, running: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    from api.olorin import outputs

    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(outputs, "execution", broken)
    detail = refused(api.get(f"/api/soar/playbooks/executions/{running}?tenant_id=tenant_123"), 500)

    assert "secret" not in detail
    assert sum("A view failed" in message for message in caplog.messages) == 1


def test_all_022_options_answer_with_the_methods_alone(api: Api) -> None:
    for path, name in PRINTED.items():
        answer = api.send("OPTIONS", path)
        verbs = next(found[1] for found in CONTRACT.values() if found[0] == name)
        assert (answer.status_code, answer.content) == (200, b"")
        assert set(answer["Allow"].split(", ")) == set(verbs.split())


@pytest.mark.parametrize("path", [path for path in PRINTED if not path.endswith(("callback", "soar-action"))])
def test_all_025_026_no_or_bad_credentials_are_401(db: None, path: str) -> None:
    method = CONTRACT[re.sub(r"(executions|connect|connections|test-connection)/.+", r"\1/ID", path[1:])][1].split()[0]
    for key in (None, "nonsense", "s4e_live_nothing", "e30.e30.e30"):
        answer = Api(key).send(method, path)
        refused(answer, 401)
        assert answer["WWW-Authenticate"]


def test_all_027_a_key_is_the_same_in_either_header(api: Api, running: str, caplog: Any) -> None:
    path = f"/api/soar/playbooks/executions/{running}?tenant_id=tenant_123"

    assert Api().get(path, X_API_Key=str(api.key)).content == api.get(path).content
    refused(Api().get(f"{path}&token={api.key}"), 401)
    assert str(api.key) not in caplog.text


def test_all_031_no_header_widens_access(api: Api, stranger: Api, running: str) -> None:
    path = f"/api/soar/playbooks/executions/{running}?tenant_id=tenant_123"

    refused(stranger.get(path, X_Tenant_Id="tenant_123"), 403)


def test_all_043_without_redis_requests_pass_uncounted(api: Api, running: str, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    path = f"/api/soar/playbooks/executions/{running}?tenant_id=tenant_123"
    answers = [api.get(path) for _ in range(70)]

    assert {answer.status_code for answer in answers} == {200}
    assert "X-RateLimit-Limit" not in answers[0]
    refused(send_action(action(execution_id=running)), 401)


def test_the_documentation_has_every_path(api: Api) -> None:
    from drf_spectacular.generators import SchemaGenerator

    paths: dict[str, Any] = SchemaGenerator().get_schema(public=True)["paths"]  # type: ignore[no-untyped-call]
    documented = {
        re.sub(r"\{[^}]+\}", "ID", path[1:]) for path in paths if path.startswith(("/api/soar", "/api/composio"))
    }
    assert documented == set(CONTRACT)


def _client_post(path: str, octets: bytes, kind: str, headers: dict[str, str]) -> HttpResponse:
    return Client().generic("POST", path, octets, content_type=kind, headers=headers)  # type: ignore[return-value]
