"""Reading the text of a condition into a tree.

Source: CACAO.md 14. What neither grammar reads is prose, which a person decides (D18). The tree's shape is told in
`playbooks.cacao.condition_tree`; `executions.engine.conditions` evaluates it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from playbooks.cacao.condition_lenient import LenientParser
from playbooks.cacao.condition_strict import parse_strict
from playbooks.cacao.condition_tree import MAX_LENGTH, NotACondition, Tree, variables_in

__all__ = ["NotACondition", "Parsed", "Tree", "parse", "switch_variable", "variables_in"]


@dataclass(frozen=True)
class Parsed:
    """A condition that a machine can decide. ``form``: the grammar that reads it."""

    ast: Tree
    form: Literal["strict", "lenient"]


def parse(text: str, *, lenient: bool, declared: Collection[str] = ()) -> Parsed:
    """Read one condition; the lenient grammar (14.3) is asked only where the strict one refuses (D37).

    ``declared``: names of the variables in sight, by which the lenient grammar knows a variable without ``:value``.

    Raises NotACondition, also for one that is too long or nested too deeply to be evaluated.
    """
    if len(text) > MAX_LENGTH:
        raise NotACondition(f"A condition has at most {MAX_LENGTH} characters.")
    try:
        return Parsed(ast=parse_strict(text), form="strict")
    except NotACondition:
        if not lenient:
            raise
    return Parsed(ast=LenientParser(text, declared).parse(), form="lenient")


def switch_variable(text: str, *, declared: Collection[str] = ()) -> tuple[str, bool] | None:
    """Return the variable that a ``switch`` names, and whether it is named strictly; None for no variable.

    Strict is ``__name__:value``; lenient are ``__name__``, ``$$name$$`` and a bare name that is declared (13.3,
    ``switch-lenient``).
    """
    return LenientParser(text, declared).only_variable()
