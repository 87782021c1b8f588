"""What the rest of the house may ask of executions. Each name is one transaction."""

from executions.admission import QueueFull
from executions.services.answering import answer_request
from executions.services.resolving import Quarantined, ReviewResolved, resolve_review
from executions.services.starting import StartKeyReused, StartRefused, start_execution
from executions.services.steering import ExecutionEnded, cancel_execution, pause_execution, resume_execution
from executions.services.telling import set_webhook_secret
from executions.services.triggering import emit_event

__all__ = [
    "ExecutionEnded",
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
    "set_webhook_secret",
    "start_execution",
]
