"""Putting a question to people, and taking the one answer that counts.

A person's answer comes in through `executions.services.answer_request`, which locks the execution first and
calls `check_values` and `answer` here inside its own transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from core.actors import Actor
from core.errors import Conflict, FieldError, Forbidden, Invalid
from manual.models import ManualRequest, RequestKind
from manual.selectors import addresses_of, email_of, is_open, list_due

#: The field of the form that a yes-or-no question has, and that of a choice.
VERDICT = "__sallyport_verdict__"
CHOICE = "__sallyport_choice__"

#: Characters in one answered value, counted in its text form.
MAX_VALUE = 128 * 1024
MAX_COMMENT = 2000

Convert = Callable[[Any, str], Any]
"""(a value as it was sent, a CACAO type) -> the value in its stored form; ValueError when it does not fit."""


class RequestAlreadyOpen(Conflict):
    code = "request_already_open"


class RequestGone(Conflict):
    """It was answered, it expired, or its step was stopped. The message says by whom and when."""

    code = "request_gone"


class ValueRefused(Invalid):
    """What was answered does not fit the question. The request stays open."""

    code = "value_refused"


class NotYours(Forbidden):
    code = "not_yours"


@dataclass(frozen=True)
class Answer:
    """What a person says: ``success`` is done or approved, and ``values`` the form's fields by variable name."""

    success: bool
    values: Mapping[str, Any] = field(default_factory=dict)
    comment: str = ""


@dataclass(frozen=True)
class Approval:
    """What an approval adds to a question. ``approvers``: of further policies; each list must fit whoever votes.

    ``excluded``: id of a person whose vote does not count under four eyes -> what they did. ``shown``: what the step
    will do, without secrets, and ``digest`` of exactly that; None for an approval step of a playbook.
    """

    votes_needed: int = 1
    noes_needed: int = 1
    four_eyes: bool = False
    approvers: Sequence[Sequence[str]] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)
    policies: Sequence[str] = ()
    shown: Mapping[str, Any] | None = None
    digest: str = ""
    reason: str = ""


def open_request(
    *,
    tenant_id: UUID,
    execution_id: UUID,
    step_run_id: UUID,
    step_id: str,
    playbook_cacao_id: str,
    kind: str,
    text: str,
    description: str = "",
    commands: Sequence[Mapping[str, Any]] = (),
    targets: Mapping[str, Any] | None = None,
    out_args: Mapping[str, Any] | None = None,
    choices: Sequence[str] = (),
    approvers: Sequence[str] = (),
    deadline_at: datetime | None = None,
    approval: Approval | None = None,
    now: datetime,
) -> ManualRequest:
    """Put a question to people.

    ``out_args`` maps a variable's name to {type, name, description, value, constant, external}; a decision and a
    choice get the one field by which they are answered. ``approvers`` are e-mails or roles; none: whoever has the
    right. ``approval``: how votes are counted, and what is approved. Raises RequestAlreadyOpen when the step run asks
    already.
    """
    fields = {**(out_args or {}), **_own_field(kind, text, choices)}
    try:
        with transaction.atomic():
            return ManualRequest.objects.create(
                tenant_id=tenant_id,
                execution_id=execution_id,
                step_run_id=step_run_id,
                step_id=step_id,
                playbook_cacao_id=playbook_cacao_id,
                kind=kind,
                text=_showable(text),
                description=_showable(description),
                commands=_showable(commands),
                targets=_showable(targets or {}),
                out_args=_showable(fields),
                choices=_showable(choices),
                approvers=[_normalised(approver) for approver in approvers],
                deadline_at=deadline_at,
                requested_at=now,
                **_columns(approval or Approval()),
            )
    except IntegrityError as error:
        if "one_open_request_per_step_run" not in str(error):
            raise
        raise RequestAlreadyOpen("This step run waits for a person already.") from error


def check_values(*, request: ManualRequest, answer: Answer, convert: Convert) -> Answer:
    """Return the answer with every value converted to its variable's type.

    Names, presence, size and type are checked: on success every field of the form is needed, on failure none is (null
    counts as absent), and a name that the form does not have is refused either way. Raises ValueRefused, which names
    the variable.
    """
    if len(answer.comment) > MAX_COMMENT:
        raise ValueRefused(f"The comment is longer than {MAX_COMMENT} characters.")
    unknown = sorted(set(answer.values) - set(request.out_args))
    if unknown:
        raise _refused(unknown[0], "is not asked for by this step")
    missing = [name for name in request.out_args if name not in answer.values]
    if answer.success and missing:
        raise _refused(missing[0], "is missing: a successful answer gives every variable that is asked for")
    given = {name: value for name, value in answer.values.items() if answer.success or value is not None}
    values = {name: _converted(request, name, value, convert) for name, value in given.items()}
    return replace(answer, values=values)


@transaction.atomic
def answer(*, request: ManualRequest, answer: Answer, actor: Actor, now: datetime) -> ManualRequest:
    """Answer the request. ``answer`` has been through `check_values`.

    One UPDATE decides between two callers, the sweep and a stop. Raises NotYours for an actor who may not answer
    it, RequestGone for whoever comes second or too late.
    """
    check_may_answer(request=request, actor=actor)
    stored = {
        "status": "success" if answer.success else "failure",
        "values": dict(answer.values),
        "comment": answer.comment,
    }
    name = email_of(actor) or actor.name
    first = ManualRequest.objects.filter(is_open(), pk=request.pk, tenant_id=request.tenant_id).update(
        status="answered", answer=stored, answered_at=now, answered_by=name, answered_by_id=actor.id
    )
    current = ManualRequest.objects.get(pk=request.pk, tenant_id=request.tenant_id)
    if not first:
        raise gone(current)
    return current


def verdict_of(request: ManualRequest) -> bool | str | None:
    """Return what people decided: yes or no of a decision, the key of a choice; None while or unless they did."""
    if request.answer is None or request.answer["status"] != "success":
        return None
    values = request.answer["values"]
    if request.kind == RequestKind.DECISION:
        return bool(values[VERDICT] == "true")
    return str(values[CHOICE]) if request.kind == RequestKind.CHOICE else None


def check_may_answer(*, request: ManualRequest, actor: Actor) -> None:
    """Raise NotYours unless the actor has the right and the request is put to them."""
    needed = "approvals:decide" if request.kind == RequestKind.APPROVAL else "manual:respond"
    if not actor.may(needed):
        raise NotYours(f"To answer this, the permission {needed} is needed.", permission=needed)
    lists = [each for each in (request.approvers, *request.also_approvers) if each]
    if lists and not all(addresses_of(actor) & set(each) for each in lists):
        raise NotYours("This is put to other people.")


def may_answer(*, request: ManualRequest, actor: Actor) -> bool:
    try:
        check_may_answer(request=request, actor=actor)
    except NotYours:
        return False
    return True


@transaction.atomic
def expire_due(*, limit: int = 100) -> list[ManualRequest]:
    """Expire open requests past their deadline, at most ``limit``, by the database's clock; return them.

    Two sweeps at once get different rows. What becomes of the step runs is the caller's to say.
    """
    due = list(list_due(limit=limit).select_for_update(skip_locked=True))
    ManualRequest.objects.filter(pk__in=[request.pk for request in due]).update(status="expired")
    for request in due:
        request.status = "expired"
    return due


def expire_for_step_runs(*, step_run_ids: Collection[UUID]) -> int:
    """Expire the open requests of step runs whose own deadline has passed; return how many there were."""
    return ManualRequest.objects.filter(step_run_id__in=step_run_ids, status="open").update(status="expired")


def cancel_for_step_runs(*, step_run_ids: Collection[UUID]) -> int:
    """Withdraw the open requests of step runs that are stopped; return how many there were."""
    return ManualRequest.objects.filter(step_run_id__in=step_run_ids, status="open").update(status="cancelled")


def _columns(approval: Approval) -> dict[str, Any]:
    return {
        "votes_needed": approval.votes_needed,
        "noes_needed": approval.noes_needed,
        "four_eyes": approval.four_eyes,
        "also_approvers": [list(each) for each in approval.approvers],
        "excluded": dict(approval.excluded) if approval.four_eyes else {},
        "policies": list(approval.policies),
        "shown": approval.shown,
        "digest": approval.digest,
        "reason": approval.reason,
    }


def _own_field(kind: str, text: str, choices: Sequence[str]) -> dict[str, Any]:
    if kind == RequestKind.DECISION:
        return {VERDICT: _field(VERDICT, "bool", text)}
    if kind == RequestKind.CHOICE:
        return {CHOICE: _field(CHOICE, "string", "One of: " + ", ".join(choices))}
    return {}


def _field(name: str, type_: str, description: str) -> dict[str, Any]:
    return {
        "type": type_, "name": name, "description": description, "value": None, "constant": False, "external": False,
    }  # fmt: skip


def _showable(value: Any) -> Any:
    """Return a copy that PostgreSQL can hold: a playbook may hold NUL, text and jsonb may not."""
    match value:
        case str():
            return value.replace("\x00", "\N{SYMBOL FOR NULL}")
        case Mapping():
            return {_showable(key): _showable(member) for key, member in value.items()}
        case list() | tuple():
            return [_showable(member) for member in value]
        case _:
            return value


def _normalised(approver: str) -> str:
    return approver.strip().lower() if "@" in approver else approver.strip()


def _converted(request: ManualRequest, name: str, value: Any, convert: Convert) -> Any:
    if value is None:
        raise _refused(name, "has no value")
    try:
        converted = convert(value, str(request.out_args[name].get("type", "string")))
    except ValueError as error:
        raise _refused(name, str(error)) from error
    if len(str(converted)) > MAX_VALUE:
        raise _refused(name, f"is longer than {MAX_VALUE} characters")
    if name == CHOICE and request.kind == RequestKind.CHOICE and converted not in request.choices:
        raise _refused(name, "is none of: " + ", ".join(request.choices))
    return converted


def _refused(name: str, why: str) -> ValueRefused:
    message = f"The variable {name[:300]} {why}."
    return ValueRefused(message, fields=[FieldError(path=name[:300], message=message)], name=name[:300])


def gone(request: ManualRequest) -> RequestGone:
    """Return the refusal of an answer that comes second or too late."""
    context: dict[str, Any] = {
        "status": request.status,
        "answered_by": request.answered_by,
        "answered_at": request.answered_at,
    }
    if request.status == "answered" and request.answered_at is not None:
        moment = request.answered_at.isoformat(timespec="seconds").replace("+00:00", "Z")
        return RequestGone(f"It was answered by {request.answered_by} at {moment}.", **context)
    if request.status == "cancelled":
        return RequestGone("The step that asked was stopped.", **context)
    return RequestGone("The time to answer is over.", **context)
