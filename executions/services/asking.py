"""Puts a question of a playbook to people."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from accounts.models import Tenant
from core import strict_json
from executions import deadlines, phases, statements
from executions.engine import questions
from executions.engine.apart import Apart
from executions.engine.variables import Scopes
from executions.facts import StoredFacts
from executions.models import Execution, StepRun
from executions.performed import ToApprove
from executions.rows import step_run_id
from executions.turn import Turn
from manual import policies
from manual import services as manual
from manual.policies import Rules
from manual.voting import noes_that_decide
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
    approval, approvers = None, list(question.approvers)
    if question.kind == QuestionKind.APPROVAL:
        rules = policies.rules_for_step(
            tenant=Tenant.objects.get(pk=turn.row.tenant_id),
            playbook_id=turn.row.playbook_id,
            approvers=question.approvers,
            deadline=deadline - turn.now,
        )
        deadline = min(deadline, turn.now + (rules.deadline or deadline - turn.now))
        approval, approvers = _approval(turn, rules), list(rules.approvers[0]) if rules.approvers else []
    manual.open_request(
        tenant_id=turn.row.tenant_id,
        execution_id=turn.id,
        step_run_id=run,
        step_id=step.id,
        playbook_cacao_id=_cacao_id(turn),
        kind=question.kind.value,
        text=text,
        description=_description(step),
        commands=[_shown(command, text)] if command else _commands(turn, workflow, step, scope, text),
        targets={t: _public(workflow.targets[t]) for t in step.targets if t in workflow.targets},
        out_args=_out_args(turn, workflow, step, scope) if question.kind == QuestionKind.INPUT else {},
        choices=list(question.choices),
        approvers=approvers,
        deadline_at=deadline,
        approval=approval,
        now=turn.now,
    )
    statements.set_deadline(run, deadline)
    turn.event("request.opened", run, step=step.id, scope=scope, kind=question.kind.value)


def open_approval(turn: Turn, step: Step, scope: str, asked: ToApprove) -> None:
    """Ask whether a step may do what it has prepared; it waits with its deadline set to the question's."""
    run = step_run_id(turn.id, scope, step.id)
    deadline = deadlines.of_approval(asked.rules.deadline, turn.row.dialect, now=turn.now)
    calls = asked.shown["calls"]
    manual.open_request(
        tenant_id=turn.row.tenant_id,
        execution_id=turn.id,
        step_run_id=run,
        step_id=step.id,
        playbook_cacao_id=_cacao_id(turn),
        kind=QuestionKind.APPROVAL.value,
        text=f"May the step {step.name or step.id!r} do this? " + "; ".join(map(_deed, calls)),
        description=_description(step) or step.name,
        commands=[{"description": _deed(call), "command": _text_of(call), "commandb64": ""} for call in calls],
        approvers=list(asked.rules.approvers[0]) if asked.rules.approvers else [],
        deadline_at=deadline,
        approval=replace(
            _approval(turn, asked.rules),
            shown=asked.shown,
            digest=asked.digest,
            reason="changed" if asked.is_changed else "",
        ),
        now=turn.now,
    )
    statements.set_deadline(run, deadline)
    why = {"reason": "changed"} if asked.is_changed else {}
    turn.event(
        "request.opened", run, step=step.id, scope=scope, kind="approval", digest=asked.digest,
        votes=asked.rules.votes, **why,
    )  # fmt: skip


def _approval(turn: Turn, rules: Rules) -> manual.Approval:
    excluded = had_a_hand_in(turn.id)
    return manual.Approval(
        votes_needed=rules.votes,
        noes_needed=noes_that_decide(tenant_id=turn.row.tenant_id, rules=rules, excluded=excluded),
        four_eyes=rules.four_eyes,
        approvers=rules.approvers[1:],
        excluded=excluded,
        policies=rules.policies,
    )


def had_a_hand_in(execution_id: UUID) -> dict[str, str]:
    """The people who started an execution or one around it, or stored the version that runs there -> what they did."""
    found: dict[str, str] = {}
    current: UUID | None = execution_id
    while current is not None:
        starter, editor, current = Execution.objects.values_list(
            "actor__person", "version__created_by_person", "parent_step_run__execution_id"
        ).get(pk=current)
        if starter:
            found[starter] = "started the execution"
        if editor:
            found.setdefault(str(editor), "made the version of the playbook that runs")
    return found


def _deed(call: Mapping[str, Any]) -> str:
    return f"{call['operation']} at {call['target']}" if call["target"] else str(call["operation"])


def _text_of(call: Mapping[str, Any]) -> str:
    return strict_json.dumps({name: call[name] for name in ("arguments", "addresses", "secrets")}).decode()


def _cacao_id(turn: Turn) -> str:
    return Execution.objects.values_list("playbook__cacao_id", flat=True).get(pk=turn.id)


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
