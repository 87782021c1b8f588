"""Outside values in URLs, headers, JSON, forms and text (SEC-12)."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Part, Trust
from core.quoting import (
    UnsafePlaceholder,
    join_form,
    join_header,
    join_json,
    join_query,
    join_start_line,
    join_target,
    join_text,
    join_url_path,
)
from tests.security.shells import HOLE, PAYLOADS, REFUSED_ANYWHERE, parts

EVERY_JOIN: list[Callable[[tuple[Part, ...]], object]] = [
    join_form,
    join_header,
    join_json,
    join_query,
    join_target,
    join_text,
    join_url_path,
]
VALUES = {
    **PAYLOADS,
    "slash": "a/b",
    "two slashes": "//other.test/",
    "dots": "..",
    "dot": ".",
    "dots between slashes": "../../etc/passwd",
    "encoded dots": "%2e%2e",
    "question mark": "a?b=c&d",
    "fragment": "a#b",
    "semicolon and ampersand": "a;b&c=d",
    "percent": "100%",
    "user-info": "user@other.test:80",
    "header": "x\r\nX-Injected: 1",
    "response": "x\r\n\r\n<html>",
    "JSON": '"},{"a":"b',
    "JSON escape": '\\", "x": "',
    "SQL": "' OR 1=1 --",
    "LDAP": "*)(uid=*",
}


def _with(template: str, value: str, type: str = "string") -> tuple[Part, ...]:
    return parts(template.replace("\u00a7", HOLE), value, type=type)


@pytest.mark.parametrize("join", EVERY_JOIN)
@pytest.mark.parametrize("value", REFUSED_ANYWHERE.values(), ids=REFUSED_ANYWHERE.keys())
def test_some_values_are_refused_in_every_context(value: str, join: Callable[[tuple[Part, ...]], object]) -> None:
    with pytest.raises(UnsafePlaceholder, match="__x__"):
        join((Part("/"), Part(value, Trust.OUTSIDE, name="__x__")))


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_a_value_stays_one_segment_of_a_path(value: str) -> None:
    try:
        path = join_url_path(_with("/hosts/§/stop", value))
    except UnsafePlaceholder:
        assert unquote(value) in ("", ".", "..")
        return
    assert path.isascii()
    assert [unquote(segment) for segment in path.split("/")] == ["", "hosts", value, "stop"]


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("/a/§", ""),
        ("/a/§", ".."),
        ("/a/.§", "."),
        ("/a/%2e§/b", "."),
        ("/§/x", "."),
        ("/§", ""),
        ("§", "//other.test/"),
        ("§", "/a/../b"),
    ],
)
def test_a_path_is_not_led_elsewhere_by_a_value(template: str, value: str) -> None:
    for join in (join_url_path, join_target):
        with pytest.raises(UnsafePlaceholder):
            join(_with(template, value))


def test_a_value_that_is_the_whole_path_keeps_its_slashes() -> None:
    assert join_url_path(_with("§", "/services/T0/B 1?x")) == "/services/T0/B%201%3Fx"
    assert join_url_path(_with("§", "a/b")) == "a%2Fb"


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_a_value_stays_one_value_of_a_query_or_a_form(value: str) -> None:
    template = "a=1&b=§&c=x§y"
    expected = [("a", "1"), ("b", value), ("c", f"x{value}y")]
    assert parse_qsl(join_query(_with(template, value)), keep_blank_values=True) == expected
    assert parse_qsl(join_form(_with(template, value)), keep_blank_values=True) == expected
    assert urlsplit("http://h" + join_target(_with("/p?" + template, value))).fragment == ""


def test_author_text_of_a_url_is_left_as_it_is() -> None:
    assert join_target(_with("/a%20b/§?q=%41&x=§#f", "c d")) == "/a%20b/c%20d?q=%41&x=c%20d#f"
    assert join_target((Part("https://host.test:8443/a?b"),)) == "https://host.test:8443/a?b"
    assert join_target(_with("https://host.test/§", "a/b")) == "https://host.test/a%2Fb"


@pytest.mark.parametrize(
    "template", ["https://§/x", "https://host.test§/x", "§://host/x", "https://host.test:§", "https://u:§@host/x"]
)
def test_a_value_never_stands_in_scheme_host_port_or_user_info(template: str) -> None:
    with pytest.raises(UnsafePlaceholder):
        join_target(_with(template, "evil.test"))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("GET /v1/ip/§?by=§ HTTP/1.1", ("GET", "/v1/ip/a%20b?by=a%20b")),
        ("post  /x/§", ("POST", "/x/a%20b")),
        ("DELETE https://host.test/§ HTTP/2", ("DELETE", "https://host.test/a%20b")),
    ],
)
def test_a_start_line_is_read_and_its_values_encoded(template: str, expected: tuple[str, str]) -> None:
    assert join_start_line(_with(template, "a b")) == expected


@pytest.mark.parametrize(
    "template",
    ["§ /x HTTP/1.1", "G§T /x", "/x", "GET", "", "GET /x HTTP/1.1 more", "GET /x\r\nX: y", "GET /x §", "GE(T /x"],
)
def test_a_start_line_that_is_none_or_has_a_value_as_its_method_is_refused(template: str) -> None:
    with pytest.raises(UnsafePlaceholder):
        join_start_line(_with(template, "E"))


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_a_value_never_ends_a_header(value: str) -> None:
    try:
        header = join_header(_with("token §;", value))
    except UnsafePlaceholder:
        assert any(ord(character) < 32 or ord(character) == 127 for character in value)
        return
    assert header == f"token {value};"
    assert len(header.split("\r")) == len(header.split("\n")) == 1


def test_a_line_break_of_the_author_is_refused_in_a_header_too() -> None:
    with pytest.raises(UnsafePlaceholder):
        join_header((Part("a\r\nB: c"),))


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_a_value_in_json_stays_the_text_it_stands_in(value: str) -> None:
    joined = join_json(_with('{"ip": "§", "note": "for \\"§\\" only", "§-name": [1.10, "§"], "x": §}', value))
    assert json.loads(joined) == {"ip": value, "note": f'for "{value}" only', f"{value}-name": [1.1, value], "x": value}
    assert "1.10" in joined


@pytest.mark.parametrize(
    ("type", "value", "expected"),
    [
        ("integer", "7", "7"),
        ("integer", "9007199254740993", "9007199254740993"),
        ("float", "1.10", "1.10"),
        ("bool", "true", "true"),
        ("dictionary", '{"a":[1,2]}', '{"a":[1,2]}'),
        ("string", "7", '"7"'),
        ("ipv4-addr", "10.0.0.1", '"10.0.0.1"'),
    ],
)
def test_a_value_outside_quotes_is_a_literal_of_its_type(type: str, value: str, expected: str) -> None:
    assert join_json(_with('{"v":§}', value, type)) == f'{{"v":{expected}}}'
    assert json.loads(join_json(_with('{"v":"§"}', value, type))) == {"v": value}


@pytest.mark.parametrize(
    ("template", "value", "type"),
    [
        ('{"v":§}', '1,"admin":true', "integer"),
        ('{"v":§}', "{", "dictionary"),
        ('{"v": §', "1", "integer"),
        ("name=§", "1", "string"),
        ('{"v": x§}', "1", "integer"),
        ('{"admin": false, "§": true}', "admin", "string"),
        ('{"v":§}', "NaN", "float"),
    ],
)
def test_json_that_does_not_come_out_right_is_refused(template: str, value: str, type: str) -> None:
    with pytest.raises(UnsafePlaceholder):
        join_json(_with(template, value, type))


def test_json_without_values_is_the_authors_own_text() -> None:
    assert join_json((Part('{ "a" : 1.10,}'),)) == '{ "a" : 1.10,}'


def test_a_value_that_looks_like_our_token_is_only_text() -> None:
    value = "placeholder0n0e placeholder1n0e"
    assert json.loads(join_json(_with('["§","placeholder0n0e"]', value))) == [value, "placeholder0n0e"]


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_any_text_comes_back_from_every_context(value: str) -> None:
    assert json.loads(join_json(_with('{"a":"x§y"}', value))) == {"a": f"x{value}y"}
    assert parse_qsl(join_query(_with("a=x§", value)))[0][1] == f"x{value}"
    assert parse_qsl(join_form(_with("a=x§", value)))[0][1] == f"x{value}"
    assert unquote(join_url_path(_with("/x§", value)).split("/")[1]) == f"x{value}"
    assert join_text(_with("a § b", value)) == f"a {value} b"
