"""What the columns of a stored CACAO playbook say, read from its document. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from playbooks.cacao.types import StepType, Workflow
from playbooks.timestamps import instant_of, moment_of

#: the variable by which a playbook names its own version in people's words
VERSION_VARIABLE = "__version__"
DEFAULT_VERSION = "1.0.0"
MAX_NAME = 1000
MAX_LABEL = 100


@dataclass(frozen=True)
class Card:
    """The searchable facts of one document. Missing ones stand as lenient import reads them (CACAO.md 13.3)."""

    cacao_id: str
    name: str
    description: str
    tags: tuple[str, ...]
    version_label: str
    modified_text: str | None
    modified: Fraction | None
    created: Fraction | None
    created_by: str | None
    valid_from: datetime | None
    valid_until: datetime | None
    is_revoked: bool


def card_of(document: Mapping[str, Any]) -> Card:
    cacao_id = _text(document.get("id"))
    modified = instant_of(document.get("modified"))
    return Card(
        cacao_id=cacao_id,
        name=(_text(document.get("name")) or cacao_id)[:MAX_NAME],
        description=_text(document.get("description")),
        tags=tuple(_text(label) for label in _list(document.get("labels")) if isinstance(label, str)),
        version_label=_version_label(document),
        modified_text=_text(document.get("modified"))[:MAX_LABEL] if modified is not None else None,
        modified=modified,
        created=instant_of(document.get("created")),
        created_by=document.get("created_by") if isinstance(document.get("created_by"), str) else None,
        valid_from=_moment(document.get("valid_from")),
        valid_until=_moment(document.get("valid_until")),
        is_revoked=document.get("revoked") is True,
    )


def shown_steps(workflow: Workflow) -> int:
    """Return how many steps people see: start and end steps are none, and a step's delay is one of its own."""
    counted = [step for step in workflow.steps.values() if step.type not in (StepType.START, StepType.END)]
    return len(counted) + sum(1 for step in workflow.steps.values() if step.delay)


def started_playbooks(workflow: Workflow) -> tuple[str, ...]:
    """Return the CACAO ids of the playbooks that this one starts."""
    return tuple(sorted({step.playbook_id for step in workflow.steps.values() if step.playbook_id}))


def _version_label(document: Mapping[str, Any]) -> str:
    variables = document.get("playbook_variables")
    variable = variables.get(VERSION_VARIABLE) if isinstance(variables, Mapping) else None
    value = variable.get("value") if isinstance(variable, Mapping) else None
    return _text(value)[:MAX_LABEL] or DEFAULT_VERSION


def _moment(value: Any) -> datetime | None:
    instant = instant_of(value)
    return None if instant is None else moment_of(instant)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    """Text as a column can hold it: PostgreSQL knows no U+0000."""
    return value.replace("\x00", "\ufffd") if isinstance(value, str) else ""
