"""manage.py check_playbook: what an import would say of a CACAO document, without storing it (CACAO.md 15)."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from accounts.selectors import tenant_for_command
from connectors import registry
from core.errors import DomainError
from executions.importing import catalogue_of
from playbooks.cacao.findings import pointer
from playbooks.cacao.importing import import_document
from playbooks.cacao.types import Catalogue, Finding, Imported, OperationInfo, Severity
from playbooks.services import as_json

FINE, FAULTY, UNREADABLE = 0, 1, 2
_WIDTH: Final = 110
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Command(BaseCommand):
    help = (
        "Check a CACAO playbook without storing it: all that an import would say, and what the checker finds - steps "
        "that nothing leads to, variables without a value, secrets in clear, values that cannot be quoted, commands "
        "without a target. docs/checker.md lists the codes. Exits with 0 when there are no errors (warnings and notes "
        "refuse nothing), with 1 when there are, with 2 when the file cannot be read or is no JSON."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="a CACAO 2.0 document; - reads standard input")
        parser.add_argument(
            "--level",
            choices=("strict", "lenient"),
            default="lenient",
            help="strict: every fault is an error; lenient (default): what an import can relax is a warning",
        )
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
        imported = import_document(octets, level=options["level"], catalogue=catalogue, now=timezone.now())
        if options["json"]:
            self.stdout.write(json.dumps(_told(imported), indent=2, ensure_ascii=False))
        else:
            self._print(name, imported)
        sys.exit(_code(imported))

    def _print(self, name: str, imported: Imported) -> None:
        shown = [finding for finding in imported.findings if not finding.suppressed]
        silenced = [finding for finding in imported.findings if finding.suppressed]
        names = _names_of_steps(imported.document)
        counts = Counter(finding.severity for finding in shown)
        for severity, style in (
            (Severity.ERROR, self.style.ERROR),
            (Severity.WARNING, self.style.WARNING),
            (Severity.NOTE, self.style.NOTICE),
        ):
            if counts[severity]:
                self._print_group(style(_counted(counts[severity], severity)), shown, severity, names)
        if silenced:
            self._print_group(f"{len(silenced)} silenced", silenced, None, names)
        verdict = "accepted" if imported.accepted else "refused"
        strict = ", strictly right" if imported.strict else ""
        told = ", ".join(_counted(counts[severity], severity) for severity in Severity)
        told += f", {len(silenced)} silenced" if silenced else ""
        style = self.style.SUCCESS if imported.accepted else self.style.ERROR
        self.stdout.write(style(f"{name}: {verdict} at level {imported.level}{strict}; {told}"))

    def _print_group(
        self, heading: str, findings: Sequence[Finding], severity: Severity | None, names: Mapping[str, str]
    ) -> None:
        """Print findings by code and message: what many places have in common is said once."""
        alike: dict[str, dict[str, list[str]]] = {}
        for finding in findings:
            if severity in (None, finding.severity):
                relaxed = f" Lenient reading: {finding.relaxed}." if finding.relaxed else ""
                messages = alike.setdefault(finding.code, {})
                messages.setdefault(f"{finding.message}{relaxed}", []).append(finding.pointer)
        self.stdout.write(heading)
        for code, messages in alike.items():
            self.stdout.write(f"  {code}")
            for message, places in messages.items():
                self._print_message(message, places, names)
        self.stdout.write("")

    def _print_message(self, message: str, places: Sequence[str], names: Mapping[str, str]) -> None:
        text = textwrap.fill(_plain(message), _WIDTH, initial_indent="    ", subsequent_indent="    ")
        self.stdout.write(text)
        for place in places:
            step = names.get("/".join(place.split("/", 3)[:3]), "")
            self.stdout.write(f"      at {_plain(place) or '/'}" + (f"  ({_plain(step)})" if step else ""))

    def _leave(self, message: str) -> None:
        self.stderr.write(self.style.ERROR(message))
        sys.exit(UNREADABLE)


def _counted(count: int, severity: Severity) -> str:
    return f"{count} {severity}{'' if count == 1 else 's'}"


def _plain(text: str) -> str:
    """Return text of the document so that it steers no terminal."""
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _names_of_steps(document: Any) -> dict[str, str]:
    """Return pointer -> name of the steps that have one."""
    workflow = document.get("workflow") if isinstance(document, dict) else None
    steps = workflow.items() if isinstance(workflow, dict) else ()
    return {
        pointer("workflow", key): step["name"]
        for key, step in steps
        if isinstance(step, dict) and isinstance(step.get("name"), str)
    }


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
    return Catalogue(operations=operations, command_types=registry.command_types(), connections=None)
