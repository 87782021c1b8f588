"""``rerun_dbt`` and ``refresh_dbt_dependencies``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from incidents.actions.base import Action, Param, Plan, Planner

SECONDS_A_MODEL = 300
COST_A_MODEL = 0.05


def _rerun(params: Mapping[str, Any], _: Planner | None) -> Plan:
    models: list[str] = params["models"]
    plus = "+" if params["upstream"] else ""
    words = ["dbt", "run", "--models", *(f"{plus}{name}" for name in models)]
    words += ["--full-refresh"] if params["full_refresh"] else []
    command = " ".join([*words, "--threads", str(params["threads"])])
    plural = "" if len(models) == 1 else "s"
    refresh = "Full refresh (tables are rebuilt)" if params["full_refresh"] else "No full refresh (incremental only)"
    return Plan(
        message=f"Command: {command}",
        details={"command": command, "models": models},
        changes=(f"Will re-run {len(models)} dbt model{plural}", f"Model{plural}: {', '.join(models)}", refresh),
        duration=SECONDS_A_MODEL * len(models),
        cost=round(COST_A_MODEL * len(models), 2),
        requires_approval=params["full_refresh"],
        operation="dbt.run",
        arguments=params,
    )


def _rerun_done(_: Mapping[str, Any], output: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    models = output["models_run"]
    return f"Successfully ran {len(models)} model(s)", {"models_run": models, "exit_code": output["exit_code"]}


def _refresh(params: Mapping[str, Any], _: Planner | None) -> Plan:
    return Plan(
        message="Command: dbt deps",
        details={"command": "dbt deps", **params},
        changes=("Will install the packages that the dbt project names",),
        duration=120,
        cost=0.01,
        operation="dbt.deps",
        arguments=params,
    )


def _refresh_done(_: Mapping[str, Any], output: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "Successfully refreshed dbt dependencies", {"exit_code": output["exit_code"]}


RERUN_DBT = Action(
    action_type="rerun_dbt",
    display_name="Re-run DBT Models",
    description="Re-run specified dbt models to refresh data",
    duration="10 minutes",
    cost="$0.10",
    params=(
        Param("task_id", "string", required=True),
        Param("models", "array[string]", required=True, pattern=r"[A-Za-z_][A-Za-z0-9_.]{0,199}"),
        Param("full_refresh", "boolean", default=False),
        Param("upstream", "boolean", default=False),
        Param("threads", "integer", default=4, least=1, most=64),
    ),
    plan=_rerun,
    done=_rerun_done,
)
REFRESH_DBT_DEPENDENCIES = Action(
    action_type="refresh_dbt_dependencies",
    display_name="Refresh DBT Dependencies",
    description="Install the packages that the dbt project names",
    duration="2 minutes",
    cost="$0.01",
    params=(Param("task_id", "string"),),
    plan=_refresh,
    done=_refresh_done,
)
