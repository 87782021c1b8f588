"""Our extension of CACAO: what S4E says and CACAO has no word for (contracts/s4e.md, CACAO export and import)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ID: Final = "extension-definition--6c1f5f0e-3f0e-4c53-9b0b-8a3c3e1d7a10"
NAME: Final = "sallyport-s4e"

#: in ``playbook_extensions``: {"type", "playbook_id", "trigger", "on_failure", "max_retries"?, "timeout_minutes"?,
#: "inputs"?, "steps": [step ids in order], "ids_of": the CACAO id that the ids of the steps were made from}
PLAYBOOK: Final = "sallyport-s4e"
#: in ``step_extensions``: {"type", "step"?: the step as its author wrote it, "delays"?: [delay steps just before it]}
STEP: Final = "sallyport-s4e-step"

_DEFINITION: Final = {
    "type": "extension-definition",
    "name": NAME,
    "description": "What a playbook of the S4E dialect says beyond CACAO: trigger, failure strategy, templates.",
    "schema": "The members are those of the S4E playbooks API; see the documentation of Sallyport.",
    "version": "1.0.0",
}


def definition(*, created_by: str) -> dict[str, Any]:
    return {**_DEFINITION, "created_by": created_by}


def of_playbook(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return our extension of a CACAO document, or None."""
    return _ours(document.get("playbook_extensions"), PLAYBOOK)


def of_step(step: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return our extension of a CACAO step, or None."""
    return _ours(step.get("step_extensions"), STEP)


def _ours(extensions: Any, type_: str) -> Mapping[str, Any] | None:
    found = extensions.get(ID) if isinstance(extensions, Mapping) else None
    return found if isinstance(found, Mapping) and found.get("type") == type_ else None
