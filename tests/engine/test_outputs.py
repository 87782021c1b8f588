"""How output reaches variables (CACAO.md 12.10)."""

from __future__ import annotations

from typing import Any

import pytest

from executions.engine.outputs import OutputInvalid, Written, variables_from
from playbooks.cacao.types import OutputMapping, Step, StepType, Value, Variable

VARIABLES = {
    variable.name: variable
    for variable in [
        Variable("__text__"),
        Variable("__count__", "integer"),
        Variable("__object__", "dictionary"),
        Variable("__rows__", "list"),
        Variable("__result__"),
        Variable("__stderr__"),
        Variable("__exit_code__", "integer"),
        Variable("__http_status__", "integer"),
        Variable("__soarca_ssh_result__"),
        Variable("__soarca_powershell_error__"),
        Variable("__fixed__", constant=True, value="x"),
        Variable("__sallyport_failed_step__"),
        Variable("__earlier__", "string", '{"a": [1, {"b": "deep"}]}'),
        Variable("__unknown__"),
        Variable("plain"),
    ]
}


def lookup(name: str) -> tuple[Variable, Value] | None:
    return (VARIABLES[name], VARIABLES[name].value) if name in VARIABLES else None


def written(out_args: list[str], output: Any = None, outputs: tuple[OutputMapping, ...] = (), **beside: Any) -> Written:
    step = Step("action--1", StepType.ACTION, out_args=tuple(out_args), outputs=outputs)
    return variables_from(step, lookup, output=output, **beside)


@pytest.mark.parametrize(
    ("out_args", "output", "values", "missing"),
    [
        (["__text__"], "6.1.0\n", {"__text__": "6.1.0"}, ()),
        (["__text__"], "a\n\n", {"__text__": "a\n"}, ()),
        (["__text__"], "a\r\n", {"__text__": "a"}, ()),
        (["__text__"], "", {"__text__": ""}, ()),
        (["__text__"], None, {}, ("__text__",)),
        (["__count__"], " 07 \n", {"__count__": "7"}, ()),
        (["__text__"], '{"other": 1}', {"__text__": '{"other": 1}'}, ()),
        (["__text__"], {"other": 1.50}, {"__text__": '{"other":1.5}'}, ()),
        (["__text__", "__count__"], "plain text", {}, ("__text__", "__count__")),
        (["__text__", "__count__"], '{"text":"x","count":3}', {"__text__": "x", "__count__": "3"}, ()),
        (["__text__", "__count__"], '{"__count__":4,"count":3}', {"__count__": "4"}, ("__text__",)),
        (["__text__", "__count__"], '{"text":null}', {"__text__": None}, ("__count__",)),
        (["__text__"], '{"text":{"a":[1]}}', {"__text__": '{"a":[1]}'}, ()),
        (["__object__"], '{"object":{"a":1}}', {"__object__": {"a": 1}}, ()),
        (["__object__"], '{"a":1}', {"__object__": {"a": 1}}, ()),
        (["__rows__"], "[1,2]", {"__rows__": [1, 2]}, ()),
        (["plain"], '{"plain":"y"}', {"plain": "y"}, ()),
        (["__result__", "__count__"], '{"count":3}', {"__result__": '{"count":3}', "__count__": "3"}, ()),
        (["__soarca_ssh_result__", "__text__"], "out\n", {"__soarca_ssh_result__": "out"}, ("__text__",)),
        (
            ["__text__", "__count__"],
            "x\nsoarca:__count__=5\r\nsoarca:__text__=a=b\n",
            {"__text__": "a=b", "__count__": "5"},
            (),
        ),
        (["__text__"], "soarca:__text__=only this\nrest", {"__text__": "only this"}, ()),
        (["__text__", "__count__"], " soarca:__count__=5", {}, ("__text__", "__count__")),
        (["__stderr__"], "out", {}, ("__stderr__",)),
    ],
)
def test_the_first_source_that_has_a_value_gives_it(
    out_args: list[str], output: Any, values: dict[str, Value], missing: tuple[str, ...]
) -> None:
    assert written(out_args, output) == Written(values, missing)


def test_what_stands_beside_the_output_has_names_of_its_own() -> None:
    names = ["__stderr__", "__soarca_powershell_error__", "__exit_code__", "__http_status__", "__result__"]
    result = written(names, "o", stderr="e\n", exit_code=0, status=204)
    assert result.values == dict(zip(names, ["e", "e", "0", "204", "o"], strict=True))


def test_one_value_of_the_wrong_type_and_nothing_is_written() -> None:
    with pytest.raises(OutputInvalid) as error:
        written(["__text__", "__count__"], '{"text":"x","count":"several"}')
    assert error.value.name == "__count__"
    assert "several" not in str(error.value)


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        (OutputMapping("__count__", path=("data", "rows", "1")), "2"),
        (OutputMapping("__count__", path=("data", "rows", -1)), "2"),
        (OutputMapping("__text__", path=("data",)), '{"rows":[1,2]}'),
        (OutputMapping("__text__", path=("none",)), None),
        (OutputMapping("__text__", path=("a/b", "~")), "odd keys"),
        (OutputMapping("__object__"), {"data": {"rows": [1, 2]}, "none": None, "a/b": {"~": "odd keys"}}),
        (OutputMapping("__count__", source="exit_code"), "3"),
        (OutputMapping("__count__", source="status"), "200"),
        (OutputMapping("__text__", source="header:x-request-id"), "r-1"),
        (OutputMapping("__text__", source="stderr"), '{"warning":1}'),
        (OutputMapping("__count__", source="stderr", path=("warning",)), "1"),
        (OutputMapping("__text__", path=("a", 1, "b"), variable="__earlier__"), "deep"),
    ],
)
def test_a_mapping_takes_its_part(mapping: OutputMapping, expected: Value) -> None:
    output = '{"data":{"rows":[1,2]},"none":null,"a/b":{"~":"odd keys"}}'
    beside = {"stderr": '{"warning":1}\n', "exit_code": 3, "status": 200, "headers": {"X-Request-Id": "r-1"}}
    assert written([], output, (mapping,), **beside) == Written({mapping.name: expected})


@pytest.mark.parametrize(
    "mapping",
    [
        OutputMapping("__count__", path=("data",)),
        OutputMapping("__text__", path=("data", "missing")),
        OutputMapping("__text__", path=("list", "2")),
        OutputMapping("__text__", path=("list", "01")),
        OutputMapping("__text__", path=("list", "-")),
        OutputMapping("__text__", path=("text", "x")),
        OutputMapping("__text__", source="exit_code"),
        OutputMapping("__text__", source="header:x"),
        OutputMapping("__text__", source="stderr", path=("a",)),
        OutputMapping("__text__", source="elsewhere"),
        OutputMapping("__text__", variable="__unknown__"),
        OutputMapping("__text__", variable="__nowhere__", path=("a",)),
        OutputMapping("__text__", supported=False),
        OutputMapping("__fixed__", path=("text",)),
        OutputMapping("__sallyport_failed_step__", path=("text",)),
        OutputMapping("__nowhere__", path=("text",)),
    ],
)
def test_a_mapping_that_finds_nothing_fails_the_step(mapping: OutputMapping) -> None:
    with pytest.raises(OutputInvalid):
        written(["__result__"], '{"data":{},"list":[1,2],"text":"t"}', (mapping,), stderr="no json")


def test_a_mapping_into_output_that_is_no_json_fails_the_step() -> None:
    with pytest.raises(OutputInvalid, match="not JSON"):
        written([], "plain", (OutputMapping("__text__", path=("a",)),))


def test_a_mapping_comes_before_every_other_source() -> None:
    mapping = OutputMapping("__text__", path=("elsewhere",))
    assert written(["__text__"], '{"text":"by name","elsewhere":"by mapping"}', (mapping,)).values == {
        "__text__": "by mapping"
    }


@pytest.mark.parametrize("name", ["__fixed__", "__nowhere__", "__sallyport_failed_step__"])
def test_what_may_not_be_written_is_refused(name: str) -> None:
    with pytest.raises(OutputInvalid):
        written([name], "x")


def test_output_that_no_store_takes_is_invalid() -> None:
    with pytest.raises(OutputInvalid, match=r"U\+0000"):
        written(["__text__"], "a\x00b")
