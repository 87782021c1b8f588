"""Looks a playbook over before it runs: what is never reached, never set, sent nowhere, shown to everybody.

Pure: nothing is fetched, opened or run. A finding never refuses a playbook; it says what may go wrong, where, and what
would be right. Source: CACAO.md 15.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from playbooks.cacao.check_commands import check_commands
from playbooks.cacao.check_conditions import check_conditions
from playbooks.cacao.check_findings import SEVERITIES, Findings
from playbooks.cacao.check_flow import check_flow
from playbooks.cacao.check_injection import check_injection
from playbooks.cacao.check_leaks import check_leaks
from playbooks.cacao.check_model import Model
from playbooks.cacao.check_secrets import check_secrets
from playbooks.cacao.check_states import find_states
from playbooks.cacao.check_variables import check_variables
from playbooks.cacao.findings import pointer
from playbooks.cacao.reading import Json
from playbooks.cacao.types import Catalogue, Finding, Severity, Workflow
from playbooks.cacao.vocabularies import CHECK_EXTENSION

CODES: Final = frozenset(SEVERITIES)


def check(document: Json, workflow: Workflow, catalogue: Catalogue) -> list[Finding]:
    """Return what the checker has to say of a playbook; silenced findings are listed too, and marked.

    ``document`` is the playbook as it was read, ``workflow`` what was compiled from it, with its definitions. Pointers
    lead into the document. Workflows of other dialects have no such document: nothing is said of them.
    """
    if workflow.dialect != "cacao":
        return []
    model = Model(document, workflow, catalogue, Findings())
    states = find_states(model)
    check_flow(model)
    check_variables(model, states)
    check_commands(model, states)
    check_secrets(model)
    check_leaks(model)
    check_injection(model)
    check_conditions(model)
    found = model.findings.listed()
    if not model.paths.is_complete:
        message = "The workflow has too many paths to follow each; what holds on some of them only is not told."
        found.append(Finding("findings-omitted", Severity.NOTE, "", message))
    return _silenced(found, document)


def _silenced(found: list[Finding], document: Json) -> list[Finding]:
    everywhere = frozenset(_ignored(document.get("playbook_extensions")))
    workflow = document.get("workflow")
    inside = {
        pointer("workflow", key): frozenset(_ignored(step.get("step_extensions")))
        for key, step in (workflow.items() if isinstance(workflow, Mapping) else ())
        if isinstance(step, Mapping)
    }
    return [
        replace(one, suppressed=True)
        if one.code in CODES and (one.code in everywhere or one.code in inside.get(_step_of(one.pointer), ()))
        else one
        for one in found
    ]


def _step_of(at: str) -> str:
    """Return the pointer of the step that a pointer leads into."""
    return "/".join(at.split("/", 3)[:3])


def _ignored(extensions: Any) -> Iterator[str]:
    """Yield the codes that ``sallyport-check`` extensions of a playbook or a step name."""
    for extension in extensions.values() if isinstance(extensions, Mapping) else ():
        if isinstance(extension, Mapping) and extension.get("type") == CHECK_EXTENSION:
            codes = extension.get("ignore")
            yield from (code for code in (codes if isinstance(codes, list) else ()) if isinstance(code, str))
