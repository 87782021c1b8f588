"""References replaced by values that keep their type and origin (CACAO.md 12.11)."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.quoting import UnsafePlaceholder
from executions.engine.substitution import Part, UnresolvedVariable, decoded_parts, parts, plain
from playbooks.cacao.types import Value, Variable

VARIABLES = [
    Variable("__constant__", value="ls -la", constant=True),
    Variable("__given__", value="x", constant=True, external=True),
    Variable("__default__", value="8.8.8.8", type="ipv4-addr", external=True),
    Variable("__inner__", value="own"),
    Variable("__null__"),
    Variable("__null_constant__", constant=True),
    Variable("__tricky__", value="__constant__:value {{x}}"),
    Variable("__object__", value={"a": "é"}, type="dictionary"),
    Variable("__odd.name__", value="odd"),
    Variable("__flag__", value="true", type="boolean"),
    Variable("__b64__", value=base64.b64encode(b"secret __constant__:value").decode()),
    Variable("__b64_constant__", value=base64.b64encode(b"echo ").decode(), constant=True),
    Variable("__b64_octets__", value=base64.b64encode(b"\xff\xfe").decode()),
]
BY_NAME = {variable.name: variable for variable in VARIABLES}


def lookup(name: str) -> tuple[Variable, Value] | None:
    return (BY_NAME[name], BY_NAME[name].value) if name in BY_NAME else None


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def outside(text: str, name: str, type_name: str = "string") -> Part:
    return Part(text, "outside", type_name, name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("plain __x__", (Part("plain __x__"),)),
        ("__constant__:value", (Part("ls -la", "author", "string", "__constant__"),)),
        ("__given__:value", (outside("x", "__given__"),)),
        ("ping __default__:value!", (Part("ping "), outside("8.8.8.8", "__default__", "ipv4-addr"), Part("!"))),
        ("__tricky__:value", (outside("__constant__:value {{x}}", "__tricky__"),)),
        ("__object__:value", (outside('{"a":"é"}', "__object__", "dictionary"),)),
        ("__odd.name__:value", (outside("odd", "__odd.name__"),)),
        ("$$odd.name$$", (outside("odd", "__odd.name__"),)),
        ("__flag__:value", (outside("true", "__flag__", "bool"),)),
    ],
)
def test_a_text_is_cut_into_parts_with_type_and_origin(text: str, expected: tuple[Part, ...]) -> None:
    assert parts(text, lookup, BY_NAME) == expected


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("has_value", [False, True])
def test_only_a_constant_whose_value_the_document_gives_is_author_text(
    constant: bool, external: bool, has_value: bool
) -> None:
    variable = Variable("__v__", value="given" if has_value else None, constant=constant, external=external)

    found = parts("__v__:value", {"__v__": (variable, "now")}.get, ())

    is_author = constant and not external and has_value
    assert found == (Part("now", "author" if is_author else "outside", "string", "__v__"),)


@pytest.mark.parametrize("name", ["__null__", "__null_constant__", "__nowhere__"])
def test_a_reference_without_a_value_stops_everything(name: str) -> None:
    with pytest.raises(UnresolvedVariable, match=name):
        parts(f"a {name}:value", lookup, BY_NAME)
    with pytest.raises(UnresolvedVariable):
        plain({"a": [f"{name}:value"]}, lookup, BY_NAME)
    with pytest.raises(UnresolvedVariable):
        decoded_parts(f"{name}:value", lookup, BY_NAME)


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (encode("cat __inner__:value"), (Part("cat "), outside("own", "__inner__"))),
        ("__b64__:value", (outside("secret __constant__:value", "__b64__"),)),
        ("__b64_constant__:value", (Part("echo ", "author", "string", "__b64_constant__"),)),
        (
            encode("[__inner__:value]"[:18] + " ") + "__b64__:value",
            (Part("["), outside("own", "__inner__"), Part("] "), outside("secret __constant__:value", "__b64__")),
        ),
        (encode("é"), (Part("é"),)),
        (encode(""), ()),
    ],
)
def test_base64_is_filled_in_before_and_after_decoding(encoded: str, expected: tuple[Part, ...]) -> None:
    assert decoded_parts(encoded, lookup, BY_NAME) == expected


def test_octets_that_are_no_text_stay_base64() -> None:
    assert decoded_parts("/wD/", lookup, BY_NAME) == (Part("/wD/", "author", "base64"),)
    assert decoded_parts("__b64_octets__:value", lookup, BY_NAME) == (outside("//4=", "__b64_octets__", "base64"),)


@pytest.mark.parametrize("encoded", ["__inner__:value!", "aa__inner__:value", "__b64__:value__b64__:valueA", "%%%"])
def test_a_value_in_base64_can_only_be_base64(encoded: str) -> None:
    with pytest.raises(UnsafePlaceholder):
        decoded_parts(encoded, lookup, BY_NAME)


@given(st.binary(max_size=9), st.text(alphabet="ab_", max_size=9), st.binary(max_size=9))
def test_octets_that_a_value_touches_are_never_author_text(before: bytes, value: str, after: bytes) -> None:
    # One base64 text, cut anywhere in the middle: the cut need not fall between two octets.
    whole = base64.b64encode(before + value.encode() + after).decode()
    start, end = len(before) * 8 // 6, min(len(whole), -(-(len(before) + len(value)) * 8 // 6))
    variable = Variable("__cut__", value=whole[start:end])
    encoded = f"{whole[:start]}__cut__:value{whole[end:]}"

    found = decoded_parts(encoded, {"__cut__": (variable, variable.value)}.get, ())

    if any(part.type == "base64" for part in found):
        assert all(part.trust == "outside" for part in found) or start == end
        return
    assert "".join(part.text for part in found).encode() == before + value.encode() + after
    author = sum(len(part.text.encode()) for part in found if part.trust == "author")
    assert author <= len(before) + len(after)


def test_properties_are_filled_in_and_say_what_is_from_outside() -> None:
    properties = {
        "name": "a",
        "address": {"ipv4": ["__default__:value"], "__inner__:value": ["kept as a name"]},
        "command": "__constant__:value",
        "port": "22",
        "category": [1, None, {"x": "pre-__inner__:value"}],
    }
    filled = plain(properties, lookup, BY_NAME)
    assert filled.value == {
        "name": "a",
        "address": {"ipv4": ["8.8.8.8"], "__inner__:value": ["kept as a name"]},
        "command": "ls -la",
        "port": "22",
        "category": [1, None, {"x": "pre-own"}],
    }
    assert filled.outside == {"address", "category"}
    assert properties["command"] == "__constant__:value"


def test_a_value_that_is_no_object_is_filled_in_too() -> None:
    assert plain("__inner__:value", lookup, BY_NAME).outside == {""}
    assert plain(["a"], lookup, BY_NAME).value == ["a"]
