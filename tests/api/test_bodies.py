"""The cases A, B, E, F, G of BAD-INPUT that any family shares, against the strict reader behind a real view."""

from __future__ import annotations

import gzip
import json
from io import BytesIO
from typing import Any

import pytest
from django.test import Client

from api.parsing import BODY_LIMIT

MALFORMED = [
    b"",
    b'{"name":"x"',
    b'{"name":"x",}',
    b"{'name':'x'}",
    b'{"name":"x"}//c',
    b'\xef\xbb\xbf{"name":"x"}',
    b"undefined",
    b'{"name":undefined}',
    b"{name:1}",
    b'{"name":NaN}',
    b'{"name":Infinity}',
    b'{"name":-Infinity}',
    b'"',
    b'{"name":"x',
    b'{"name":"\x01"}',
    b'{"name":"\xff"}',
    '{"name":"x"}'.encode("utf-16"),
    b'{"name":"\\ud800"}',
    b'{"name":"a\\u0000b"}',
    b'{"name":"x","free":{"deep":["a\\u0000b"]}}',
    b'{"name":"x","free":{"n":1e999}}',
    b'{"name":"x","free":{"n":' + b"9" * 5_000 + b"}}",
    b'{"name":"x","name":"x"}',
    b'{"name":"x","free":{"a":1,"a":2}}',
    b'{"name":"x","free":' + b'{"a":' * 100 + b"1" + b"}" * 101,
    b"[" * 100_000,
    b'{"a":' * 10_000,
]


def _post(client: Client, body: bytes, content_type: str = "application/json", **more: Any) -> Any:
    # CONTENT_TYPE beside content_type: the test client would leave it out for an empty body, and encode by it.
    return client.generic("POST", "/sample", body, "", CONTENT_TYPE=content_type, **more)


@pytest.mark.parametrize("body", MALFORMED, ids=[repr(body[:30]) for body in MALFORMED])
def test_what_is_no_json_of_ours_is_malformed(client: Client, body: bytes) -> None:
    answer = _post(client, body)

    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_request"


@pytest.mark.parametrize("body", [b'"text"', b"7", b"true", b"null", b"[]", b'[{"name":"x"}]'])
def test_json_that_is_no_object_is_refused(client: Client, body: bytes) -> None:
    answer = _post(client, body)

    assert answer.status_code == 400
    assert "object" in answer.json()["message"]


@pytest.mark.parametrize(
    "content_type",
    [
        "", "text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data; boundary=x",
        "application/json; charset=latin-1", "application/json; charset=klingon", "garbage", "application/json/x",
    ],
)  # fmt: skip
def test_only_json_in_utf8_is_read(client: Client, content_type: str) -> None:
    answer = _post(client, b'{"name":"x"}', content_type)

    assert answer.status_code == 415
    assert answer.json()["code"] == "unsupported_media_type"


def test_a_compressed_body_is_not_inflated(client: Client) -> None:
    bomb = gzip.compress(b" " * 10**6)

    assert _post(client, bomb, headers={"content-encoding": "gzip"}).status_code == 415


@pytest.mark.parametrize(
    "content_type", ["APPLICATION/JSON; charset=UTF-8", 'application/json; charset="utf-8"', "application/json"]
)
def test_the_content_type_is_read_as_http_writes_it(client: Client, content_type: str) -> None:
    assert _post(client, b'{"name":"x"}', content_type).status_code == 201


@pytest.mark.parametrize("accept", ["text/html", "image/png", "garbage", "application/xml;q=1", ""])
def test_accept_never_refuses(client: Client, accept: str) -> None:
    answer = client.get("/sample?format=xml", headers={"accept": accept})

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "number", ["9007199254740993", "1e-999", "1.10", "1E2", "0.1", "123456789012345678901234567890"]
)
def test_numbers_in_free_json_come_back_as_they_were_written(client: Client, number: str) -> None:
    answer = _post(client, f'{{"name":"x","free":{{"n":{number}}}}}'.encode())

    assert answer.status_code == 201
    assert f'"n":{number}}}'.encode() in answer.content


@pytest.mark.parametrize("name", ["\ufffe\ue000\u0378", "\u202etxt.exe", "a\r\n\tb\x7f", "é" * 200, "\\u0000", "%00"])
def test_text_comes_back_as_it_was_sent(client: Client, name: str) -> None:
    answer = _post(client, json.dumps({"name": name}).encode())

    assert answer.status_code == 201
    assert answer.json()["name"] == name


def test_a_nesting_of_100_is_read(client: Client) -> None:
    deep = b'{"a":' * 98 + b"1" + b"}" * 98

    assert _post(client, b'{"name":"x","free":{"b":' + deep + b"}}").status_code == 201


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "name"),
        ({"name": None}, "name"),
        ({"name": 7}, "name"),
        ({"name": True}, "name"),
        ({"name": {}}, "name"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "x", "count": "5"}, "count"),
        ({"name": "x", "count": True}, "count"),
        ({"name": "x", "count": 5.0}, "count"),
        ({"name": "x", "count": -1}, "count"),
        ({"name": "x", "count": 2**31}, "count"),
        ({"name": "x", "loud": "yes"}, "loud"),
        ({"name": "x", "loud": 1}, "loud"),
        ({"name": "x", "size": "huge"}, "size"),
        ({"name": "x", "size": ["small"]}, "size"),
        ({"name": "x", "free": []}, "free"),
        ({"name": "x", "x_unknown": 1}, "x_unknown"),
        ({"name": "x", "id": 1, "tenant_id": 2}, "id"),
        ({"name": "x", "steps": {}}, "steps"),
        ({"name": "x", "steps": ["a"]}, "steps[0]"),
        ({"name": "x", "steps": [{"ref": "a"}, {"ref": 1}]}, "steps[1].ref"),
        ({"name": "x", "steps": [{"ref": "a", "b": 1}]}, "steps[0].b"),
    ],
)
def test_a_wrong_field_is_named(client: Client, body: dict[str, Any], path: str) -> None:
    answer = _post(client, json.dumps(body).encode())

    assert answer.status_code == 422
    assert path in [field[0] for field in answer.json()["fields"]]
    assert len(answer.content) < 1_000


def test_a_megabyte_of_name_is_refused_and_not_echoed(client: Client) -> None:
    answer = _post(client, json.dumps({"name": "x" * 2**20, "y" * 2**20: 1}).encode())

    assert answer.status_code == 422
    assert len(answer.content) < 2_000


def test_a_body_of_exactly_the_limit_is_read_and_one_octet_more_is_not(client: Client) -> None:
    body = b'{"name":"x"}'

    assert _post(client, body + b" " * (BODY_LIMIT - len(body))).status_code == 201
    assert _post(client, body + b" " * (BODY_LIMIT - len(body) + 1)).status_code == 413


def test_a_body_that_says_it_is_too_large_is_not_read(client: Client) -> None:
    class Unread(BytesIO):
        def read(self, *_: Any) -> bytes:
            raise AssertionError("the body was read")

    unread: Any = {"wsgi.input": Unread(), "CONTENT_LENGTH": str(BODY_LIMIT + 1)}
    answer = client.generic("POST", "/sample", b"", "", CONTENT_TYPE="application/json", **unread)

    assert answer.status_code == 413


@pytest.mark.parametrize("length", ["-1", "abc", "9" * 400, "+5", "٣"])
def test_a_content_length_that_is_no_number_is_refused(client: Client, length: str) -> None:
    answer = client.generic("POST", "/sample", b"{}", content_type="application/json", CONTENT_LENGTH=length)

    assert answer.status_code in {400, 413}


def test_a_chunked_body_is_read_and_limited_like_any_other(client: Client) -> None:
    def send(body: bytes) -> Any:
        chunked: Any = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": BytesIO(body), "CONTENT_LENGTH": ""}
        return client.generic("POST", "/sample/verb", b"", "", CONTENT_TYPE="application/json", **chunked)

    assert send(b'{"a":1}').json()["got"] == {"a": 1}
    assert send(b" " * (BODY_LIMIT + 1)).status_code == 413


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
def test_where_a_body_is_optional_an_empty_one_is_an_empty_object(client: Client, content_type: str) -> None:
    answer = client.generic("POST", "/sample/verb", b"", content_type=content_type)

    assert answer.status_code == 200
    assert answer.json()["got"] == {}


def test_an_optional_body_is_read_as_strictly_as_any(client: Client) -> None:
    assert client.post("/sample/verb", b"[]", content_type="application/json").status_code == 400
    assert client.post("/sample/verb", b"{}", content_type="text/plain").status_code == 415


def test_a_document_reaches_the_view_as_octets(client: Client) -> None:
    document = b'{"a":"\\u0000"}'
    answer = client.post("/sample/document", document, content_type="application/cacao+json")

    assert answer.json() == {"length": len(document), "nothing": None}


def test_a_refused_request_does_not_disturb_the_next(client: Client) -> None:
    assert _post(client, b"{").status_code == 400
    assert _post(client, b'{"name":"x"}').status_code == 201
