"""Reads where a step leads: its pointers and its branches, as the lenient reading has them.

Source: CACAO.md 5, 12.2 (D8, D9), 12.5, 12.6 and the ``next-...``, ``branch...`` codes of 13.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from playbooks.cacao.findings import below
from playbooks.cacao.reading import Json, Reading
from playbooks.cacao.types import StepType


@dataclass(frozen=True)
class Pointers:
    """Where a step leads. Only what its type has is given; what names no step is left out."""

    on_completion: str | None = None
    on_success: str | None = None
    on_failure: str | None = None
    on_true: str | None = None
    on_false: str | None = None
    cases: Mapping[str, str] = field(default_factory=dict)
    next_steps: tuple[str, ...] = ()


def read_pointers(step: Json, kind: StepType, at: str, known: Mapping[str, Any], reading: Reading) -> Pointers:
    """Read the pointers of a step. ``known``: all steps, by id."""
    read = _Reader(step, at, known, reading)
    if kind == StepType.END:
        return _read_end(step, at, reading)
    if kind == StepType.START:
        return read.start()
    if kind == StepType.IF:
        return read.if_condition()
    if kind == StepType.WHILE:
        return read.while_condition()
    if kind == StepType.PARALLEL:
        return Pointers(*read.next(), next_steps=read.branches())
    if kind == StepType.SWITCH:
        return Pointers(*read.next(), cases=read.cases())
    return Pointers(*read.next())


def _read_end(step: Json, at: str, reading: Reading) -> Pointers:
    for name in ("on_completion", "on_success", "on_failure"):
        if step.get(name) is not None:
            message = f"An end step leads nowhere; leave `{name}` out."
            reading.report.relax("next-on-end", below(at, name), message, "ignored")
    return Pointers()


class _Reader:
    """The pointers of one step."""

    def __init__(self, step: Json, at: str, known: Mapping[str, Any], reading: Reading) -> None:
        self.step = step
        self.at = at
        self.known = known
        self.reading = reading
        self.report = reading.report

    def start(self) -> Pointers:
        success, failure = self.one("on_success"), self.one("on_failure")
        completion = self.one("on_completion")
        for name, target in (("on_success", success), ("on_failure", failure)):
            if self.step.get(name) is not None:
                message = f"A start step has `on_completion` only; `{name}` has no place there."
                is_read = name == "on_success" and completion is None and target is not None
                self.report.relax(
                    "next-on-start", below(self.at, name), message, "read as `on_completion`" if is_read else "ignored"
                )
        following = completion or success
        if following is None and not self._is_faulty("on_completion", "on_success"):
            self.report.refuse("start-without-next", self.at, "A start step leads on; give it `on_completion`.")
        return Pointers(on_completion=following)

    def next(self) -> tuple[str | None, str | None, str | None]:
        """Return on_completion, on_success, on_failure."""
        completion, success, failure = (self.one(name) for name in ("on_completion", "on_success", "on_failure"))
        if completion is not None and (success is not None or failure is not None):
            message = "`on_completion` excludes `on_success` and `on_failure`; give either it or those."
            reading = "`on_success` and `on_failure` first, `on_completion` for the result that has none of its own"
            self.report.relax("next-conflict", below(self.at, "on_completion"), message, reading)
        return completion, success, failure

    def if_condition(self) -> Pointers:
        true, false = self.one("on_true"), self.one("on_false")
        if true is None and self.step.get("on_true") is None and self.step.get("on_success") is not None:
            success, failure = self.one("on_success"), self.one("on_failure")
            message = "An if step has the branches `on_true` and `on_false`, not `on_success` and `on_failure`."
            reading = "`on_success` and `on_failure` are its branches"
            self.report.relax("if-outcome-branches", below(self.at, "on_success"), message, reading)
            return Pointers(on_completion=self.one("on_completion"), on_true=success, on_false=false or failure)
        self._needs_branch("on_true", true)
        return Pointers(*self.next(), on_true=true, on_false=false)

    def while_condition(self) -> Pointers:
        true, false = self.one("on_true"), self.one("on_false")
        self._needs_branch("on_true", true)
        completion, success, failure = self.next()
        if self.step.get("on_false") is not None:
            is_continuation = completion is None and success is None
            message = "A while step has no `on_false`; what follows the loop is `on_completion`."
            reading = "read as `on_completion`" if is_continuation else "ignored"
            self.report.relax("while-on-false", below(self.at, "on_false"), message, reading)
            if is_continuation:
                completion = false
        return Pointers(completion, success, failure, on_true=true)

    def branches(self) -> tuple[str, ...]:
        at = below(self.at, "next_steps")
        given = self.reading.items(self.step, "next_steps", self.at)
        found: dict[str, None] = {}
        for index, item in enumerate(given):
            target = self._resolved(item, "next_steps", below(at, index))
            if target in found:
                message = f"`{target}` stands twice in `next_steps`."
                self.report.relax("branches-duplicate", below(at, index), message, "a branch once")
            elif target is not None:
                found[target] = None
        if self.step.get("next_steps") in (None, []):
            self.report.refuse(
                "branches-none", self.at, "A parallel step has branches; list two or more in `next_steps`."
            )
        elif len(given) == 1:
            message = "A parallel step has two branches or more; here is one."
            self.report.relax("branches-too-few", at, message, "runs that one")
        return tuple(found)

    def cases(self) -> dict[str, str]:
        at = below(self.at, "cases")
        given = self.reading.members(self.step, "cases", self.at)
        if self.step.get("cases") in (None, {}):
            self.report.refuse(
                "branches-none", self.at, "A switch step has cases; give `cases` a step id for each value."
            )
        resolved = {key: self._resolved(item, key, below(at, key)) for key, item in given.items()}
        return {key: target for key, target in resolved.items() if target is not None}

    def one(self, name: str) -> str | None:
        """Return the step that a pointer names; None where it is absent, null, empty or wrong, which is reported."""
        value = self.step.get(name)
        if value is None or value == []:
            return None
        return self._resolved(value, name, below(self.at, name))

    def _resolved(self, value: object, name: str, at: str) -> str | None:
        if isinstance(value, list):
            if len(value) != 1 or not isinstance(value[0], str):
                message = f"`{name}` is a list of {len(value)}; one step id is needed."
                self.report.refuse("property-type", at, message)
                return None
            self.report.relax(
                "branch-as-list", at, f"`{name}` is a list; one step id is needed.", "the one in the list"
            )
            value = value[0]
        if not isinstance(value, str):
            self.reading.wrong(at, name, value, "a step id")
            return None
        if value not in self.known:
            message = f"`{value[:100]}` names no step of this workflow."
            self.report.refuse("step-unresolved", at, message)
            return None
        return value

    def _needs_branch(self, name: str, target: str | None) -> None:
        if target is None and not self._is_faulty(name):
            message = f"The step has no branch to run; give it `{name}`."
            self.report.refuse("branches-none", self.at, message)

    def _is_faulty(self, *names: str) -> bool:
        """Return whether one of these pointers is there and was refused already."""
        return any(self.step.get(name) not in (None, []) for name in names)
