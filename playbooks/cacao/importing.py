"""Imports a playbook: octets in; findings, and where it is accepted the workflow that the engine runs, out.

Pure: no clock, no database, nothing fetched. Source: CACAO.md 13.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from core import strict_json
from playbooks.cacao import check, schema, workflows
from playbooks.cacao.definitions import Definitions, read_definitions
from playbooks.cacao.findings import Report, as_level
from playbooks.cacao.markings import check_extensions, check_markings
from playbooks.cacao.metadata import Metadata, check_kind, check_metadata, check_workflow
from playbooks.cacao.names import declared_in
from playbooks.cacao.reading import Reading
from playbooks.cacao.signature_findings import check_signatures
from playbooks.cacao.steps import Context
from playbooks.cacao.summary import check_summary
from playbooks.cacao.types import Catalogue, Finding, Imported, Workflow

MAX_OCTETS: Final = 5 * 1024 * 1024
#: uses of names, over all steps
MAX_USES: Final = 200_000


@dataclass(frozen=True)
class _Read:
    """What could be read of a document, refused or not."""

    document: Any = None
    workflow: Workflow | None = None
    metadata: Metadata = field(default_factory=Metadata)
    secrets: Mapping[str, str] | None = None
    checked: tuple[Finding, ...] = ()  # what the checker says, which refuses nothing


def import_document(octets: bytes, *, level: str, catalogue: Catalogue, now: datetime | None = None) -> Imported:
    """Read, validate and compile one CACAO playbook; never raises for what the octets hold.

    ``level``: at "strict" a fault that could be relaxed refuses, at "lenient" it is a warning (13.1). ``now`` decides
    ``outside-validity`` and what signatures are worth; without it both are left out.
    The result holds no workflow where it is refused.

    Raises ValueError for another level.
    """
    report = Report(as_level(level))
    read = _read(octets, report, catalogue, now)
    is_accepted = not report.is_refused
    return Imported(
        accepted=is_accepted,
        level=level,
        strict=is_accepted and report.is_strict,
        findings=_ordered((*report.findings, *read.checked)),
        document=read.document,
        workflow=read.workflow if is_accepted else None,
        playbook_id=read.metadata.id,
        version=read.metadata.version,
        jcs_sha256=strict_json.digest(read.document) if is_accepted else None,
        secrets=read.secrets or {},
    )


def _read(octets: bytes, report: Report, catalogue: Catalogue, now: datetime | None) -> _Read:
    if len(octets) > MAX_OCTETS:
        message = f"The document has {len(octets)} octets; at most {MAX_OCTETS} are read."
        report.refuse("document-too-large", "", message)
        return _Read()
    try:
        # U+0000 stays in the document; it is refused where the value would be sent.
        document = strict_json.loads(octets, allow_nul=True)
    except strict_json.JsonInvalid as error:
        report.refuse("json-invalid", "", error.message)
        return _Read()
    playbook = check_kind(document, report)
    if playbook is None or check_workflow(playbook, report) is None:
        return _Read(document)
    return _read_playbook(octets, playbook, Reading(report), catalogue, now)


def _read_playbook(
    octets: bytes, document: Mapping[str, Any], reading: Reading, catalogue: Catalogue, now: datetime | None
) -> _Read:
    metadata = check_metadata(document, reading, now)
    names = declared_in(document)
    definitions = read_definitions(document, names, reading)
    if _uses(document["workflow"], definitions) > MAX_USES:
        message = f"Its steps read variables in more than {MAX_USES} places; split definitions that many steps share."
        reading.report.refuse("document-too-large", "/workflow", message)
        return _Read(document)
    context = Context(document["workflow"], definitions, catalogue, names, reading)
    workflow = workflows.compile_workflow(document, metadata.id, context)
    if workflow is not None:
        workflow = replace(
            workflow,
            agents=definitions.agents,
            targets=definitions.targets,
            authentication=definitions.authentication,
        )
    check_markings(document, reading)
    check_extensions(document, reading)
    check_summary(document, reading.report)
    if now is not None:
        check_signatures(document, reading.report, now)
    schema.check(octets, reading.report, known_keys=frozenset(definitions.odd_keys | document["workflow"].keys()))
    checked = check.check(document, workflow, catalogue) if workflow is not None else []
    return _Read(document, workflow, metadata, definitions.secrets, tuple(checked))


def _uses(workflow: Mapping[str, Any], definitions: Definitions) -> int:
    """Return how often steps read what their agents and targets name: small documents can hold millions (SEC-48)."""
    uses = 0
    for step in workflow.values():
        agent, targets = step.get("agent"), step.get("targets")
        uses += len(definitions.agent_reads.get(agent, ())) if isinstance(agent, str) else 0
        named = targets if isinstance(targets, list) else ()
        uses += sum(len(definitions.target_reads.get(target, ())) for target in named if isinstance(target, str))
    return uses


def _ordered(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return errors first, then warnings, then notes; inside each in the order in which they were made."""
    rank = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(findings, key=lambda finding: rank[finding.severity]))
