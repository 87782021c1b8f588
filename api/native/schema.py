"""The shapes of this family's answers, for the OpenAPI page, and what its operations share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers

if TYPE_CHECKING:
    Shape = serializers.Serializer[Any]
else:
    Shape = serializers.Serializer

Method = TypeVar("Method", bound=Callable[..., Any])

JSON = serializers.JSONField
Text = serializers.CharField
Moment = serializers.DateTimeField
Number = serializers.IntegerField

START_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER,
    description="1 to 255 printable characters: the same key and body start once, for 24 hours at least.",
)  # fmt: skip
PAGE = [
    OpenApiParameter("cursor", str, description="`next` of the page before."),
    OpenApiParameter("limit", int, default=50, description="Items on a page, 1 to 100."),
]
_WORDS = {
    400: "The body or the cursor cannot be read.",
    401: "Credentials are missing or not valid.",
    403: "The permission is missing.",
    404: "There is no such thing in your tenant.",
    409: "The present state does not allow it; `code` says why.",
    413: "The body is over 5 MiB.",
    415: "Not JSON in UTF-8.",
    422: "A field or parameter is wrong; `errors` says which.",
    429: "Too many; see Retry-After.",
    503: "The database cannot answer right now; see Retry-After.",
}


class NativeFault(Shape):
    path = Text()
    message = Text()


#: RFC 9457
PROBLEM = inline_serializer(
    "NativeProblem",
    {
        "type": Text(),
        "title": Text(),
        "status": Number(),
        "detail": Text(),
        "code": Text(help_text="For programs."),
        "errors": NativeFault(many=True, required=False),
        "context": JSON(required=False, help_text="Figures that belong to the code, such as `queued` and `limit`."),
    },
)


def operation(
    name: str,
    summary: str,
    *,
    answers: dict[int, Any],
    problems: Sequence[int] = (),
    takes: Any = None,
    query: Sequence[OpenApiParameter] = (),
) -> Callable[[Method], Method]:
    """Return the decorator that tells the OpenAPI page of an operation; 401, 403 and 503 are told of each."""
    told = {status: OpenApiResponse(PROBLEM, description=_WORDS[status]) for status in (*problems, 401, 403, 503)}
    decorator: Callable[[Method], Method] = extend_schema(
        operation_id=f"native_{name}", summary=summary, request=takes, parameters=list(query),
        responses={**answers, **dict(sorted(told.items()))},
    )  # fmt: skip
    return decorator


@cache
def paged(shape: type[Shape]) -> Any:
    """``{"items": [...], "next": cursor or null}``"""
    return inline_serializer(f"{shape.__name__}Page", {"items": shape(many=True), "next": Text(allow_null=True)})


class NativeWait(Shape):
    kind = Text(help_text="hold, stop, request, review, child, timer, retry, callback, worker, call or nothing")
    step = Text(allow_null=True)
    step_run = serializers.UUIDField(allow_null=True)
    id = serializers.UUIDField(allow_null=True, help_text="Of the request, review or execution that it waits for.")
    since = Moment(allow_null=True)
    until = Moment(allow_null=True)
    by = Text(allow_null=True)


class NativePlaybookRef(Shape):
    id = serializers.UUIDField()
    cacao_id = Text()
    slug = Text(help_text="pb-<slug>")
    name = Text()
    version = Text()


class NativeActor(Shape):
    kind = Text()
    name = Text()


class NativeHeld(Shape):
    at = Moment()
    by = Text(help_text="operator, parent, or both")


class NativeStop(Shape):
    stop_as = Text(help_text="failed or cancelled")
    reason = Text()
    requested_at = Moment(allow_null=True)


class NativeParent(Shape):
    execution = serializers.UUIDField()
    step_run = serializers.UUIDField()
    step = Text()


class NativeExecution(Shape):
    id = serializers.UUIDField()
    name = Text(help_text="pexec-<number>")
    playbook = NativePlaybookRef()
    dialect = Text()
    status = Text(help_text="pending, running, paused, completed, failed or cancelled")
    reason = Text()
    message = Text()
    held = NativeHeld(allow_null=True)
    stop = NativeStop(allow_null=True)
    dry_run = serializers.BooleanField()
    started_by = NativeActor()
    parent = NativeParent(allow_null=True)
    again_of = serializers.UUIDField(allow_null=True)
    depth = Number()
    failed_steps = Number()
    last_seq = Number(help_text="Number of its latest event.")
    deadline_at = Moment(allow_null=True)
    created_at = Moment()
    started_at = Moment(allow_null=True)
    ended_at = Moment(allow_null=True)
    stream = Text(help_text="Path of the websocket that tells every event of it.")
    waits_for = NativeWait(many=True, help_text="Empty once it has ended; at most 20.")
    waits_total = Number()


class NativeExecutionOne(NativeExecution):
    steps = serializers.DictField(child=Number(), help_text="Step runs by state.")
    children = serializers.ListField(child=serializers.UUIDField(), help_text="At most 100, the newest first.")
    repeated = serializers.BooleanField(required=False, help_text="After a start: this key had started it before.")


class NativeCall(Shape):
    key = Text()
    operation = Text()
    connection = Text(allow_null=True)
    target = Text(allow_null=True)
    agent = Text(allow_null=True)
    address = Text(allow_null=True, help_text="Without user and query.")
    effect_class = Text()
    arguments = JSON(help_text="Resolved; secrets are stars.")


class NativeAttempt(Shape):
    number = Number()
    started_at = Moment()
    ended_at = Moment(allow_null=True)
    outcome = Text(help_text="Empty while it runs.")
    code = Text()
    message = Text()
    calls = JSON(help_text="One record a call: key, operation, connection, outcome, status, sent, milliseconds.")
    late_note = JSON(allow_null=True, help_text="What came after it had lost its turn; it moved nothing.")


class NativeStepRun(Shape):
    id = serializers.UUIDField(help_text="Also the idempotency key of its call.")
    step = Text()
    scope = Text()
    type = Text()
    kind = Text()
    position = Number()
    status = Text(
        help_text="pending, running, retrying, waiting, uncertain, completed, failed, timed_out, skipped or cancelled"
    )
    reason = Text()
    message = Text()
    effect = Text(help_text="none, intended, applied or unknown")
    effective_class = Text()
    output = JSON(allow_null=True)
    output_omitted = serializers.BooleanField(help_text="The output is over 64 KiB and not shown here.")
    decided = JSON(allow_null=True)
    by = Text(help_text="Who answered or resolved it.")
    due_at = Moment(allow_null=True)
    deadline_at = Moment(allow_null=True)
    first_intent_at = Moment(allow_null=True)
    class_valid_until = Moment(allow_null=True)
    quarantine_until = Moment(allow_null=True)
    lost_attempts = Number()
    tries = Number()
    created_at = Moment()
    started_at = Moment(allow_null=True)
    ended_at = Moment(allow_null=True)
    attempts = NativeAttempt(many=True)
    attempts_total = Number()


EVENTS = inline_serializer(
    "NativeEvent",
    {
        "seq": Number(),
        "type": Text(),
        "at": Moment(),
        "execution_id": serializers.UUIDField(),
        "step_run_id": serializers.UUIDField(allow_null=True),
        "data": JSON(),
    },
    many=True,
)


class NativeEvents(Shape):
    items = EVENTS
    next = Number(allow_null=True, help_text="`after` of the next page; null when there are no more by now.")


class NativeResolution(Shape):
    resolution = Text(help_text="happened, again or give_up")
    possible = serializers.BooleanField()
    possible_from = Moment(allow_null=True)
    takes_output = serializers.BooleanField()
    meaning = Text()


class NativeResolved(Shape):
    resolution = Text()
    reason = Text()
    by = Text()
    at = Moment(allow_null=True)


class NativeReviewExecution(Shape):
    id = serializers.UUIDField()
    name = Text()
    status = Text()
    playbook = serializers.UUIDField()
    playbook_name = Text()


class NativeReview(Shape):
    id = serializers.UUIDField()
    status = Text(help_text="open or resolved")
    why = Text()
    execution = NativeReviewExecution()
    step = Text()
    step_run = serializers.UUIDField()
    step_status = Text()
    opened_at = Moment()
    resolutions = NativeResolution(many=True, help_text="Empty once it is resolved.")
    resolved = NativeResolved(allow_null=True)


class NativeTimes(Shape):
    first_intent_at = Moment(allow_null=True)
    lease_lost_at = Moment(allow_null=True)
    class_valid_until = Moment(allow_null=True)
    quarantine_until = Moment(allow_null=True)


class NativeLateNote(Shape):
    attempt = Number()
    note = JSON()


class NativeReviewOne(NativeReview):
    calls = NativeCall(many=True, help_text="What was to be called, as it stood when the call was about to be made.")
    effect = Text()
    effective_class = Text()
    times = NativeTimes()
    probe = Text(allow_null=True, help_text="What the far side said when asked: there, not_there, cannot_tell.")
    attempts = NativeAttempt(many=True)
    late_notes = NativeLateNote(many=True)


class NativeConnection(Shape):
    id = serializers.UUIDField()
    kind = Text()
    name = Text()
    url = Text()
    settings = JSON()
    is_keyed = serializers.BooleanField()
    is_enabled = serializers.BooleanField()
    allow_networks = serializers.ListField(child=Text())
    hosts = serializers.ListField(child=Text())
    secrets = serializers.ListField(child=Text(), help_text="Names of the secret fields that are set; never a value.")
    last_error = Text()
    notes = serializers.ListField(child=Text(), help_text="What will not work yet, after a write.", required=False)
    created_at = Moment()
    updated_at = Moment()


class NativeWaiting(Shape):
    people = Number()
    timers = Number()
    children = Number()
    branches = Number()
    callbacks = Number()


class NativeAlarms(Shape):
    orphans = Number(help_text="Live executions in which nothing is live.")
    leases_overdue = Number(help_text="Lost leases that the sweep should have taken back.")
    sweep_late = serializers.BooleanField(help_text="No sweep for 10 s: recovery stands still.")
    no_worker = serializers.BooleanField(help_text="Something is due, and no worker is alive.")


class NativeQueue(Shape):
    due = Number(help_text="May be claimed now.")
    published = Number(help_text="A doorbell was rung, and nobody has claimed it yet.")
    delayed = Number(help_text="Pending until a moment in the future.")
    held = Number(help_text="Of executions that are held.")
    running = Number()
    retrying = Number()
    waiting = NativeWaiting()
    uncertain = Number()
    open_reviews = Number()
    oldest_due_seconds = serializers.FloatField(allow_null=True)
    queued = Number(help_text="Pending and retrying: what counts against the limit.")
    limit = Number(allow_null=True)
    used = serializers.FloatField(allow_null=True, help_text="queued / limit")
    workers = Number(help_text="Of the installation.")
    slots = Number()
    sweeps = Number()
    alarms = NativeAlarms()
