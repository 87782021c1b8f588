"""Compares the condition grammar and its evaluation with the samples of a `conditions.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from executions.conformance.files import read
from executions.conformance.verdicts import Verdict
from executions.engine.conditions import ConditionError, evaluate
from executions.matching import re2_search
from playbooks.cacao.conditions import NotACondition, parse

Variables = dict[str, tuple[str, Any]]


def judge(path: Path, name: str) -> list[Verdict]:
    """Return a verdict for every sample: ``syntax``, ``evaluation`` and ``prose``."""
    samples = read(path)
    variables: Variables = {n: (v["type"], v["value"]) for n, v in samples.get("variables", {}).items()}
    found = [_syntax(sample) for sample in samples.get("syntax", [])]
    found += [_evaluation(sample, variables) for sample in samples.get("evaluation", [])]
    found += [_prose(text, variables) for text in samples.get("prose", [])]
    return [
        Verdict(
            "condition", f"{name}: {condition}", () if told == expected else (f"expected {expected}, found {told}",)
        )
        for condition, expected, told in found
    ]


def _form(text: str, variables: Variables, *, lenient: bool) -> str:
    try:
        return parse(text, lenient=lenient, declared=variables).form
    except NotACondition:
        return "prose"


def _syntax(sample: dict[str, Any]) -> tuple[str, str, str]:
    text = sample["condition"]
    is_strict = _form(text, {}, lenient=False) == "strict"
    return text, f"strict: {sample['strict']}", f"strict: {is_strict}"


def _evaluation(sample: dict[str, Any], variables: Variables) -> tuple[str, str, str]:
    text = sample["condition"]
    expected = f"{sample['form']}: {sample['result']}"
    form = _form(text, variables, lenient=True)
    if form == "prose":
        return text, expected, "prose"
    tree = parse(text, lenient=True, declared=variables).ast
    try:
        result: bool | str = evaluate(tree, variables.get, match=re2_search)
    except ConditionError:
        result = "error"
    return text, expected, f"{form}: {result}"


def _prose(text: str, variables: Variables) -> tuple[str, str, str]:
    return text, "prose", _form(text, variables, lenient=True)
