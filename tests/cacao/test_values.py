"""Conversion of values that enter a variable (CACAO.md 9, D21 and D22)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import strict_json
from playbooks.cacao.values import convert, decimal_of, is_strict, json_of, known_type, meant_type, text_of


@pytest.mark.parametrize(
    ("value", "type_name", "expected"),
    [
        (" TRUE ", "bool", "true"),
        (False, "bool", "false"),
        ("+07", "integer", "7"),
        ("-0", "integer", "0"),
        (" -012\n", "long", "-12"),
        (7, "integer", "7"),
        (9007199254740993, "integer", "9007199254740993"),
        ("2.50", "float", "2.50"),
        (18.4, "float", "18.4"),
        ("+07", "float", "7"),
        (".5", "float", "0.5"),
        ("-0.0", "float", "0.0"),
        (1e21, "float", "1" + "0" * 21),
        ("1e-3", "float", "0.001"),
        (" a ", "string", " a "),
        ("", "string", ""),
        (5, "string", "5"),
        (True, "string", "true"),
        (" 10.1.2.3 ", "ipv4-addr", "10.1.2.3"),
        ("10.0.0.0/8", "ipv4-addr", "10.0.0.0/8"),
        ("2001:db8::1/64", "ipv6-addr", "2001:db8::1/64"),
        ("00:1B:44:11:3A:B7", "mac-addr", "00:1B:44:11:3A:B7"),
        ("00-1b-44-11-3a-b7", "mac-addr", "00-1b-44-11-3a-b7"),
        ("AbCd", "hash", "AbCd"),
        ("0" * 32, "md5-hash", "0" * 32),
        ("https://a.example/x?y=%20#z", "uri", "https://a.example/x?y=%20#z"),
        ("6BA7B810-9dad-11d1-80b4-00c04fd430c8", "uuid", "6BA7B810-9dad-11d1-80b4-00c04fd430c8"),
        ('{"a": [1]}', "dictionary", {"a": [1]}),
        ({"a": None}, "dictionary", {"a": None}),
        ([1, 2], "list", [1, 2]),
        ("[1]", "array", [1]),
        ("yes", "boolean-ish", "yes"),
        ("TRUE", "boolean", "true"),
        (5.0, "number", "5.0"),
        (None, "integer", None),
        (None, "dictionary", None),
    ],
)
def test_a_value_is_kept_in_the_text_form_of_its_type(value: Any, type_name: str, expected: Any) -> None:
    assert convert(value, type_name) == expected


@pytest.mark.parametrize(
    ("value", "type_name"),
    [
        ("yes", "bool"),
        (1, "bool"),
        ("", "integer"),
        ("5x", "integer"),
        ("٣", "integer"),
        (5.5, "integer"),
        (True, "integer"),
        ([], "integer"),
        ({}, "integer"),
        ("1" * 4301, "integer"),
        ("1_000", "integer"),
        ("nan", "float"),
        ("1e999999999", "float"),
        ("1e401", "float"),
        ("1.2.3", "ipv4-addr"),
        ("1.2.3.4; id", "ipv4-addr"),
        ("1.2.3.4 5", "ipv4-addr"),
        ("1.2.3.4/33", "ipv4-addr"),
        ("1.2.3.4/255.255.255.0", "ipv4-addr"),
        ("01.2.3.4", "ipv4-addr"),
        ("::1", "ipv4-addr"),
        ("1.2.3.4", "ipv6-addr"),
        ("fe80::1%$(id)", "ipv6-addr"),
        ("00:1b-44:11:3a:b7", "mac-addr"),
        ("0g", "hash"),
        ("0" * 31, "md5-hash"),
        ("0" * 63, "sha256-hash"),
        ("example.org/a", "uri"),
        ("https://a b", "uri"),
        ("https://a/%zz", "uri"),
        ("6ba7b810", "uuid"),
        ("[1]", "dictionary"),
        ("{", "dictionary"),
        ('{"a":1,"a":2}', "dictionary"),
        ('{"a":"\\u0000"}', "dictionary"),
        ({"a": "\x00"}, "dictionary"),
        ({"\ud800": 1}, "dictionary"),
        ({}, "string"),
        ([], "string"),
        ("a\x00b", "string"),
        ("\udfff", "string"),
        (float("nan"), "float"),
    ],
)
def test_what_does_not_fit_is_refused_without_repeating_it(value: Any, type_name: str) -> None:
    with pytest.raises(ValueError) as refusal:
        convert(value, type_name)
    if isinstance(value, str) and len(value) > 3:
        assert value not in str(refusal.value)


def test_deep_json_is_refused_and_not_a_recursion_error() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="deeper"):
        convert(deep, "list")


def test_synonyms_are_read_but_are_not_of_the_vocabulary() -> None:
    assert [meant_type(name) for name in ("boolean", "number", "int", "object", "list", "thing")] == [
        "bool",
        "float",
        "integer",
        "dictionary",
        "dictionary",
        "string",
    ]
    assert known_type("sha256-hash")
    assert known_type("dictionary")
    assert not known_type("boolean")


@pytest.mark.parametrize(
    ("value", "type_name", "expected"),
    [
        ("true", "bool", b"true"),
        ("7", "integer", b"7"),
        ("2.50", "float", b"2.50"),
        ("1" + "0" * 400, "float", b'"1' + b"0" * 400 + b'"'),
        ("7", "string", b'"7"'),
        ("later", "integer", b'"later"'),
        (None, "integer", b"null"),
    ],
)
def test_a_value_goes_back_to_the_json_that_its_type_means(value: Any, type_name: str, expected: bytes) -> None:
    assert strict_json.dumps(json_of(value, type_name)) == expected


@pytest.mark.parametrize(
    ("text", "type_name", "strict"),
    [
        ("10.0.0.1", "ipv4-addr", True),
        ("10.0.0.1;id", "ipv4-addr", False),
        (" 10.0.0.1", "ipv4-addr", False),
        ("7", "integer", True),
        ("2.5", "float", False),
        ("a", "string", False),
        ("fe80::1%a", "ipv6-addr", False),
    ],
)
def test_only_checked_types_need_no_quoting(text: str, type_name: str, strict: bool) -> None:
    assert is_strict(text, type_name) is strict


def test_text_of_a_dictionary_is_compact_json() -> None:
    assert text_of({"a": [1, "é"]}) == '{"a":[1,"é"]}'


@given(st.integers())
def test_every_integer_is_its_own_text_form(number: int) -> None:
    text = convert(number, "integer")
    assert text == str(number)
    assert json_of(text, "integer") == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_loses_nothing(number: float) -> None:
    text = convert(number, "float")
    assert isinstance(text, str)
    assert float(text) == number
    assert convert(text, "float") == text
    assert decimal_of(text) == decimal_of(json.dumps(number))


@given(st.text(), st.sampled_from(["string", "bool", "integer", "float", "ipv4-addr", "uuid", "uri", "dictionary"]))
def test_conversion_is_idempotent_or_refuses(text: str, type_name: str) -> None:
    try:
        once = convert(text, type_name)
    except ValueError:
        return
    assert convert(once, type_name) == once
