"""The one JSON reader and writer: classes A, B, C and E of hostile input, and numbers that stay as written."""

from __future__ import annotations

import copy
import json
import math
import pickle
import time
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from core import strict_json
from core.strict_json import JsonInvalid, NotCanonical, Number

SPECIFICATIONS = Path(__file__).resolve().parents[3] / "shared"

REFUSED = {
    "empty": b"",
    "blanks": b" \n",
    "cut": b'{"name":"x"',
    "comma at the end": b'{"name":"x",}',
    "single quotes": b"{'name':'x'}",
    "comment": b'{"name":"x"}//c',
    "byte order mark": b'\xef\xbb\xbf{"name":"x"}',
    "undefined": b"undefined",
    "undefined value": b'{"a":undefined}',
    "bare name": b"{a:1}",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":-Infinity}',
    "quote alone": b'"',
    "open text": b'{"a":"x',
    "control character": b'{"a":"\x01"}',
    "octet FF": b'"\xff"',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "surrogate encoded": b'"\xed\xa0\x80"',
    "overlong": b'"\xc0\x80"',
    "lone high surrogate": rb'"\ud800"',
    "lone low surrogate": rb'"\udc00x"',
    "surrogates in the wrong order": rb'"\udc00\ud800"',
    "high surrogate before another escape": rb'"\ud800\n"',
    "high surrogate before an escaped backslash": rb'"\ud800\\udc00"',
    "lone surrogate in a name": rb'{"\uDfff":1}',
    "NUL": rb'"a\u0000b"',
    "NUL in a name": rb'{"a\u0000":1}',
    "NUL deep inside": rb'{"a":[{"b":["\u0000"]}]}',
    "raw NUL": b'"a\x00b"',
    "NUL behind two backslashes and one": rb'"\\\u0000"',
    "5,000 digits": b"[" + b"1" * 5_000 + b"]",
    "4,301 digits": b"1" * 4_301,
    "long fraction": b"0." + b"1" * 5_000,
    "1e999": b"[1e999]",
    "-1e999": b"-1e999",
    "1e400000000": b"1e400000000",
    "leading zero": b"01",
    "plus": b"+1",
    "hexadecimal": b"0x10",
    "point at the end": b"1.",
    "point at the beginning": b".5",
    "Arabic digits": "[\u0661]".encode(),
    "same member, equal values": b'{"a":1,"a":1}',
    "same member, other values": b'{"b":{"a":1,"a":2}}',
    "same member, spelt in two ways": rb'{"a":1,"\u0061":2}',
    "two values": b"{}{}",
    "vertical tab between": b"[1,\x0b2]",
}


@pytest.mark.parametrize("octets", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_strict_json_is_refused(octets: bytes) -> None:
    with pytest.raises(JsonInvalid):
        strict_json.loads(octets)


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b'"text"', "text"),
        (b" 7\n", 7),
        (b"null", None),
        (b"[]", []),
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (rb'"\\u0000 \\ud800"', r"\u0000 \ud800"),
        ('"\ufffe\ue000\u0301\u202e"'.encode(), "\ufffe\ue000\u0301\u202e"),
        (rb'"%00 %0a"', "%00 %0a"),
        (b"9007199254740993", 9007199254740993),
        (b"9" * 4_300, int("9" * 4_300)),
    ],
)
def test_right_json_is_read_exactly(octets: bytes, value: Any) -> None:
    assert strict_json.loads(octets) == value


def test_nul_passes_where_the_caller_allows_it() -> None:
    assert strict_json.loads(rb'{"a\u0000":"\u0000"}', allow_nul=True) == {"a\0": "\0"}


def test_nesting_of_a_hundred_is_read_and_one_more_is_not() -> None:
    assert strict_json.loads(b"[" * 100 + b"]" * 100)
    assert strict_json.loads(b'{"a":' * 100 + b"1" + b"}" * 100)
    with pytest.raises(JsonInvalid, match="deeper than 100"):
        strict_json.loads(b"[" * 101 + b"]" * 101)


def test_brackets_inside_text_are_no_nesting() -> None:
    text = '[{"\\"' * 200
    assert strict_json.loads(json.dumps([text]).encode()) == [text]


@pytest.mark.parametrize("unit", [b"[", b'{"a":', b'["', b'"\\"', b"[],", b'{"":', b"\\u0000"])
def test_five_megabytes_of_anything_are_answered_in_time(unit: bytes) -> None:
    octets = unit * (5 * 1024 * 1024 // len(unit))
    began = time.monotonic()
    with pytest.raises(JsonInvalid):
        strict_json.loads(octets)
    assert time.monotonic() - began < 5


def test_an_error_says_where() -> None:
    with pytest.raises(JsonInvalid, match="line 2, column 6") as caught:
        strict_json.loads(b'{"a":1,\n"b": ?}')
    assert caught.value.position == 13
    assert caught.value.code == "malformed_json"


def test_a_long_member_name_is_not_echoed_whole() -> None:
    name = "n" * 100_000
    with pytest.raises(JsonInvalid) as caught:
        strict_json.loads(f'{{"{name}":1,"{name}":2}}'.encode())
    assert len(caught.value.message) < 200


AS_WRITTEN = ["1.10", "1e2", "1E2", "1.0", "-0.0", "1e-999", "0.1", "123456789.123456789123456789", "-1.5e+3", "5e-324"]


@pytest.mark.parametrize("text", AS_WRITTEN)
def test_a_number_is_written_as_it_was_read(text: str) -> None:
    value = strict_json.loads(text.encode())
    assert isinstance(value, float)
    assert float(text) == value
    assert strict_json.dumps({"n": [value]}) == f'{{"n":[{text}]}}'.encode()


def test_a_number_as_written_survives_copying_and_pickling() -> None:
    number = strict_json.loads(b"1.10")
    for same in (copy.copy(number), copy.deepcopy([number])[0], pickle.loads(pickle.dumps(number))):
        assert same == 1.1
        assert strict_json.dumps(same) == b"1.10"


def test_a_plain_number_stays_a_plain_float() -> None:
    assert type(strict_json.loads(b"1.5")) is float
    assert type(strict_json.loads(b"1.50")) is Number


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800", {"a": -math.inf}])
def test_what_json_cannot_hold_is_not_written(value: Any) -> None:
    with pytest.raises(ValueError):
        strict_json.dumps(value)


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": {1, 2}}, b"octets"])
def test_what_is_no_json_value_is_not_written(value: Any) -> None:
    with pytest.raises(TypeError):
        strict_json.dumps(value)


def test_deep_values_are_written_without_recursion() -> None:
    value: Any = 1
    for _ in range(50_000):
        value = [value]
    assert strict_json.dumps(value) == b"[" * 50_000 + b"1" + b"]" * 50_000


def test_the_canonical_form_is_that_of_the_standard() -> None:
    # The example of RFC 8785, 3.2.3.
    octets = (
        rb'{"\u20ac":"Euro Sign","\r":"Carriage Return","\u000a":"Newline","1":"One","\u0080":"Control\u007f",'
        rb'"\ud83d\ude02":"Smiley","\u00f6":"Latin Small Letter O With Diaeresis","\ufb33":"Hebrew Letter Dalet",'
        rb'"</script>":"Browser Challenge"}'
    )
    canonical = strict_json.canonical(strict_json.loads(octets)).decode()
    assert list(json.loads(canonical).values()) == [
        "Newline",
        "Carriage Return",
        "One",
        "Browser Challenge",
        "Control\x7f",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Smiley",
        "Hebrew Letter Dalet",
    ]
    numbers = strict_json.loads(b"[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001,-0,-0.0,1e-999]")
    assert strict_json.canonical(numbers) == b"[333333333.3333333,1e+30,4.5,0.002,1e-27,0,0,0]"


@pytest.mark.parametrize("integer", [2**53, -(2**53), 9007199254740993, 10**400])
def test_big_integers_have_no_canonical_form_and_still_a_digest(integer: int) -> None:
    with pytest.raises(NotCanonical, match="2\\^53"):
        strict_json.canonical({"n": integer})
    assert strict_json.digest({"n": integer}) != strict_json.digest({"n": integer + 1})
    assert strict_json.digest({"n": integer, "a": 1.0}) == strict_json.digest({"a": 1.0, "n": integer})


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_what_is_written_is_read_back(value: Any) -> None:
    octets = strict_json.dumps(value)
    assert strict_json.loads(octets) == value
    assert strict_json.dumps(strict_json.loads(octets)) == octets
    assert json.loads(octets) == value


@given(JSON_VALUES)
def test_writing_back_keeps_the_digest(value: Any) -> None:
    read = strict_json.loads(json.dumps(value, indent=1).encode())
    assert strict_json.digest(strict_json.loads(strict_json.dumps(read))) == strict_json.digest(read)


@given(JSON_VALUES)
def test_our_writer_sorts_and_writes_as_the_library_does(value: Any) -> None:
    """Where no integer is too big, our writer and the library's agree octet for octet."""
    try:
        expected = rfc8785.dumps(value)
    except rfc8785.IntegerDomainError:
        return
    pieces = strict_json._text_of(value, sort=True, write_number=strict_json._number_canonical)
    assert pieces.encode() == expected == strict_json.canonical(value)


@given(st.binary(max_size=60))
def test_arbitrary_octets_are_read_or_refused_and_never_break(octets: bytes) -> None:
    try:
        value = strict_json.loads(octets)
    except JsonInvalid:
        return
    assert json.loads(octets) == value


@given(st.text("0123456789.eE+-", min_size=1, max_size=12))
def test_numbers_are_those_of_the_standard_and_no_others(text: str) -> None:
    try:
        value = strict_json.loads(text.encode())
    except JsonInvalid:
        return
    assert strict_json.dumps(value) == (b"0" if text == "-0" else text.encode())


def test_the_encoder_for_database_columns_keeps_numbers() -> None:
    text = '{"a":[1.10,1e2,9007199254740993]}'
    value = json.loads(text, cls=strict_json.ExactDecoder)
    assert json.dumps(value, cls=strict_json.ExactEncoder) == text


def _corpus() -> list[Path]:
    return sorted((SPECIFICATIONS / "playbooks").glob("*.json")) if SPECIFICATIONS.is_dir() else []


@pytest.mark.parametrize("path", _corpus(), ids=lambda path: path.name)
def test_a_playbook_from_the_wild_is_kept_under_jcs(path: Path) -> None:
    document = strict_json.loads(path.read_bytes(), allow_nul=True)
    again = strict_json.loads(strict_json.dumps(document), allow_nul=True)
    assert strict_json.digest(again) == strict_json.digest(document) == _library_digest(path)


def _library_digest(path: Path) -> str:
    return strict_json.digest(json.loads(path.read_text("utf-8")))
