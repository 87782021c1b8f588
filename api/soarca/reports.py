"""The reporter's words: how this family tells of an execution and of each of its steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from api.dialects import cacao_step_id
from api.soarca.outputs import execution_names, moment, step_names, variable
from executions.engine.apart import Apart, Damaged, whole
from executions.selectors import commands_of, values_of
from playbooks.cacao.types import Step, Variable, Workflow

if TYPE_CHECKING:
    from executions.models import Execution, StepRun

#: Seconds between two looks, as the report tells its reader.
REQUEST_INTERVAL: Final = 5
AUTOMATED: Final = "soarca"

ONGOING: Final = "ongoing"
SUCCESS: Final = "successfully_executed"
FAILED: Final = "failed"
SERVER_SIDE: Final = "server_side_error"
CLIENT_SIDE: Final = "client_side_error"
TIMEOUT: Final = "timeout_error"
EXCEPTION_CONDITION: Final = "exception_condition_error"

#: Neither is shown: the engine's own steps, and states in which a step was never reached.
_HIDDEN_TYPES: Final = frozenset({"start", "end"})
_HIDDEN_STATES: Final = frozenset({"pending", "skipped"})

_OF_EXECUTION: Final[Mapping[str, str]] = MappingProxyType(
    {"completed": SUCCESS, "failed": FAILED, "cancelled": FAILED}
)
_OF_STEP: Final[Mapping[str, str]] = MappingProxyType(
    {"completed": SUCCESS, "failed": FAILED, "timed_out": TIMEOUT, "cancelled": FAILED}
)
#: Why a step failed -> its word; every other reason is `failed`: the far side, or a person, said so.
_OF_REASON: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "unresolved_variable", "undefined_variable", "unsafe_placeholder", "secret_unreadable",
                "no_target", "no_connection", "no_connector", "argument_invalid", "playbook_not_found",
            ),
            CLIENT_SIDE,
        ),
        "condition_error": EXCEPTION_CONDITION,
        **dict.fromkeys(("poison", "undeliverable", "internal", "integrity"), SERVER_SIDE),
    }
)  # fmt: skip
_TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        ONGOING: "this {} is currently being executed",
        SUCCESS: "{} execution completed successfully",
        FAILED: "something went wrong in the execution of this {}",
        SERVER_SIDE: "there was a server-side problem with the execution of this {}",
        CLIENT_SIDE: "something in the data provided for this {} raised an issue",
        TIMEOUT: "the execution of this {} timed out",
        EXCEPTION_CONDITION: "the execution of this {} raised a playbook exception",
    }
)
_CANCELLED: Final = "the execution of this {} was cancelled"


def report(
    execution: Execution,
    step_runs: Iterable[StepRun],
    workflow: Workflow,
    people: Mapping[UUID, str],
    *,
    in_full: bool = True,
) -> dict[str, Any]:
    """Return the report of one execution. ``people`` maps a step run's id to the name of who answered it.

    ``in_full`` False, for lists: values that are stored apart are shown as null.
    """
    status = _OF_EXECUTION.get(execution.status, ONGOING)
    return {
        "type": "execution_status",
        **execution_names(execution.id),
        "playbook_id": execution.playbook.cacao_id,
        "name": execution.playbook.name,
        "description": execution.playbook.description,
        "started": moment(execution.started_at or execution.created_at),
        "ended": moment(execution.ended_at),
        "status": status,
        "state": execution.status,
        "status_text": _text(status, execution.status, "playbook", execution.message),
        "step_results": _step_results(execution, step_runs, workflow, people, in_full=in_full),
        "request_interval": REQUEST_INTERVAL,
    }


def _step_results(
    execution: Execution,
    step_runs: Iterable[StepRun],
    workflow: Workflow,
    people: Mapping[UUID, str],
    *,
    in_full: bool,
) -> dict[str, Any]:
    """Return the results by step id. Of several visits the last has the plain key, earlier ones ``<step id>#<n>``."""
    visits: dict[str, list[StepRun]] = {}
    for run in step_runs:
        if run.step_type not in _HIDDEN_TYPES and run.status not in _HIDDEN_STATES:
            visits.setdefault(run.step_id, []).append(run)
    results: dict[str, Any] = {}
    for runs in visits.values():
        step_id = _shown_id(execution, runs[0])
        for number, run in enumerate(runs[:-1], start=1):
            results[f"{step_id}#{number}"] = _step_result(execution, run, workflow, people, in_full=in_full)
        results[step_id] = _step_result(execution, runs[-1], workflow, people, in_full=in_full)
    return results


def _step_result(
    execution: Execution, run: StepRun, workflow: Workflow, people: Mapping[UUID, str], *, in_full: bool
) -> dict[str, Any]:
    step = workflow.steps[run.step_id]
    status = _step_status(run)
    is_automated = run.kind != "request"
    return {
        **execution_names(execution.id),
        **step_names(_shown_id(execution, run), run.id),
        "name": step.name,
        "description": step.description,
        "started": moment(run.started_at or run.created_at),
        "ended": moment(run.ended_at),
        "status": status,
        "status_text": _text(status, run.status, "step", run.message),
        "executed_by": AUTOMATED if is_automated else people.get(run.id) or run.actor or AUTOMATED,
        "commands_b64": commands_of(run),
        "variables": _variables(run, step, workflow, in_full=in_full),
        "automated_execution": is_automated,
        "automated_run": is_automated,
    }


def _shown_id(execution: Execution, run: StepRun) -> str:
    return cacao_step_id(
        execution.dialect, playbook_id=execution.playbook.cacao_id, step_id=run.step_id, step_type=run.step_type
    )


def _step_status(run: StepRun) -> str:
    status = _OF_STEP.get(run.status, ONGOING)
    return _OF_REASON.get(run.reason, FAILED) if run.status == "failed" else status


def _text(status: str, state: str, noun: str, message: str) -> str:
    words = (_CANCELLED if state == "cancelled" else _TEXTS[status]).format(noun)
    return f"{words} - error: {message}" if message and status not in (ONGOING, SUCCESS) else words


def _variables(run: StepRun, step: Step, workflow: Workflow, *, in_full: bool) -> dict[str, Any]:
    """Return what the visit wrote, name -> variable in this family's shape; null for what is not (or not yet) read."""
    return {
        name: variable(name, {**_definition(name, step, workflow), "value": _read(value, in_full=in_full)})
        for name, value in (values_of(run) or {}).items()
    }


def _read(value: Any, *, in_full: bool) -> Any:
    if isinstance(value, Apart) and not in_full:
        return None
    try:
        return whole(value)
    except Damaged:
        return None  # the store has logged it


def _definition(name: str, step: Step, workflow: Workflow) -> dict[str, Any]:
    declared = step.variables.get(name) or workflow.variables.get(name) or Variable(name)
    return {
        "type": declared.type,
        "description": declared.description,
        "constant": declared.constant,
        "external": declared.external,
    }
