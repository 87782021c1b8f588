"""Looks at every object of a document for what is there: unknown properties, nulls, empty collections, words.

Source: CACAO.md 3, 13.3 (``empty-collection``, ``schema``), 13.4 and 17.
"""

from __future__ import annotations

from collections.abc import Collection

from playbooks.cacao import shapes, vocabularies
from playbooks.cacao.findings import Report, below
from playbooks.cacao.reading import Json

#: where another code says what is missing
_MAY_BE_EMPTY = frozenset({"workflow", "next_steps", "cases"})


def inspect_document(document: Json, report: Report) -> None:
    """Report on everything but the members of `workflow`, of variables and of definitions, which have their readers."""
    inspect(document, shapes.PLAYBOOK, "", report)
    check_words(document, "playbook_types", vocabularies.PLAYBOOK_TYPES, "", report)
    check_words(document, "playbook_activities", vocabularies.ACTIVITIES, "", report)
    check_words(document, "industry_sectors", vocabularies.INDUSTRY_SECTORS, "", report)
    summary = document.get("playbook_processing_summary")
    if isinstance(summary, dict):
        inspect(summary, shapes.SUMMARY, "/playbook_processing_summary", report)
    inspect_references(document, "", report)
    _signatures(document, report)


def inspect(value: Json, shape: Collection[str] | None, at: str, report: Report, skip: Collection[str] = ()) -> None:
    """Report unknown properties, nulls and empty collections. ``shape`` None: all properties are known."""
    for name, item in value.items():
        if shape is not None and name not in shape:
            message = f"`{name}` is no property of this object; it is kept and not used."
            report.warn("property-unknown", below(at, name), message)
        elif name in skip:
            continue
        elif item is None:
            report.relax("schema", below(at, name), f"`{name}` is null; leave it out instead.", "as absent")
        elif isinstance(item, dict | list) and not item and name not in _MAY_BE_EMPTY:
            message = f"`{name}` is empty; a property that is present holds something."
            report.relax("empty-collection", below(at, name), message, "as absent")


def inspect_references(owner: Json, at: str, report: Report) -> None:
    """Report on the external references of one object."""
    references = owner.get("external_references")
    for index, reference in enumerate(references if isinstance(references, list) else ()):
        if not isinstance(reference, dict):
            continue
        place = below(at, "external_references", index)
        inspect(reference, shapes.EXTERNAL_REFERENCE, place, report)
        if not any(reference.get(name) for name in shapes.EXTERNAL_REFERENCE if name != "name"):
            message = "An external reference gives at least one of description, source, url, external_id, reference_id."
            report.warn("external-reference-thin", place, message)


def check_word(word: object, known: Collection[str], at: str, report: Report) -> None:
    """Report a word that is in no open vocabulary."""
    if isinstance(word, str) and word not in known:
        report.warn("vocabulary", at, f"`{word[:100]}` is not in the vocabulary; it is kept.")


def check_words(owner: Json, name: str, known: Collection[str], at: str, report: Report) -> None:
    """Report the words of one list that are in no open vocabulary."""
    words = owner.get(name)
    for index, word in enumerate(words if isinstance(words, list) else ()):
        check_word(word, known, below(at, name, index), report)


def _signatures(document: Json, report: Report) -> None:
    given = document.get("signatures")
    pending = [(below("/signatures", i), s) for i, s in enumerate(given if isinstance(given, list) else ())]
    while pending:
        at, signature = pending.pop()
        if not isinstance(signature, dict):
            continue
        inspect(signature, shapes.SIGNATURE, at, report)
        check_word(signature.get("algorithm"), vocabularies.SIGNATURE_ALGORITHMS, below(at, "algorithm"), report)
        pending.append((below(at, "signature"), signature.get("signature")))
