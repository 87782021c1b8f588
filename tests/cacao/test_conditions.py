"""The two grammars of conditions (CACAO.md 14.1, 14.3), and an independent judge of the strict one."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stix2patterns.exceptions import ParseException
from stix2patterns.v21.pattern import Pattern

from playbooks.cacao.conditions import NotACondition, parse, switch_variable, variables_in
from tests.shared import shared_json

DECLARED = ("__n__", "__s__", "__a.b__", "free", "$$odd$$", "__d__")


def is_strict(text: str) -> bool:
    try:
        return parse(text, lenient=False).form == "strict"
    except NotACondition:
        return False


def form(text: str, declared: Sequence[str] = DECLARED) -> str:
    try:
        return parse(text, lenient=True, declared=declared).form
    except NotACondition:
        return "prose"


def judge(text: str) -> bool:
    """Ask the committee's own parser, which knows nothing of CACAO."""
    try:
        Pattern(f"[{text}]")
    except ParseException:
        return False
    return True


@pytest.mark.parametrize(
    "text",
    [
        "__a__:value = 5",
        "__a__ : value=5",
        "__a__:value NOT = 'x'",
        "__a__:value/* why */>/* not */-5.5",
        "__a__:value IN ()",
        "__a__:value NOT IN ('a', 1, true, t'2026-01-01T00:00:00Z')",
        "__a__:value LIKE 'a%' OR __b__:value = 2AND __c__:value = 3",
        "((NOT EXISTS __a__:value.b.'c d'[0][*].e))",
        "__a__:value = h''",
        "__a__:value = b'AAA='",
        "__a__:value = 'it\\'s \\\\'",
        "__a__:value = +.5",
        "__a__:value.t = 05.5",
        "__a__b__:value = 1",
        "__a__:value[-1] = 1",
    ],
)
def test_the_strict_grammar_reads(text: str) -> None:
    assert is_strict(text)
    assert judge(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "__a__:value",
        "NOT __a__:value = 1",
        "__a__:value = 1 and __b__:value = 1",
        '__a__:value = "x"',
        "__a__:value = x",
        "__a__:value = null",
        "__a__:value = 05",
        "__a__:value = 1e5",
        "__a__:value = 5.",
        "__a__:value > true",
        "__a__:value > __b__:value",
        "__a__:value LIKE 5",
        "__a__:value IN (1,)",
        "__a__:value.a-b = 1",
        "__a__:value.AND = 1",
        "__a__:value[01] = 1",
        "__a__:value = b''",
        "__a__:value = h'0'",
        "__a__:value = 'a\\n'",
        "__a__:value = 5 AND",
        "(__a__:value = 5",
        "__a__:value = 5)",
        "__a__:value = 5 // comment",
        "__ä__:value = 5",
        "EXISTS (__a__:value)",
        "__a__:value = 1 FOLLOWEDBY __a__:value = 2",
    ],
)
def test_the_strict_grammar_refuses(text: str) -> None:
    assert not is_strict(text)
    assert not judge(text)


@pytest.mark.parametrize(
    "text", ["a:value = 5", "__a__:'value' = 5", "__a__:other = 5", "__a__:value = 5] OR [a:b = 5"]
)
def test_paths_that_are_no_variable_are_refused_though_stix_has_them(text: str) -> None:
    assert not is_strict(text)
    assert judge(text)


@pytest.mark.parametrize(
    "text",
    [
        "[__n__:value = 7]",
        "not (__n__:value = 7 Or __s__:value like 'x')",
        "NOT NOT __n__:value = 1 AND EXISTS __s__:value",
        "__n__ > 5",
        "$$n$$ > 5",
        "n > 5",
        "free = x",
        "free:value = x",
        "$$free$$ = x",
        "$$odd$$ = x",
        "__a.b__:value = dot",
        "__d__.score[0] >= 80",
        "__n__",
        "__unknown__:value",
        '__s__:value = "al\\"pha"',
        "__s__:value = 10.1.2.3",
        "__s__:value ISSUBSET 10.0.0.0/8",
        "__s__:value = TRUE",
        "__s__:value in (a, \"b\", 'c', __n__:value, $$n$$)",
        "__n__:value < __s__:value",
        "__n__:value = 05",
    ],
)
def test_the_lenient_grammar_reads_what_people_write(text: str) -> None:
    assert form(text) == "lenient"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "Operator input to proceed",
        '"response:status" == 200',
        "verdict == 'malicious'",
        "__unknown__ = 5",
        "__n__:value = __unknown__",
        "__n__:value = $$unknown$$",
        "5 > 3",
        "true",
        "__n__:value = one two",
        "__n__:value ~ 5",
        "__n__:value && __s__:value",
        "__n__:value > true",
        "__n__:value LIKE 5",
        "__n__:value NOT EXISTS",
        "EXISTS (__n__:value)",
        "(__n__:value) = 5",
        "__n__:value = and",
        "__n__:value IN (1, 2",
        "__a.b__c = 1",
    ],
)
def test_the_rest_is_prose_for_a_person(text: str) -> None:
    assert form(text) == "prose"


def test_a_strict_condition_is_never_read_leniently() -> None:
    assert form("__s__:value = 'TRUE'") == "strict"


def test_the_tree_is_plain_json_and_names_its_variables_in_order() -> None:
    tree = parse(
        "__a__:value.b[*] NOT IN (1, 'x') AND (EXISTS __c__:value OR __d__:value <> __n__:value)",
        lenient=True,
        declared=DECLARED,
    ).ast
    assert json.loads(json.dumps(tree)) == tree
    assert tree == {
        "op": "and",
        "items": [
            {
                "op": "in",
                "path": {"variable": "__a__", "steps": ["b", None]},
                "negated": True,
                "items": [{"kind": "number", "value": "1"}, {"kind": "text", "value": "x"}],
            },
            {
                "op": "or",
                "items": [
                    {"op": "exists", "path": {"variable": "__c__", "steps": []}},
                    {
                        "op": "compare",
                        "path": {"variable": "__d__", "steps": []},
                        "operator": "!=",
                        "negated": False,
                        "right": {"kind": "variable", "path": {"variable": "__n__", "steps": []}},
                    },
                ],
            },
        ],
    }
    assert variables_in(tree) == ("__a__", "__c__", "__d__", "__n__")


@pytest.mark.parametrize("depth", [65, 10_000])
@pytest.mark.parametrize("lenient", [False, True])
def test_deep_nesting_is_refused_and_not_a_recursion_error(depth: int, lenient: bool) -> None:
    for text in ("(" * depth + "__a__:value = 1" + ")" * depth, "NOT " * depth + "EXISTS __a__:value"):
        with pytest.raises(NotACondition):
            parse(text, lenient=lenient)


def test_hostile_texts_are_refused_in_linear_time() -> None:
    started = time.perf_counter()
    for text in ("__a__:value = '" + "\\" * 90_000, "/*" * 45_000, '"' * 90_000, "$$" * 45_000, "__a" * 30_000):
        with pytest.raises(NotACondition):
            parse(text, lenient=True, declared=DECLARED)
    with pytest.raises(NotACondition, match="characters"):
        parse("__a__:value = '" + "a" * 100_000 + "'", lenient=True)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("__n__:value", ("__n__", True)),
        ("__unknown__:value", ("__unknown__", True)),
        ("__n__", ("__n__", False)),
        ("$$n$$", ("__n__", False)),
        ("n", ("__n__", False)),
        ("__a.b__:value", ("__a.b__", False)),
        ("__unknown__", None),
        ("ask somebody", None),
        ("", None),
    ],
)
def test_a_switch_names_its_variable(text: str, expected: tuple[str, bool] | None) -> None:
    assert switch_variable(text, declared=DECLARED) == expected


def test_the_specified_samples() -> None:
    samples = shared_json("playbooks/expected/conditions.json")
    for sample in samples["syntax"]:
        assert is_strict(sample["condition"]) is sample["strict"], sample
    declared = tuple(samples["variables"])
    for sample in samples["evaluation"]:
        assert form(sample["condition"], declared) == sample["form"], sample
    for text in samples["prose"]:
        assert form(text, declared) == "prose", text


STEPS = [".b", ".'c d'", "[0]", "[*]", "[-1]", ". t", "[ 12 ]", ".IN", ".a-b", "[05]"]
PATHS = st.builds(
    lambda name, steps: name + ":value" + "".join(steps),
    st.sampled_from(["__a__", "__a-b__", "__x_1__", "__in__"]),
    st.lists(st.sampled_from(STEPS), max_size=3),
)
NUMBERS = ["5", "-5", "+0", "05", "0.5", ".5", "5.", "1e5"]
TEXTS = ["'a'", "''", "'it\\'s'", "'\\n'"]
OCTETS = ["h'00fF'", "h'0'", "b'AAA='", "b'A'"]
TIMES = ["t'2026-01-01T00:00:00Z'", "t'2026-13-01T00:00:00Z'", "t'2026-01-01T00:00:60.123Z'"]
ORDERABLES = st.sampled_from([*NUMBERS, *TEXTS, *OCTETS, *TIMES])
LITERALS = st.one_of(ORDERABLES, st.sampled_from(["true", "false", "TRUE", "x", '"x"']))
SPACES = st.sampled_from([" ", "  ", "\t\n", "/* AND */", "\u00a0"])
SIGNS = ["=", "==", "!=", "<>", "<", ">", "<=", ">=", "(", ")", ",", ":"]
WORDS = "NOT AND OR IN EXISTS LIKE MATCHES ISSUBSET ISSUPERSET and START FOLLOWEDBY WITHIN".split()
TOKENS = st.one_of(PATHS, LITERALS, st.sampled_from([*SIGNS, *WORDS]))
SETS = st.lists(LITERALS, max_size=3).map(lambda items: f"({', '.join(items)})")
COMPARISONS = st.one_of(
    st.tuples(PATHS, st.sampled_from(["", "NOT"]), st.sampled_from(["=", "!=", "<>", "==", "<", ">="]), LITERALS),
    st.tuples(PATHS, st.sampled_from(["LIKE", "NOT MATCHES", "ISSUBSET"]), ORDERABLES),
    st.tuples(PATHS, st.sampled_from(["IN", "NOT IN"]), SETS),
    st.tuples(st.sampled_from(["EXISTS", "NOT EXISTS"]), PATHS),
).map(" ".join)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds("({})".format, inner), st.builds("{} {} {}".format, inner, st.sampled_from(["AND", "OR"]), inner)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(CONDITIONS)
def test_parser_and_judge_agree_on_conditions(text: str) -> None:
    assert is_strict(text) == judge(text)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(TOKENS, SPACES), min_size=1, max_size=8))
def test_parser_and_judge_agree_on_any_sequence_of_tokens(tokens: list[tuple[str, str]]) -> None:
    text = "".join(token + space for token, space in tokens)
    assert is_strict(text) == judge(text)


@settings(max_examples=150, deadline=None)
@given(CONDITIONS, st.integers(0, 200), st.sampled_from(["", "'", " ", "(", "NOT ", "x", "=", "\\"]))
def test_whatever_one_change_makes_of_a_condition_the_judge_reads_what_the_parser_reads(
    text: str, at: int, change: str
) -> None:
    at %= len(text)
    changed = text[:at] + change + text[at + 1 :]
    assert judge(changed) or not is_strict(changed)
