"""One text with ``{{ dotted.path }}`` in it, and what a path reaches.

Source: contracts/s4e.md, templates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from core import strict_json
from core.errors import Invalid
from executions.engine.apart import STORED_DEPTH, whole, whole_within

Path = tuple[str, ...]

#: A name, then keys and indexes: letters, digits, ``_`` and ``-``.
PATH: Final = r"[^\W\d][\w-]*(?:\.[\w-]+)*"
PLACEHOLDER: Final = re.compile(rf"\{{\{{\s*({PATH})\s*\}}\}}")
_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")
_ABSENT: Final = object()


class TemplateInvalid(Invalid):
    """A template or expression that does not parse: a call, a filter, an open brace. The message says where."""

    code = "template_invalid"


class UndefinedPath(Exception):
    """A path leads to nothing. ``path`` is as written, such as ``finding.title``."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is not defined.")
        self.path = path


@dataclass(frozen=True)
class Template:
    """A text cut into literal text and paths."""

    pieces: tuple[str | Path, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(piece for piece in self.pieces if isinstance(piece, tuple))

    def value(self, context: Mapping[str, Any]) -> Any:
        """Return what the text stands for: the value itself where the text is one template only, else text.

        Raises UndefinedPath.
        """
        if len(self.pieces) == 1 and isinstance(self.pieces[0], tuple):
            return reach(self.pieces[0], context)
        return self.text(context)

    def text(self, context: Mapping[str, Any]) -> str:
        """Return the text with every value written into it, what is no text as JSON. Raises UndefinedPath."""
        return "".join(piece if isinstance(piece, str) else written(reach(piece, context)) for piece in self.pieces)


def parse_template(text: str) -> Template:
    """Cut ``text`` at its templates. ``}}`` without ``{{`` before it is plain text. Raises TemplateInvalid."""
    pieces: list[str | Path] = []
    end = 0
    while (start := text.find("{{", end)) >= 0:
        match = PLACEHOLDER.match(text, start)
        if match is None:
            raise TemplateInvalid(
                f"At character {start + 1} stands {text[start : start + 40]!r}; a template is a dotted path in braces, "
                "such as {{ finding.title }}, without calls or filters."
            )
        if start > end:
            pieces.append(text[end:start])
        pieces.append(tuple(match[1].split(".")))
        end = match.end()
    if end < len(text):
        pieces.append(text[end:])
    return Template(tuple(pieces))


def reach(path: Path, context: Mapping[str, Any]) -> Any:
    """Return the stored value that ``path`` leads to: a key of an object, or the index of a list, at each step.

    What is stored apart is read where the path goes through it. Raises UndefinedPath, and Damaged.
    """
    value: Any = context
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(step, _ABSENT)
        elif isinstance(value, list | tuple) and _INDEX.fullmatch(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            value = _ABSENT
        if value is _ABSENT:
            raise UndefinedPath(".".join(path))
        value = whole(value)
    return whole_within(value, depth=max(0, STORED_DEPTH - len(path)))


def written(value: Any) -> str:
    """Return ``value`` as it stands inside text."""
    return value if isinstance(value, str) else strict_json.dumps(value).decode()
