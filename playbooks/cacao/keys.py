"""Keys and types of the dictionaries of definitions.

Source: CACAO.md 3 and 13.3 (``identifier-format``, ``identifier-prefix``).
"""

from __future__ import annotations

from playbooks.cacao.findings import below
from playbooks.cacao.identifiers import is_identifier
from playbooks.cacao.reading import Json, Reading
from playbooks.cacao.schema import contradicts_key


def check_key(key: str, at: str, odd_keys: set[str], reading: Reading) -> None:
    """Report a dictionary's key that is no identifier."""
    if not is_identifier(key):
        odd_keys.add(key)
        message = f"The key `{key[:100]}` is no identifier; `type--UUID` is needed, the UUID of version 1 to 5."
        reading.report.relax("identifier-format", at, message, "used as opaque text")


def read_type(given: Json, key: str, dictionary: str, at: str, reading: Reading) -> str:
    kind = reading.text(given, "type", at)
    if given.get("type") is None:
        reading.report.relax("schema", below(at, "type"), "A definition needs a `type`.", "an unknown type")
    if kind is not None and contradicts_key(kind, key, dictionary):
        message = f"The type is `{kind[:100]}`, but the key begins with another type's name."
        reading.report.relax("identifier-prefix", at, message, "the type counts")
    return kind or ""
