"""What the rest of the house may ask of executions. Each name is one transaction."""

from executions.admission import QueueFull
from executions.services.answering import answer_request
from executions.services.capping import close_breaker, remove_cap, set_cap
from executions.services.repeating import run_again
from executions.services.resolving import Quarantined, ReviewResolved, resolve_review
from executions.services.starting import StartKeyReused, StartRefused, start_execution
from executions.services.steering import (
    ExecutionEnded,
    HeldByParent,
    cancel_execution,
    pause_execution,
    resume_execution,
)
from executions.services.switching import check_switch, lift_switch, set_switch
from executions.services.telling import set_webhook_secret
from executions.services.triggering import NotStartable, Taken, emit_event, fire_by_hand, take_event, take_hook

__all__ = [
    "ExecutionEnded",
    "HeldByParent",
    "NotStartable",
    "Quarantined",
    "QueueFull",
    "ReviewResolved",
    "StartKeyReused",
    "StartRefused",
    "Taken",
    "answer_request",
    "cancel_execution",
    "check_switch",
    "close_breaker",
    "emit_event",
    "fire_by_hand",
    "lift_switch",
    "pause_execution",
    "remove_cap",
    "resolve_review",
    "resume_execution",
    "run_again",
    "set_cap",
    "set_switch",
    "set_webhook_secret",
    "start_execution",
    "take_event",
    "take_hook",
]
