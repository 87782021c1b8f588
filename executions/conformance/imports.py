"""Imports every playbook at both levels, round-trips it, and compares with `import.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accounts.models import Tenant
from core.actors import SYSTEM
from core.errors import DomainError
from core.strict_json import digest, loads
from executions.conformance.verdicts import Verdict
from executions.importing import catalogue_of, import_playbook
from executions.statements import database_now
from playbooks.cacao.findings import RELAXED
from playbooks.cacao.importing import import_document
from playbooks.cacao.types import Imported, Severity
from playbooks.selectors import document_of


def judge(path: Path, name: str, entry: dict[str, Any] | None, *, tenants: dict[str, Tenant]) -> list[Verdict]:
    """Return one verdict a level. ``tenants``: a fresh one for each level."""
    octets = path.read_bytes()
    verdicts = []
    for level in ("strict", "lenient"):
        imported = import_document(octets, level=level, catalogue=catalogue_of(tenants[level]))
        problems = [
            *_check_result(imported, entry, level),
            *_round_trip(octets, imported, entry, tenants[level], level),
        ]
        verdicts.append(Verdict("import", f"{name} ({level})", tuple(problems)))
    return verdicts


def _codes(imported: Imported, *severities: Severity) -> set[str]:
    return {finding.code for finding in imported.findings if finding.severity in severities}


def _check_result(imported: Imported, entry: dict[str, Any] | None, level: str) -> list[str]:
    if entry is None:
        return []  # any clear answer is right
    expected = entry[level]
    if imported.accepted != expected["accepted"]:
        return [f"accepted: expected {expected['accepted']}, found {imported.accepted}; {_told(imported)}"]
    if imported.accepted:
        return _compare_relaxations(imported, entry, level)
    errors = _codes(imported, Severity.ERROR)
    if entry["lenient"]["accepted"]:
        return _differ("errors", set(entry["lenient"]["relaxations"]), errors)
    problems = [] if errors and errors <= set(entry["strict"]["errors"]) else [f"errors: found {sorted(errors)}"]
    if level == "lenient" and not errors & set(entry["lenient"]["errors"]):
        problems.append(f"errors: none of {sorted(entry['lenient']['errors'])} was found")
    return problems


def _compare_relaxations(imported: Imported, entry: dict[str, Any], level: str) -> list[str]:
    found = _codes(imported, Severity.WARNING, Severity.NOTE) & RELAXED
    expected = set(entry["lenient"]["relaxations"]) if level == "lenient" else set()
    return _differ("relaxations", expected, found)


def _differ(what: str, expected: set[str], found: set[str]) -> list[str]:
    return [] if expected == found else [f"{what}: expected {sorted(expected)}, found {sorted(found)}"]


def _told(imported: Imported) -> str:
    return "; ".join(f"{f.code} at {f.pointer or '/'}" for f in imported.findings if f.severity == Severity.ERROR)


def _round_trip(
    octets: bytes, imported: Imported, entry: dict[str, Any] | None, tenant: Tenant, level: str
) -> list[str]:
    if not imported.accepted:
        return []
    try:
        version, _ = import_playbook(
            tenant=tenant, octets=octets, mode="version", actor=SYSTEM, now=database_now(), level=level
        )
    except DomainError as error:
        return [f"not stored: {error.message}"]
    exported = document_of(version, reveal=True)
    found = digest(loads(exported, allow_nul=True))
    expected = entry["jcs_sha256"] if entry else digest(loads(octets, allow_nul=True))
    return [] if found == expected else [f"round trip: expected {expected}, found {found}"]
