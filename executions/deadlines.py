"""Until when a step run or a question may take (CACAO.md 12.13, EXECUTION-SEMANTICS 8, ruling 11)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from executions.engine.decisions import Kind
from playbooks.cacao.types import Step, StepType

#: a step that acts and has no deadline of its own
STEP: Final = timedelta(hours=1)
#: a question without a deadline of its own, by stored dialect
QUESTION: Final = {"s4e": timedelta(hours=24)}
CACAO_QUESTION: Final = timedelta(minutes=10)


def of_step_run(step: Step, kind: Kind, begins: datetime) -> datetime | None:
    """A step that acts has a deadline of its own or the default; openers and timers only their own."""
    own = own_deadline(step, begins)
    return begins + STEP if own is None and kind in (Kind.ACT, Kind.CHILD) else own


def own_deadline(step: Step, begins: datetime) -> datetime | None:
    """The deadline that the author gave; on start and end a timeout means nothing."""
    if not step.timeout or step.type in (StepType.START, StepType.END):
        return None
    return begins + _capped(step.timeout)


def of_question(step: Step, dialect: str, *, begins: datetime, now: datetime) -> datetime:
    """The deadline of a question asked ``now``. What an opener asks never outlives its own deadline."""
    own = (step.question.deadline if step.question else None) or step.timeout
    deadline = now + _capped(own or QUESTION.get(dialect, CACAO_QUESTION))
    whole = own_deadline(step, begins) if step.is_opener else None
    return min(deadline, whole) if whole else deadline


def of_approval(own: timedelta | None, dialect: str, *, now: datetime) -> datetime:
    """The deadline of the question whether a step may act; ``own``: what the policies say."""
    return now + _capped(own or QUESTION.get(dialect, CACAO_QUESTION))


def _capped(span: timedelta) -> timedelta:
    ceiling: timedelta = settings.SALLYPORT_STEP_TIMEOUT_CEILING
    return min(span, ceiling)
