"""manage.py check_playbook: what an import would say of a CACAO document, without storing it (CACAO.md 15)."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser

from accounts.selectors import tenant_for_command
from connectors import registry
from core.errors import DomainError
from executions.importing import catalogue_of
from playbooks.cacao.importing import import_document
from playbooks.cacao.types import Catalogue, Finding, Imported, OperationInfo, Severity
from playbooks.services import as_json

FINE, FAULTY, UNREADABLE = 0, 1, 2
_MARKS: Final = {Severity.ERROR: "error  ", Severity.WARNING: "warning", Severity.NOTE: "note   "}


class Command(BaseCommand):
    help = "Check a CACAO playbook. Exits with 0 when there are no errors, 1 with errors, 2 when it cannot be read."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="a CACAO 2.0 document; - reads stdin")
        parser.add_argument("--level", choices=("strict", "lenient"), default="lenient")
        parser.add_argument("--json", action="store_true", help="print what an import would answer, as JSON")
        parser.add_argument("--tenant", help="slug of a tenant whose playbooks and connections are to be known")

    def handle(self, *_: Any, **options: Any) -> None:
        name = options["file"]
        try:
            octets = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
            catalogue = catalogue_of(tenant_for_command(options["tenant"])) if options["tenant"] else _installed()
        except OSError as error:
            self._leave(f"{name} cannot be read: {error.strerror}.")
        except DomainError as error:
            self._leave(error.message)
        imported = import_document(octets, level=options["level"], catalogue=catalogue)
        if options["json"]:
            self.stdout.write(json.dumps(_told(imported), indent=2, ensure_ascii=False))
        else:
            self._print(name, imported)
        sys.exit(_code(imported))

    def _print(self, name: str, imported: Imported) -> None:
        for finding in imported.findings:
            self.stdout.write(self._line(finding))
        counts = Counter(finding.severity for finding in imported.findings if not finding.suppressed)
        verdict = "accepted" if imported.accepted else "refused"
        strict = ", strictly right" if imported.strict else ""
        told = ", ".join(f"{counts[severity]} {severity}{'s' * (counts[severity] != 1)}" for severity in _MARKS)
        style = self.style.SUCCESS if imported.accepted else self.style.ERROR
        self.stdout.write(style(f"{name}: {verdict} at level {imported.level}{strict}; {told}"))

    def _line(self, finding: Finding) -> str:
        styles = {Severity.ERROR: self.style.ERROR, Severity.WARNING: self.style.WARNING}
        mark = styles.get(finding.severity, self.style.NOTICE)(_MARKS[finding.severity])
        relaxed = f" Read as: {finding.relaxed}." if finding.relaxed else ""
        silenced = " (silenced)" if finding.suppressed else ""
        return f"{mark}  {finding.code}{silenced}  {finding.pointer or '/'}\n         {finding.message}{relaxed}"

    def _leave(self, message: str) -> None:
        self.stderr.write(self.style.ERROR(message))
        sys.exit(UNREADABLE)


def _code(imported: Imported) -> int:
    errors = {finding.code for finding in imported.findings if finding.severity == Severity.ERROR}
    if errors & {"json-invalid", "document-too-large"}:
        return UNREADABLE
    return FAULTY if errors else FINE


def _told(imported: Imported) -> dict[str, Any]:
    return {
        "accepted": imported.accepted,
        "level": imported.level,
        "strict": imported.strict,
        "playbook_id": imported.playbook_id,
        "version": imported.version,
        "findings": [as_json(finding) for finding in imported.findings],
    }


def _installed() -> Catalogue:
    """What every tenant has: no database is asked."""
    operations = {
        spec.name: OperationInfo(spec.name, spec.effect.value, spec.reference, spec.inputs, spec.destructive)
        for spec in registry.operations().values()
    }
    return Catalogue(operations=operations, command_types=registry.command_types())
