"""What this family shows of manual requests, starts and the service itself, in both generations of its names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from api.dialects import cacao_step_id
from core import strict_json

if TYPE_CHECKING:
    from manual.models import ManualRequest

#: Go's zero time: how this family writes "not yet".
NEVER: Final = "0001-01-01T00:00:00Z"


def moment(at: datetime | None) -> str:
    """UTC, whole seconds, ``Z``; NEVER for None."""
    return NEVER if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def execution_names(execution_id: UUID) -> dict[str, str]:
    return {"execution_id": str(execution_id), "run_id": str(execution_id)}


def step_names(step_id: str, step_run_id: UUID) -> dict[str, str]:
    return {"step_id": step_id, "step_run_id": str(step_run_id), "step_execution_id": str(step_run_id)}


def started(execution_id: UUID, playbook_id: str) -> dict[str, str]:
    """Return the "generic execution information": the answer to a start and to an answered manual step."""
    return {**execution_names(execution_id), "payload": playbook_id, "playbook_id": playbook_id}


def playbook_meta(document: Mapping[str, Any]) -> dict[str, Any]:
    absent: dict[str, Any] = {
        "name": "",
        "description": "",
        "created": None,
        "valid_from": None,
        "valid_until": None,
        "labels": [],
    }
    return {name: document.get(name, otherwise) for name, otherwise in {"id": "", **absent}.items()}


def manual_item(request: ManualRequest) -> dict[str, Any]:
    commands = [_command(command) for command in request.commands] or [
        {"description": request.description, "command": request.text, "commandb64": False}
    ]
    targets = {name: _target(target) for name, target in request.targets.items()}
    return {
        "type": "manual-step-information",
        **execution_names(request.execution_id),
        "playbook_id": request.playbook_cacao_id,
        **step_names(cacao_id_of_step(request), request.step_run_id),
        "description": request.description,
        "command": commands[0]["command"],
        "command_is_base64": commands[0]["commandb64"],
        "commandb64": commands[0]["commandb64"],
        "commands": commands,
        "target": next(iter(targets.values()), {}),
        "targets": targets,
        "out_args": {name: variable(name, definition) for name, definition in request.out_args.items()},
    }


def cacao_id_of_step(request: ManualRequest) -> str:
    """Return the step's id as this family names it; the request comes with its execution and its step run."""
    return cacao_step_id(
        request.execution.dialect,
        playbook_id=request.playbook_cacao_id,
        step_id=request.step_id,
        step_type=request.step_run.step_type,
    )


def variable(name: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": definition.get("type", "string"),
        "name": name,
        "description": definition.get("description") or "",
        "value": _as_text(definition.get("value")),
        "constant": bool(definition.get("constant")),
        "external": bool(definition.get("external")),
    }


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else strict_json.dumps(value).decode()


def _command(command: Mapping[str, Any]) -> dict[str, Any]:
    """``commandb64`` says here whether ``command`` is base64; stored is the encoded text itself."""
    encoded = command.get("commandb64") or ""
    return {
        "description": command.get("description") or "",
        "command": encoded or command.get("command") or "",
        "commandb64": bool(encoded),
    }


def _target(target: Mapping[str, Any]) -> dict[str, Any]:
    public = {name: value for name, value in target.items() if not name.startswith("authentication_info")}
    return {"name": "", "description": "", "location": {}, "agent_target_extensions": {}, **public}
