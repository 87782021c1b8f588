"""Start lines and paths as request targets: values fill path and query, never method, host or version."""

from __future__ import annotations

import pytest

from connectors.base import Part, Trust
from connectors.http.request_line import OtherHost, RequestInvalid, method_of, read_path, read_start_line
from core.errors import Invalid

BASE = "https://api.example/base"


def outside(text: str, type: str = "string") -> Part:
    return Part(text, Trust.OUTSIDE, type, "__x__")


@pytest.mark.parametrize(
    ("parts", "method", "url"),
    [
        ([Part("GET /a/b?c=d HTTP/1.1")], "GET", "https://api.example/base/a/b?c=d"),
        ([Part("get /a")], "GET", "https://api.example/base/a"),
        ([Part("GET get HTTP1.1")], "GET", "https://api.example/base/get"),
        ([Part("GET /base/a HTTP/1.1")], "GET", "https://api.example/base/a"),
        ([Part("GET /basement HTTP/1.1")], "GET", "https://api.example/base/basement"),
        ([Part("GET /a#fragment HTTP/1.1")], "GET", "https://api.example/base/a"),
        ([Part("POST https://api.example/x HTTP/1.1")], "POST", "https://api.example/base/x"),
        ([Part("GET /u/"), outside("a/b c?d#e"), Part("/x HTTP/1.1")], "GET", "/base/u/a%2Fb%20c%3Fd%23e/x"),
        ([Part("GET /u?q="), outside("a&b=c d"), Part(" HTTP/1.1")], "GET", "/base/u?q=a%26b%3Dc%20d"),
        ([Part("POST "), outside("/services/T/B"), Part(" HTTP/1.1")], "POST", "/base/services/T/B"),
        ([Part("GET "), Part("/a/b?c", Trust.AUTHOR, "string", "__x__"), Part(" HTTP/1.1")], "GET", "/base/a/b?c"),
    ],
)
def test_a_start_line_gives_method_and_url(parts: list[Part], method: str, url: str) -> None:
    found, target = read_start_line(tuple(parts))

    assert (found, target.on(BASE)) == (method, url if url.startswith("https") else f"https://api.example{url}")


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [Part("GET")],
        [Part("GET /a b HTTP/1.1")],
        [outside("GET"), Part(" /a HTTP/1.1")],
        [Part("GET /a/../../etc HTTP/1.1")],
        [Part("GET /a/%2e%2e/etc HTTP/1.1")],
        [Part("GET /u/"), outside(".."), Part("/x HTTP/1.1")],
        [Part("GET "), outside("/../x"), Part(" HTTP/1.1")],
        [Part("CONNECT /x HTTP/1.1")],
        [Part("GET http://"), outside("evil.example"), Part("/x HTTP/1.1")],
        [Part("GET https://api.example"), outside(".evil.example"), Part("/x HTTP/1.1")],
    ],
)
def test_what_is_no_start_line_or_puts_a_value_where_none_may_stand_is_refused(parts: list[Part]) -> None:
    with pytest.raises(Invalid):
        read_start_line(tuple(parts))


@pytest.mark.parametrize(
    "line",
    [
        "GET //other.example/ HTTP/1.1",
        "GET https://other.example/ HTTP/1.1",
        "GET http://api.example/ HTTP/1.1",
        "GET https://api.example:444/ HTTP/1.1",
        "GET https://api.example@other.example/ HTTP/1.1",
        "GET https://api.example\\@other.example/ HTTP/1.1",
        "GET /\\other.example/ HTTP/1.1",
    ],
)
def test_another_host_is_refused(line: str) -> None:
    with pytest.raises(OtherHost) as refusal:
        read_start_line((Part(line),))[1].on(BASE)

    assert refusal.value.code == "destination_refused"


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/a", "https://api.example/base/a"),
        ("a?b=c d", "https://api.example/base/a?b=c%20d"),
        ("/a#b", "https://api.example/base/a%23b"),
        ("/a%2Fb", "https://api.example/base/a%2Fb"),
        ("/ü", "https://api.example/base/%C3%BC"),
        ("https://api.example/x", "https://api.example/base/x"),
    ],
)
def test_the_path_of_an_operation_is_encoded_where_needed(path: str, url: str) -> None:
    assert read_path(path).on(BASE) == url


@pytest.mark.parametrize("path", ["//other.example/", "/a/../b", "/a\r\nX: y", "http://other.example/", "/a\0"])
def test_the_path_of_an_operation_cannot_leave_the_connection(path: str) -> None:
    with pytest.raises(RequestInvalid):
        read_path(path).on(BASE)


def test_the_method_is_known_without_the_rest_being_right() -> None:
    assert method_of({"command": (Part("delete /a b c"),)}) == "DELETE"
    assert method_of({"command": (outside("GET"), Part(" /"))}) == ""
    assert method_of({"path": "/"}) == "GET"
