"""Templates and expressions of S4E playbooks: typed substitution of stored data, and no template engine.

Source: contracts/s4e.md, templates; SECURITY.md SEC-09, SEC-10. A path reaches keys of stored data only, never
attributes of the interpreter, and what is put in is never read as a template again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from executions.engine.expressions import Expression, ExpressionError, evaluate, parse_expression, paths_in
from executions.engine.template_text import Path, Template, TemplateInvalid, UndefinedPath, parse_template

__all__ = [
    "Expression",
    "ExpressionError",
    "Template",
    "TemplateInvalid",
    "UndefinedPath",
    "evaluate",
    "parse_expression",
    "parse_template",
    "paths_of",
    "resolve",
]


def resolve(value: Any, context: Mapping[str, Any]) -> Any:
    """Return a JSON value with the templates in all its texts replaced; names of members are left alone.

    A text that is one template only becomes the value that it names, with its type. Inside text, what is no text is
    written as JSON.

    Raises UndefinedPath, and TemplateInvalid for a text that was never checked.
    """
    if isinstance(value, str):
        return parse_template(value).value(context) if "{{" in value else value
    if isinstance(value, Mapping):
        return {name: resolve(member, context) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(element, context) for element in value]
    return value


def paths_of(value: Any) -> set[Path]:
    """Return the paths that a parsed expression, or the texts of a JSON value, read. Raises TemplateInvalid."""
    if isinstance(value, Expression):
        return set(paths_in(value))
    if isinstance(value, str):
        return set(parse_template(value).paths)
    if isinstance(value, Mapping):
        return {path for member in value.values() for path in paths_of(member)}
    if isinstance(value, list | tuple):
        return {path for element in value for path in paths_of(element)}
    return set()
