"""Evaluating conditions (CACAO.md 14.2, 14.3)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executions.engine.conditions import ConditionError, evaluate
from executions.matching import PatternRefused, check_pattern, re2_search
from playbooks.cacao.conditions import parse
from tests.shared import shared_json

VARIABLES: dict[str, tuple[str, Any]] = {
    "__n__": ("integer", "7"),
    "__big__": ("integer", "9007199254740993"),
    "__f__": ("float", "0.1"),
    "__s__": ("string", "alpha"),
    "__lines__": ("string", "a\nb"),
    "__digits__": ("string", "10"),
    "__null__": ("string", None),
    "__yes__": ("bool", "true"),
    "__word__": ("string", " True "),
    "__ip__": ("ipv4-addr", "10.1.2.3"),
    "__ip2__": ("string", "10.1.2.3"),
    "__net__": ("ipv4-addr", "10.1.0.0/16"),
    "__mac__": ("mac-addr", "00:1B:44:11:3A:B7"),
    "__hash__": ("hash", "00FF"),
    "__uuid__": ("uuid", "6BA7B810-9dad-11d1-80b4-00c04fd430c8"),
    "__url__": ("uri", "https://a.example/x"),
    "__when__": ("string", "2026-03-01T12:00:00.000000001Z"),
    "__broken__": ("integer", "many"),
    "__d__": ("dictionary", {"score": 80, "half": 0.5, "tags": ["x", "y"], "ok": True, "none": None, "empty": []}),
    "__rows__": ("list", [{"id": 1, "name": "a"}, {"id": 2}, {"id": "three", "name": None}]),
    "__own__": ("made-up", "x"),
}


def decide(text: str) -> bool:
    tree = parse(text, lenient=True, declared=VARIABLES).ast
    return evaluate(tree, VARIABLES.get, match=re2_search)


@pytest.mark.parametrize(
    "text",
    [
        "__n__:value = 7.0",
        "__big__:value > 9007199254740992",
        "__f__:value = .1",
        "__s__:value > 'Alpha'",
        "__digits__:value > 9",
        "__digits__:value < '9'",
        "__s__:value NOT = 'beta'",
        "__lines__:value LIKE 'a%b'",
        "__lines__:value LIKE 'a_b'",
        "__url__:value LIKE 'https://a.example/_'",
        "__url__:value NOT LIKE 'https://a_example'",
        "__url__:value MATCHES 'a[.]ex'",
        "__ip__:value ISSUBSET '10.1.2.3'",
        "__net__:value ISSUPERSET '10.1.2.0/24'",
        "__ip__:value = __ip2__:value",
        "__ip2__:value = __ip__:value",
        "__mac__:value = '00-1b-44-11-3a-b7'",
        "__hash__:value = h'00ff'",
        "__hash__:value = b'AP8='",
        "__hash__:value = '00ff'",
        "__s__:value = b'YWxwaGE='",
        "__uuid__:value = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'",
        "__when__:value > t'2026-03-01T12:00:00Z'",
        "__d__:value.score >= 80",
        "__d__:value.half = 0.50",
        "__d__:value.ok = true",
        "__d__:value.tags[*] = 'y'",
        "__d__:value.tags[*] NOT IN ('a', 'b')",
        "__d__:value.tags[*] != 'y'",
        "__rows__:value[*].id = 2",
        "__rows__:value[*].name = 'a'",
        "EXISTS __rows__:value[*].name",
        "NOT EXISTS __d__:value.empty[*]",
        "NOT EXISTS __n__:value.x",
        "NOT EXISTS __nothing__:value",
        "__word__",
        "__d__:value.ok",
        "__own__:value = 'x'",
        "__n__:value < __digits__:value",
        "__n__:value = 7 OR __null__:value = 1",
    ],
)
def test_holds(text: str) -> None:
    assert decide(text) is True


@pytest.mark.parametrize(
    "text",
    [
        "__n__:value IN ()",
        "__s__:value = true",
        "__s__:value LIKE 'alph'",
        "__s__:value LIKE 'a.*'",
        "__s__:value MATCHES '^lp'",
        "__url__:value = 'https://A.example/x'",
        "__ip__:value ISSUBSET '192.168.0.0/16'",
        "__ip__:value ISSUPERSET '10.0.0.0/8'",
        "__d__:value.tags[*] = 'z'",
        "__d__:value.empty[*] = 'z'",
        "__rows__:value[*].name = 'b'",
        "NOT __yes__",
        "EXISTS __d__:value.none",
        "__n__:value = 8 AND __null__:value = 1",
    ],
)
def test_does_not_hold(text: str) -> None:
    assert decide(text) is False


@pytest.mark.parametrize(
    "text",
    [
        "__null__:value != 'x'",
        "__null__:value IN ()",
        "__nothing__:value = 1",
        "__s__:value = 5",
        "__n__:value = true",
        "__n__:value = 'seven'",
        "__n__:value LIKE '7'",
        "__yes__:value = 1",
        "__yes__:value > 'a'",
        "__yes__:value = 'maybe'",
        "__broken__:value = 1",
        "__ip__:value > '10.0.0.0'",
        "__ip__:value ISSUBSET '::/0'",
        "__ip__:value ISSUBSET 'a'",
        "__s__:value ISSUBSET '10.0.0.0/8'",
        "__ip__:value = true",
        "__mac__:value = '00:1b'",
        "__hash__:value > '00'",
        "__s__:value = h'00'",
        "__s__:value < t'2026-03-01T12:00:01Z'",
        "__when__:value < t'2026-02-30T00:00:00Z'",
        "__s__:value MATCHES '('",
        "__d__:value = 'x'",
        "__d__:value.tags = 'x'",
        "__d__:value.missing = 1",
        "__d__:value.none = 1",
        "__d__:value.ok = 1",
        "__d__:value.score[*] = 1",
        "__rows__:value[*].id = 9",
        "__s__:value",
        "__n__",
        "__s__:value = __null__:value",
        "__s__:value = __d__:value",
        "NOT __null__:value = 1",
    ],
)
def test_cannot_be_decided(text: str) -> None:
    with pytest.raises(ConditionError):
        decide(text)


def test_the_specified_samples() -> None:
    samples = shared_json("playbooks/expected/conditions.json")
    variables = {name: (entry["type"], entry["value"]) for name, entry in samples["variables"].items()}
    for sample in samples["evaluation"]:
        tree = parse(sample["condition"], lenient=True, declared=variables).ast
        try:
            result: bool | str = evaluate(tree, variables.get, match=re2_search)
        except ConditionError:
            result = "error"
        assert result == sample["result"], sample


def test_an_evaluation_has_a_budget() -> None:
    rows = [[[0] * 30] * 30] * 30
    tree = parse("__rows__:value[*][*][*] = 1", lenient=False).ast
    with pytest.raises(ConditionError, match="steps"):
        evaluate(tree, {"__rows__": ("list", rows)}.get, match=re2_search)


def test_hostile_patterns_take_linear_time() -> None:
    variables = {"__s__": ("string", "a" * 50_000 + "b")}
    tree = parse("__s__:value MATCHES '(a+)+$' OR __s__:value LIKE '%a%a%a%a%a%c'", lenient=False).ast
    started = time.perf_counter()
    assert evaluate(tree, variables.get, match=re2_search) is False
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("pattern", ["(", "a" * 1001, "(?=a)", r"(a)\1", "((a{100}){100}){100}", "\ud800"])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(PatternRefused):
        check_pattern(pattern)


def test_a_text_over_one_mebibyte_is_not_searched() -> None:
    assert re2_search("a$", "é" * 100 + "a")
    with pytest.raises(PatternRefused, match="1 MiB"):
        re2_search("a", "é" * 524_289)


@given(st.integers(), st.integers())
def test_integers_compare_as_python_compares_them(left: int, right: int) -> None:
    variables = {"__n__": ("integer", str(left))}
    for operator, expected in (("=", left == right), (">", left > right), ("<=", left <= right)):
        tree = parse(f"__n__:value {operator} {right}", lenient=False).ast
        assert evaluate(tree, variables.get, match=re2_search) is expected


@given(st.text(alphabet="ab%_.[\\^$\n", max_size=8), st.text(alphabet="ab%_.[\\^$\n", max_size=8))
def test_like_reads_percent_and_underscore_only(text: str, pattern: str) -> None:
    def like(text: str, pattern: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "%":
            return any(like(text[at:], pattern[1:]) for at in range(len(text) + 1))
        return bool(text) and pattern[0] in ("_", text[0]) and like(text[1:], pattern[1:])

    literal = pattern.replace("\\", "\\\\")
    tree = parse(f"__s__:value LIKE '{literal}'", lenient=False).ast
    assert evaluate(tree, {"__s__": ("string", text)}.get, match=re2_search) is like(text, pattern)
