"""Finding references in text (CACAO.md 9, 12.11)."""

from __future__ import annotations

import time
from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbooks.cacao.references import Reference, is_regular, names_in, split, without_value


def ref(name: str, text: str | None = None) -> Reference:
    return Reference(name=name, text=text if text is not None else f"{name}:value")


@pytest.mark.parametrize(
    ("text", "declared", "expected"),
    [
        ("", (), ()),
        ("plain", (), ("plain",)),
        ("__x__:value", (), (ref("__x__"),)),
        ("a __x__:value b", (), ("a ", ref("__x__"), " b")),
        ("__t__:value__u__:value", (), (ref("__t__"), ref("__u__"))),
        ("__x__:values", (), (ref("__x__"), "s")),
        ("__x__ :value", (), ("__x__ :value",)),
        ("__x__:VALUE", (), ("__x__:VALUE",)),
        ("___x__:value", (), ("_", ref("__x__"))),
        ("__1x__:value", (), ("__1x__:value",)),
        ("__a__b__:value", (), ("__a", ref("__b__"))),
        ("__a__b__:value", ("__a__b__", "__a__"), (ref("__a__b__"),)),
        ("__a-b_c1__:value", (), (ref("__a-b_c1__"),)),
        ("__a.b__:value", (), ("__a.b__:value",)),
        ("__a.b__:value", ("__a.b__",), (ref("__a.b__"),)),
        ("ip:value zip:value", ("ip",), (ref("ip"), " zip:value")),
        ("__" + "a" * 246 + "__:value", (), (ref("__" + "a" * 246 + "__"),)),
        ("__" + "a" * 247 + "__:value", (), ("__" + "a" * 247 + "__:value",)),
        ("__" + "a" * 247 + "__:value", ("__" + "a" * 247 + "__",), (ref("__" + "a" * 247 + "__"),)),
        ("$$x$$", ("__x__",), ("$$x$$",)),
    ],
)
def test_text_is_cut_at_its_references(text: str, declared: Collection[str], expected: tuple[object, ...]) -> None:
    assert split(text, declared) == expected


@pytest.mark.parametrize(
    ("text", "declared", "expected"),
    [
        ("a $$x$$ b", ("x",), ("a ", ref("x", "$$x$$"), " b")),
        ("$$a.b$$", ("__a.b__",), (ref("__a.b__", "$$a.b$$"),)),
        ("$$x$$:value", ("$$x$$",), (ref("$$x$$"),)),
        ("$$x$$", ("$$x$$",), (ref("$$x$$", "$$x$$"),)),
        ("$$x$$", ("__x__",), ("$$x$$",)),
        ("$$y$$", ("x",), ("$$y$$",)),
    ],
)
def test_dollars_mean_names_that_break_the_rule(
    text: str, declared: Collection[str], expected: tuple[object, ...]
) -> None:
    assert split(text, declared, dollars=True) == expected


def test_names_are_listed_once_in_their_order() -> None:
    assert names_in("__b__:value __a__:value __b__:value") == ("__b__", "__a__")


def test_a_name_without_value_is_no_reference() -> None:
    assert without_value("echo __a__ __b__:value __c__: value __a__") == ("__a__", "__c__")


@pytest.mark.parametrize(
    ("name", "regular"),
    [("__a__", True), ("__a__b__", True), ("__a-1_b__", True), ("__a.b__", False), ("a", False), ("__1__", False)],
)
def test_the_rule_for_names(name: str, regular: bool) -> None:
    assert is_regular(name) is regular
    assert not is_regular("__" + "a" * 247 + "__")


@given(st.text(alphabet="_ab:value$ -.", max_size=60), st.sets(st.sampled_from(["__a.b__", "a", "__a__b__", "$$a$$"])))
def test_the_pieces_give_the_text_again(text: str, declared: set[str]) -> None:
    for dollars in (False, True):
        pieces = split(text, declared, dollars=dollars)
        assert "".join(piece if isinstance(piece, str) else piece.text for piece in pieces) == text


def test_a_long_hostile_text_takes_linear_time() -> None:
    started = time.perf_counter()
    for text in ("__a" * 300_000, "_" * 1_000_000, "__a_" * 250_000, "__a__" * 200_000):
        split(text, ("__x.y__", "__a__b__"))
    assert time.perf_counter() - started < 5
