"""What dbt's operations declare (CONNECTORS.md, 4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from accounts.models import Tenant
from connectors.base import EffectClass, Endpoint, OperationSpec
from connectors.dbt.projects import program, project_of
from core.errors import Invalid

#: a step's own deadline ends a run before this does
LONGEST_RUN = timedelta(hours=1)


class ProjectRefused(Invalid):
    code = "destination_refused"


def check(arguments: Mapping[str, Any], endpoint: Endpoint) -> None:  # noqa: ARG001
    """Raise ProjectUnknown, NoDbt, or ProjectRefused for another tenant's project."""
    project = project_of(endpoint)
    if not Tenant.objects.filter(pk=endpoint.tenant, slug=project.tenant).exists():
        raise ProjectRefused(f"The connection {endpoint.name!r} names a project of another tenant.")
    program()


_TASK: Mapping[str, Any] = {
    "connection": {"type": "string"},
    "task_id": {"type": "string", "minLength": 1, "maxLength": 200, "description": "Fills {task_id} in logs_url."},
}
_OUTPUTS: Mapping[str, Any] = {
    "exit_code": {"type": "integer"},
    "logs_url": {"type": ["string", "null"]},
}

OPERATIONS = (
    OperationSpec(
        name="dbt.run",
        title="Run dbt models",
        effect=EffectClass.IDEMPOTENT,
        reference="act-dbt-run",
        connection_kind="dbt",
        inputs={
            "type": "object",
            "properties": {
                **_TASK,
                "models": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 100,
                    "items": {"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_.]{0,199}$"},
                },
                "full_refresh": {"type": "boolean", "default": False},
                "upstream": {"type": "boolean", "default": False, "description": "With the models they depend on."},
                "threads": {"type": "integer", "minimum": 1, "maximum": 64, "default": 4},
            },
            "required": ["models"],
            "additionalProperties": False,
        },
        outputs={
            "type": "object",
            "properties": {"models_run": {"type": "array", "items": {"type": "string"}}, **_OUTPUTS},
            "required": ["models_run", "exit_code", "logs_url"],
        },
        check=check,
        call_limit=LONGEST_RUN,
        secret_fields=("password", "token"),
    ),
    OperationSpec(
        name="dbt.deps",
        title="Install the packages of a dbt project",
        effect=EffectClass.IDEMPOTENT,
        reference="act-dbt-deps",
        connection_kind="dbt",
        inputs={"type": "object", "properties": dict(_TASK), "additionalProperties": False},
        outputs={"type": "object", "properties": dict(_OUTPUTS), "required": ["exit_code", "logs_url"]},
        check=check,
        call_limit=LONGEST_RUN,
        secret_fields=("password", "token"),
    ),
)
