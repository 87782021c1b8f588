"""Bad input that every family must refuse alike, sent to the families that are built (BAD-INPUT.md, route W)."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey
from api.parsing import BODY_LIMIT

FAMILIES = {
    "s4e": "/api/playbooks",
    "soarca": "/playbook",
    "applylens": "/api/incidents",
    "olorin": "/api/soar/playbooks/execute",
}
#: route L, where it is another one
LISTS = FAMILIES | {"olorin": "/api/composio/connections?tenant_id=acme"}
#: what the path of route W knows
METHODS = dict.fromkeys(FAMILIES, "GET, HEAD, POST") | {"olorin": "POST"}
#: families that call a wrong field a bad request
PLAIN = ("soarca", "olorin")
MALFORMED = {
    "A-01": b"",
    "A-02": b'{"name":"x"',
    "A-03": b'{"name":"x",}',
    "A-04": b"{'name':'x'}",
    "A-05": b'{"name":"x"}//c',
    "A-06": b'\xef\xbb\xbf{"name":"x"}',
    "A-07": b'{"name":undefined}',
    "A-08": b'{"name":NaN}',
    "A-09": b'"',
    "A-10": b'{"name":"\x01"}',
    "B-01": b'{"name":"\xff"}',
    "B-02": '{"name":"x"}'.encode("utf-16"),
    "B-05": b'{"name":"\\ud800"}',
    "C-05": b'{"name":' + b"9" * 5_000 + b"}",
    "C-06": b'{"name":1e999}',
    "E-07": b'{"name":"x","name":"y"}',
    "E-09": b'{"a":' * 101 + b"1" + b"}" * 101,
    "E-10": b"[" * 100_000,
}


@pytest.fixture
def api(key: str) -> Client:
    return Client(headers={"x-api-key": key}, raise_request_exception=False)


@pytest.fixture(autouse=True)
def _own_windows(settings: Any) -> None:
    """No test counts in another one's limits."""
    settings.SALLYPORT_REDIS_PREFIX = f"test-{uuid4()}:"


def _write(api: Client, family: str, body: bytes, content_type: str = "application/json", **more: Any) -> Any:
    return api.generic("POST", FAMILIES[family], body, "", CONTENT_TYPE=content_type, **more)


def _is_refused(answer: Any, family: str, status: int, code: str) -> bool:
    said = answer.json()
    assert answer.status_code == status, answer.text
    assert answer["Content-Type"] == "application/json"
    assert "Traceback" not in answer.text
    match family:
        case "soarca":
            return bool(said["status"] == str(status) and said["message"] and said["original-call"] == "POST /playbook")
        case "olorin":
            return said.keys() == {"detail"} and bool(said["detail"])
        case "applylens":
            error = said["error"]
            return error.keys() == {"code", "message", "details"} and error["code"] == code and bool(error["message"])
    return bool(said["status"] == "error" and said["error"]["code"] == code and said["error"]["message"])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_no_json_is_400_in_the_familys_words(written: None, api: Client, family: str, case: str) -> None:
    assert _is_refused(_write(api, family, MALFORMED[case]), family, 400, "bad_request")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("body", [b'"text"', b"7", b"true", b"null", b"[]", b'[{"name":"x"}]'])
def test_what_is_no_object_is_400(written: None, api: Client, family: str, body: bytes) -> None:
    assert _is_refused(_write(api, family, body), family, 400, "bad_request")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=latin-1", "application/json; charset=klingon", "text/plain",
        "application/x-www-form-urlencoded", "", "application/xml",
    ],
)  # fmt: skip
def test_another_media_type_or_charset_is_415(written: None, api: Client, family: str, content_type: str) -> None:
    assert _is_refused(_write(api, family, b"{}", content_type), family, 415, "unsupported_media_type")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_compressed_body_is_415(written: None, api: Client, family: str) -> None:
    answer = _write(api, family, b"{}", HTTP_CONTENT_ENCODING="gzip")

    assert _is_refused(answer, family, 415, "unsupported_media_type")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_body_over_5_mib_is_413(written: None, api: Client, family: str) -> None:
    answer = _write(api, family, b'{"name":"' + b"x" * BODY_LIMIT + b'"}')

    assert _is_refused(answer, family, 413, "payload_too_large")


@pytest.mark.parametrize("family", FAMILIES)
def test_an_empty_object_is_refused_naming_a_field(written: None, api: Client, family: str) -> None:
    answer = _write(api, family, b"{}")

    assert _is_refused(answer, family, 400 if family in PLAIN else 422, "validation_error")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_megabyte_of_a_name_is_not_echoed(written: None, api: Client, family: str) -> None:
    answer = _write(api, family, json.dumps({"name": "x" * 2**20, "y" * 2**20: 1}).encode())

    assert 400 <= answer.status_code < 500
    assert len(answer.content) < 10_000


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("accept", ["text/html", "image/png", "garbage"])
def test_accept_never_refuses(written: None, api: Client, family: str, accept: str) -> None:
    answer = api.get(LISTS[family], headers={"accept": accept})

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "query", ["sort=password", "ordering=tenant__secret", "severity__regex=.*", "select_related=x"]
)
def test_parameters_that_no_list_has_are_ignored(written: None, api: Client, family: str, query: str) -> None:
    path = LISTS[family]

    answer = api.get(f"{path}{'&' if '?' in path else '?'}{query}")

    assert (answer.status_code, answer.content) == (200, api.get(path).content)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["x-http-method-override", "x-original-url"])
def test_headers_that_name_another_call_are_ignored(written: None, api: Client, family: str, name: str) -> None:
    assert api.get(LISTS[family], headers={name: "DELETE"}).status_code == 200


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "BREW", "TRACE"])
def test_another_method_is_405_with_allow(written: None, api: Client, family: str, method: str) -> None:
    answer = api.generic(method, FAMILIES[family], b"{}", "application/json")

    assert answer.status_code == 405
    assert answer["Allow"] == METHODS[family]
    assert answer["Content-Type"] == "application/json"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"x-api-key": "s4e_live_" + "A" * 43},
        {"authorization": "Basic Og=="},
        {"authorization": "Bearer"},
        {"authorization": "Bearer a b"},
        {"authorization": "Bearer " + "x" * 2**20},
        # tokens of no key: {"alg":"none"} without a signature, and one that somebody else has signed
        {"authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."},
        {"authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.YWFh"},
    ],
    ids=lambda headers: str(headers)[:60],
)
def test_no_or_wrong_credentials_are_401(written: None, family: str, headers: dict[str, str]) -> None:
    answer = Client().get(LISTS[family], headers=headers)

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("column", ["expires_at", "revoked_at"])
def test_a_key_that_is_over_is_401(api: Client, key: str, family: str, column: str) -> None:
    assert api.get(LISTS[family]).status_code == 200
    ApiKey.objects.update(**{column: timezone.now()})

    answer = api.get(LISTS[family])

    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.content == Client(headers={"x-api-key": key + "x"}).get(LISTS[family]).content


@pytest.mark.parametrize("family", FAMILIES)
def test_an_outage_of_postgresql_is_503_in_the_familys_words(
    api: Client, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    def out_of_reach(*_: Any) -> None:
        raise OperationalError("connection refused at 10.0.0.1")

    with connection.execute_wrapper(out_of_reach):
        answer = api.get(LISTS[family])

    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    assert "10.0.0.1" not in answer.text
