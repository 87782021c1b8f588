"""Why a playbook is not stored."""

from __future__ import annotations

from typing import Any

from core.errors import Conflict, FieldError, Invalid
from playbooks.cacao.types import Finding, Imported, Severity
from playbooks.slugs import slug_of


class PlaybookRefused(Invalid):
    """The import did not accept the document; ``context['findings']`` says why."""

    code = "playbook_refused"


class PlaybookExists(Conflict):
    code = "playbook_exists"


class NameTaken(Conflict):
    code = "name_taken"


class VersionConflict(Conflict):
    """This version of the playbook is stored with another content (CACAO.md D30)."""

    code = "version_conflict"


class NameUnusable(Invalid):
    code = "name_unusable"


def refuse(imported: Imported) -> None:
    """Raise PlaybookRefused unless the import accepted the document."""
    if imported.accepted and imported.workflow is not None:
        return
    errors = [finding for finding in imported.findings if finding.severity == Severity.ERROR]
    fields = [FieldError(path=finding.pointer, message=finding.message) for finding in errors]
    message = errors[0].message if errors else "The document is no playbook that can be imported."
    if errors and errors[0].pointer:
        message = f"{errors[0].pointer}: {message}"
    raise PlaybookRefused(message, fields=fields, findings=imported.findings)


def as_json(finding: Finding) -> dict[str, Any]:
    """A finding as CACAO.md 13.5 shows it."""
    told: dict[str, Any] = {
        "code": finding.code,
        "severity": str(finding.severity),
        "pointer": finding.pointer,
        "message": finding.message,
    }
    if finding.relaxed is not None:
        told["relaxed"] = finding.relaxed
    if finding.suppressed:
        told["suppressed"] = True
    return told


def slug_for(name: str) -> str:
    """Return the slug a name makes. Raises NameUnusable for a name without letters and digits."""
    slug = slug_of(name)
    if not slug:
        message = "The name needs a letter from a to z or a digit: the playbook's id is made of it."
        raise NameUnusable(f"name: {message}", fields=[FieldError("name", message)])
    return slug
