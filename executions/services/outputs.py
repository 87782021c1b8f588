"""What a completed step writes into variables (CACAO.md 12.10)."""

from __future__ import annotations

from typing import Any

from connectors.base import Outcome
from executions import phases
from executions.engine import outputs
from executions.engine.apart import whole
from executions.engine.facts import Facts
from executions.engine.outputs import Written
from executions.engine.variables import Scopes
from executions.performed import Performed
from executions.services.claiming import Work
from playbooks.cacao.types import Step, Variable, Workflow


def values_of(work: Work, outcome: Outcome) -> Written:
    """Return the variables to write. Raises OutputInvalid, Damaged; then nothing is written (D26)."""
    return written_by(work.workflow, work.facts, work.step, work.run.scope_path, outcome)


def written_and_noted(work: Work, performed: Performed) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the values that a completed step writes, and what its row notes. Raises OutputInvalid, Damaged."""
    written = values_of(work, performed.outcome)
    values = {**whole(work.run.note.get(phases.ANSWERS, {})), **written.values}
    note: dict[str, Any] = {"values": values}
    if written.missing:
        note["output_missing"] = list(written.missing)
    return values, note | performed.report()


def result_of(outcome: Outcome) -> dict[str, Any]:
    """Return what came out of a step, as its row keeps it."""
    return {
        "output": outcome.output,
        "stderr": outcome.stderr,
        "exit_code": outcome.exit_code,
        "status": outcome.status,
    }


def written_by(workflow: Workflow, facts: Facts, step: Step, scope: str, outcome: Outcome) -> Written:
    """Return what ``outcome`` writes at a step in a scope. Raises OutputInvalid, Damaged."""
    if not step.out_args and not step.outputs:
        return Written({}, ())
    scopes = Scopes(workflow, facts)

    def lookup(name: str) -> tuple[Variable, Any] | None:
        return scopes.find(name, scope, step)

    return outputs.variables_from(
        step,
        lookup,
        output=outcome.output,
        stderr=outcome.stderr,
        exit_code=outcome.exit_code,
        status=outcome.status,
        headers=outcome.headers,
    )
