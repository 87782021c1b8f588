"""Which scripted outcome the fake connector plays for a visit (only where SALLYPORT_ALLOW_FAKE is on)."""

from __future__ import annotations

from typing import Any

from executions.models import Attempt, StepRun
from executions.services.claiming import Work
from playbooks.cacao.types import QuestionKind


def entry_of(work: Work) -> dict[str, Any]:
    """Return the outcome of this visit: one entry a visit, the last one repeats; none: success without output."""
    script = work.execution.script or {}
    question = work.step.question
    if question is not None and question.kind in (QuestionKind.DECISION, QuestionKind.CHOICE):
        answers = script.get("decisions", {}).get(work.run.step_id, [])
        verdict = answers[min(_times_asked(work), len(answers) - 1)] if answers else None
        return {"result": "success", "verdict": verdict} if verdict is not None else {"result": "failure"}
    entries = script.get("steps", {}).get(work.run.step_id, [])
    if not entries:
        return {"result": "success"}
    found: dict[str, Any] = entries[min(_visits_before(work), len(entries) - 1)]
    return found


def _visits_before(work: Work) -> int:
    """Visits of this step that were opened earlier, in the whole execution."""
    return StepRun.objects.filter(
        execution_id=work.run.execution_id, step_id=work.run.step_id, position__lt=work.run.position
    ).count()


def _times_asked(work: Work) -> int:
    """How often this question was answered so far, in the whole execution: a loop asks at each evaluation."""
    return Attempt.objects.filter(
        step_run__execution_id=work.run.execution_id, step_run__step_id=work.run.step_id, outcome="completed"
    ).count()
