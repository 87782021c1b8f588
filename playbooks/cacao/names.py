"""The variable names that a document declares, sorted so that texts are searched for few of them.

Source: CACAO.md 9 and 13.3 (``variable-name``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from playbooks.cacao import references
from playbooks.cacao.findings import Report
from playbooks.cacao.reading import Json

#: Names that a text does not give away are looked for one by one; a playbook with more of them is no playbook.
MAX_IRREGULAR: Final = 200

_WORD = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Names:
    """``regular``: names that are found in a text by how they look. ``irregular``: the others."""

    regular: frozenset[str] = frozenset()
    irregular: frozenset[str] = frozenset()

    def near(self, text: str) -> frozenset[str]:
        """Return the declared names that ``text`` may mean, in any form that the lenient reading knows."""
        words = set(_WORD.findall(text))
        return self.irregular | (self.regular & (words | {f"__{word}__" for word in words}))


def declared_in(document: Json) -> Names:
    """Return every name that the playbook or one of its steps declares."""
    names = dict.fromkeys(_declared(document))
    regular = {name for name in names if references.names_in(f"{name}:value") == (name,)}
    irregular = [name for name in names if name and name not in regular]
    return Names(frozenset(regular), frozenset(irregular[:MAX_IRREGULAR]))


def _declared(document: Json) -> Iterator[str]:
    workflow = document.get("workflow")
    owners: list[tuple[Any, str]] = [(document, "playbook_variables")]
    owners += [(step, "step_variables") for step in workflow.values()] if isinstance(workflow, dict) else []
    for owner, name in owners:
        variables = owner.get(name) if isinstance(owner, dict) else None
        yield from variables if isinstance(variables, dict) else ()


def note_names(texts: Iterable[str | None], at: str, names: Names, reads: dict[str, str], report: Report) -> None:
    """Put the names that ``texts`` refer to into ``reads``, and report those that are written without ``:value``."""
    for text in texts:
        if not text or ("__" not in text and not names.irregular):
            continue
        for name in references.names_in(text, names.irregular, dollars=True):
            reads.setdefault(name, at)
        for name in references.without_value(text, names.irregular):
            message = f"`{name[:100]}` without `:value` is plain text; `{name[:100]}:value` is its value."
            report.warn("reference-without-value", at, message)


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text inside a JSON value."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
