"""What the rest of the house may ask of executions. Each name is one transaction."""

from executions.services.answering import answer_request
from executions.services.repeating import run_again
from executions.services.resolving import Quarantined, ReviewResolved, resolve_review
from executions.services.starting import QueueFull, StartKeyReused, StartRefused, start_execution
from executions.services.steering import (
    ExecutionEnded,
    HeldByParent,
    cancel_execution,
    pause_execution,
    resume_execution,
)
from executions.services.telling import set_webhook_secret
from executions.services.triggering import emit_event

__all__ = [
    "ExecutionEnded",
    "HeldByParent",
    "Quarantined",
    "QueueFull",
    "ReviewResolved",
    "StartKeyReused",
    "StartRefused",
    "answer_request",
    "cancel_execution",
    "emit_event",
    "pause_execution",
    "resolve_review",
    "resume_execution",
    "run_again",
    "set_webhook_secret",
    "start_execution",
]
