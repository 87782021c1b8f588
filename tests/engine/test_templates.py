"""Templates and expressions of S4E playbooks (contracts/s4e.md; BAD-INPUT D-10, P-08, P-09)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import strict_json
from executions.engine.templates import (
    ExpressionError,
    TemplateInvalid,
    UndefinedPath,
    evaluate,
    parse_expression,
    parse_template,
    paths_of,
    resolve,
)

CONTEXT: dict[str, Any] = {
    "finding": {
        "title": "Weak TLS",
        "cvss": 9.1,
        "asset": {"tags": ["production", "web"], "owner": None},
        "is-open": True,
        "é": "accent",
        "tricky": "{{ finding.title }}",
    },
    "parameters": {"count": 3},
    "steps": {"step-1": {"status": "completed", "output": {"items": [{"id": 7}]}}, "2": {"status": "failed"}},
    "previous_step": {"status": "completed", "output": None},
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{{ finding.title }}", "Weak TLS"),
        ("{{finding.cvss}}", 9.1),
        ("{{\tfinding.asset.tags\n}}", ["production", "web"]),
        ("{{ finding.asset }}", {"tags": ["production", "web"], "owner": None}),
        ("{{ finding.asset.owner }}", None),
        ("{{ finding.is-open }}", True),
        ("{{ finding.é }}", "accent"),
        ("{{ steps.step-1.output.items.0.id }}", 7),
        ("{{ steps.2.status }}", "failed"),
        ("CVSS {{ finding.cvss }}, {{finding.asset.tags}}", 'CVSS 9.1, ["production","web"]'),
        ("{{ finding.is-open }} {{ finding.asset.owner }}", "true null"),
        (" {{ parameters.count }}", " 3"),
        ('{"a":{"b":1}}', '{"a":{"b":1}}'),
        ('{"a":{{ parameters.count }}}', '{"a":3}'),
        ("${7*7} #{7*7} <%= 7*7 %> {0.__class__} {% if x %}", "${7*7} #{7*7} <%= 7*7 %> {0.__class__} {% if x %}"),
        ("{{ finding.tricky }}", "{{ finding.title }}"),
        ({"{{ kept }}": ["{{ parameters.count }}", 5, None]}, {"{{ kept }}": [3, 5, None]}),
    ],
)
def test_templates_are_filled_in_by_type(value: Any, expected: Any) -> None:
    assert resolve(value, CONTEXT) == expected


@pytest.mark.parametrize(
    "path",
    [
        "finding.__class__",
        "finding.title.upper",
        "finding.missing",
        "finding.asset.tags.2",
        "finding.asset.tags.-1",
        "finding.asset.tags.00",
        "finding.asset.tags.length",
        "finding.asset.owner.name",
        "unknown",
        "finding.asset.tags.__len__",
    ],
)
def test_a_path_that_leads_to_nothing_is_undefined(path: str) -> None:
    for text in (f"{{{{ {path} }}}}", f"a {{{{{path}}}}} b"):
        with pytest.raises(UndefinedPath) as error:
            resolve({"a": [text]}, CONTEXT)
        assert error.value.path == path
        assert path in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{7*7}}",
        "{{ x() }}",
        "{{ a|b }}",
        "{{ a.b() }}",
        "{{ finding.title",
        "a {{ b }} {{ c",
        "{{}}",
        "{{ }}",
        "{{ a b }}",
        "{{ a..b }}",
        "{{ .a }}",
        "{{ a. }}",
        "{{ 7 }}",
        "{{ a['b'] }}",
        "{{ 'a' }}",
        "{{{ a }}}",
        "{{ {{ a }} }}",
    ],
)
def test_what_is_no_dotted_path_does_not_parse(text: str) -> None:
    with pytest.raises(TemplateInvalid, match="At character"):
        parse_template(text)
    with pytest.raises(TemplateInvalid):
        paths_of(["fine", {"x": text}])


@pytest.mark.parametrize(
    "text",
    [
        "'production' in {{ finding.asset.tags }}",
        "'staging' not in finding.asset.tags",
        "finding.cvss >= 9 and finding.cvss < 9.2",
        "finding.cvss == 9.10",
        "parameters.count == 3.0",
        "parameters.count != '3'",
        "finding.is-open",
        'not finding.is-open or finding.title == "Weak TLS"',
        "not finding.title == 'x'",
        "(finding.is-open or finding.missing) and true",
        "false or (1 < 2) == true",
        "finding.asset.owner == null",
        "'TLS' in finding.title",
        "'tags' in finding.asset",
        "'{{ finding.title }}!' == 'Weak TLS!'",
        "'{{ parameters.count }}' == '3'",
        "'it\\'s \\\\' == \"it's \\\\\"",
        "-1 < 0",
        "'b' > 'a'",
        "previous_step.status == 'completed'",
        "steps.2.status == 'failed'",
    ],
)
def test_an_expression_holds(text: str) -> None:
    assert evaluate(parse_expression(text), CONTEXT) is True


@pytest.mark.parametrize(
    "text",
    [
        "finding.cvss > 9.1",
        "finding.is-open == 1",
        "finding.is-open == 'true'",
        "false and finding.missing",
        "3 in finding.asset.tags",
        "finding.asset == finding.asset.tags",
        "not true",
    ],
)
def test_an_expression_does_not_hold(text: str) -> None:
    assert evaluate(parse_expression(text), CONTEXT) is False


@pytest.mark.parametrize(
    "text",
    [
        "finding.title",
        "not 1",
        "1 and true",
        "finding.title > 5",
        "true > false",
        "5 in 6",
        "5 in finding.title",
        "null < 1",
    ],
)
def test_values_that_do_not_fit_are_an_error_and_never_false(text: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(parse_expression(text), CONTEXT)


def test_an_undefined_path_in_an_expression_is_named() -> None:
    with pytest.raises(UndefinedPath, match=r"finding\.nothing"):
        evaluate(parse_expression("finding.nothing != 'x'"), CONTEXT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a =",
        "a = 1",
        "a == ",
        "== 1",
        "a b",
        "a == 1 == 2",
        "a == 1 and",
        "(a",
        "a)",
        "a()",
        "a|b",
        "a[0]",
        "not",
        "a not b",
        "'open",
        "{{ a",
        "'{{ a' == 'x'",
        "{{ a() }} == 1",
        "a && b",
        "1 + 1 == 2",
        "05 == 5",
        "1e999 == 1",
        "5x == 5",
        "a in ['b']",
        "__import__('os')",
        "a == 1; b",
    ],
)
def test_what_is_no_expression_does_not_parse(text: str) -> None:
    with pytest.raises(TemplateInvalid):
        parse_expression(text)


@pytest.mark.parametrize("depth", [100, 3_000])
def test_deep_nesting_is_refused_and_not_a_recursion_error(depth: int) -> None:
    for text in ("(" * depth + "a" + ")" * depth, "not " * (depth // 2) * 2 + "a"):
        with pytest.raises(TemplateInvalid):
            parse_expression(text)


def test_a_hostile_text_takes_linear_time() -> None:
    started = time.perf_counter()
    for text in ("{{" + " " * 500_000, "{{ a" + ".a" * 250_000, "{" * 500_000):
        with pytest.raises(TemplateInvalid):
            parse_template(text)
    for text in ("'" + "\\" * 9_000, "{{ a" + ".a" * 4_000, "a" * 10_001):
        with pytest.raises(TemplateInvalid):
            parse_expression(text)
    assert time.perf_counter() - started < 5


def test_the_paths_of_values_and_expressions_are_known() -> None:
    assert paths_of({"a": ["{{ x.y }} and {{ z }}", 5], "{{ name }}": "{{ x.y }}"}) == {("x", "y"), ("z",)}
    assert paths_of(parse_expression("not (a.b == '{{ c }}') and {{ d.0 }} in e")) == {
        ("a", "b"),
        ("c",),
        ("d", "0"),
        ("e",),
    }


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


@given(JSON)
def test_a_value_is_put_in_as_it_is_and_never_read_again(value: Any) -> None:
    assert resolve("{{ v }}", {"v": value}) == value
    try:
        inside = resolve("<{{ v }}>", {"v": value})
    except UnicodeEncodeError:
        return  # half of a surrogate pair, which the strict reader lets nobody store
    assert inside == (f"<{value}>" if isinstance(value, str) else f"<{strict_json.dumps(value).decode()}>")
