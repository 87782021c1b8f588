"""The playbook processing summary, computed.

Source: CACAO.md 3, D1.
"""

from __future__ import annotations

from playbooks.cacao.findings import Report, pointer
from playbooks.cacao.markings import extension_uses
from playbooks.cacao.reading import Json
from playbooks.cacao.shapes import SUMMARY


def summary_of(document: Json) -> dict[str, bool]:
    """Return all eleven flags for ``document``, in the standard's order."""
    workflow = document.get("workflow")
    steps = [step for step in workflow.values() if isinstance(step, dict)] if isinstance(workflow, dict) else []
    kinds = {step.get("type") for step in steps if isinstance(step.get("type"), str)}
    commands = [command for step in steps for command in _list(step.get("commands")) if isinstance(command, dict)]
    signatures = _list(document.get("signatures"))
    flags = {
        "manual_playbook": bool(commands) and all(command.get("type") == "manual" for command in commands),
        "external_playbooks": "playbook-action" in kinds,
        "parallel_processing": "parallel" in kinds,
        "if_logic": "if-condition" in kinds,
        "while_logic": "while-condition" in kinds,
        "switch_logic": "switch-condition" in kinds,
        "temporal_logic": any(step.get("delay") or step.get("timeout") for step in steps),
        "data_markings": bool(document.get("markings")),
        "digital_signatures": bool(signatures),
        "countersigned_signatures": any(isinstance(one, dict) and "signature" in one for one in signatures),
        "extensions": bool(extension_uses(document)),
    }
    return {name: flags[name] for name in SUMMARY}


def check_summary(document: Json, report: Report) -> None:
    """Report each flag that is given and differs; an absent one counts as false."""
    given = document.get("playbook_processing_summary")
    if not isinstance(given, dict):
        return
    for name, flag in summary_of(document).items():
        said = given.get(name, False)
        if isinstance(said, bool) and said is not flag:
            place = pointer("playbook_processing_summary", *([name] if name in given else []))
            message = f"`{name}` says {str(said).lower()}, but it is {str(flag).lower()}."
            report.warn("summary-mismatch", place, message)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
