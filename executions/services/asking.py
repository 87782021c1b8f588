"""Puts a question of a playbook to people."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

from executions import deadlines, phases, statements
from executions.engine import questions
from executions.engine.apart import Apart
from executions.engine.variables import Scopes
from executions.facts import StoredFacts
from executions.models import Execution, StepRun
from executions.rows import step_run_id
from executions.turn import Turn
from manual import services as manual
from playbooks.cacao.types import AgentTarget, Command, QuestionKind, Step, Workflow
from playbooks.selectors import workflow_by_id


def open_request(turn: Turn, step: Step, scope: str, *, text: str, command: Command | None = None) -> None:
    """Open the manual request of a step run that waits for a person; ``command``: of one among a machine's."""
    workflow = workflow_by_id(turn.row.version_id)
    run = step_run_id(turn.id, scope, step.id)
    opened_at, delay = StepRun.objects.values_list("created_at", "delay").get(pk=run)
    begins = opened_at + (delay or timedelta(0))
    deadline = deadlines.of_question(step, turn.row.dialect, begins=begins, now=turn.now)
    question = step.question or phases.question_of(command or Command("manual"))
    manual.open_request(
        tenant_id=turn.row.tenant_id,
        execution_id=turn.id,
        step_run_id=run,
        step_id=step.id,
        playbook_cacao_id=Execution.objects.values_list("playbook__cacao_id", flat=True).get(pk=turn.id),
        kind=question.kind.value,
        text=text,
        description=_description(step),
        commands=[_shown(command, text)] if command else _commands(turn, workflow, step, scope, text),
        targets={t: _public(workflow.targets[t]) for t in step.targets if t in workflow.targets},
        out_args=_out_args(turn, workflow, step, scope) if question.kind == QuestionKind.INPUT else {},
        choices=list(question.choices),
        approvers=list(question.approvers),
        deadline_at=deadline,
        now=turn.now,
    )
    statements.set_deadline(run, deadline)
    turn.event("request.opened", run, step=step.id, scope=scope, kind=question.kind.value)


def _description(step: Step) -> str:
    first = step.commands[0].description if step.commands else ""
    return first or step.description or (step.name if step.question and not step.commands else "")


def _commands(turn: Turn, workflow: Workflow, step: Step, scope: str, text: str) -> list[dict[str, Any]]:
    """All commands of the step as people see them, references filled in."""
    if len(step.commands) <= 1:
        return [_shown(step.commands[0], text) if step.commands else _shown(Command("manual"), text)]
    facts = StoredFacts(turn.row)
    texts = questions.texts_of(step, Scopes(workflow, facts), facts, scope)
    return [_shown(command, shown) for command, shown in zip(step.commands, texts, strict=True)]


def _shown(command: Command, text: str) -> dict[str, Any]:
    encoded = base64.b64encode(text.encode()).decode() if command.text_is_base64 else ""
    return {
        "description": command.description,
        "command": "" if command.text_is_base64 else text,
        "commandb64": encoded,
    }


def _public(target: AgentTarget) -> dict[str, Any]:
    return {"type": target.type, "name": target.name, "description": target.description, **target.properties}


def _out_args(turn: Turn, workflow: Workflow, step: Step, scope: str) -> dict[str, Any]:
    scopes = Scopes(workflow, StoredFacts(turn.row))
    fields: dict[str, Any] = {}
    for name in step.out_args:
        found = scopes.find(name, scope, step)
        if found is None:
            continue
        declared, value = found
        fields[name] = {
            "type": declared.type,
            "name": name,
            "description": declared.description,
            "value": None if isinstance(value, Apart) else value,  # too large for a form
            "constant": declared.constant,
            "external": declared.external,
        }
    return fields
