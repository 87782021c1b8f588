"""Reading questions: which of them are open, and to whom they are shown."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.postgres.fields import ArrayField
from django.db.models import BooleanField, DateTimeField, F, Func, Q, QuerySet, TextField, Value

from core.actors import Actor
from core.errors import NotFound
from manual.models import ManualRequest, Vote

if TYPE_CHECKING:
    from accounts.models import Tenant

_STEP_REFERENCE = re.compile(
    r"(?P<prefix>[a-z][a-z0-9-]*--)?(?P<uuid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
)


class RequestNotFound(NotFound):
    code = "request_not_found"


class ClockTimestamp(Func):
    """The database's clock at this very moment: deadlines are compared with no other."""

    function = "clock_timestamp"
    output_field = DateTimeField()


def is_open() -> Q:
    """The condition under which a request can still be answered."""
    return Q(status="open") & (Q(deadline_at__isnull=True) | Q(deadline_at__gt=ClockTimestamp()))


def list_requests(tenant: Tenant) -> QuerySet[ManualRequest]:
    """Every request of the tenant, the oldest first."""
    return ManualRequest.objects.filter(tenant=tenant).order_by("requested_at", "id")


def list_open(tenant: Tenant, actor: Actor) -> QuerySet[ManualRequest]:
    """The open requests that are put to ``actor``, the oldest first."""
    return list_requests(tenant).filter(is_open(), _put_to(actor))


def find_open(tenant: Tenant, execution_id: UUID, step_ref: str, *, actor: Actor | None = None) -> ManualRequest:
    """Return the oldest open request at a step of an execution.

    ``step_ref`` is the step's id in the playbook, the bare UUID of that id, or the step run's UUID; hexadecimal
    digits in either case. With ``actor``, a request that is not put to them counts as absent.
    Raises RequestNotFound for whatever does not wait there: unknown, answered, expired, another tenant's.
    """
    found = list_requests(tenant).filter(is_open(), _at_step(step_ref), execution_id=execution_id)
    if actor is not None:
        found = found.filter(_put_to(actor))
    request = found.first()
    if request is None:
        raise RequestNotFound("Nothing waits for a person at this step.")
    return request


def list_approvals(tenant: Tenant, actor: Actor) -> QuerySet[ManualRequest]:
    """Every approval that is or was put to ``actor``, the oldest first, with its votes."""
    return list_requests(tenant).filter(_put_to(actor), kind="approval").prefetch_related("votes")


def get_approval(tenant: Tenant, request_id: UUID, *, actor: Actor) -> ManualRequest:
    """Return one approval, open or over. Raises RequestNotFound, also for one that is put to other people."""
    request = list_approvals(tenant, actor).filter(pk=request_id).first()
    if request is None:
        raise RequestNotFound("There is no such approval.")
    return request


def votes_of(request: ManualRequest) -> list[Vote]:
    """The votes cast so far, in their order."""
    return list(request.votes.all())


def list_of_step_runs(step_run_ids: Collection[UUID]) -> QuerySet[ManualRequest]:
    """Every request of these step runs, the oldest first."""
    return ManualRequest.objects.filter(step_run_id__in=step_run_ids).order_by("requested_at", "id")


def list_due(*, limit: int) -> QuerySet[ManualRequest]:
    """At most ``limit`` open requests whose deadline has passed, the longest overdue first."""
    return ManualRequest.objects.filter(status="open", deadline_at__lte=ClockTimestamp()).order_by("deadline_at")[
        :limit
    ]


def addresses_of(actor: Actor) -> frozenset[str]:
    """The words by which a request's ``approvers`` can mean this actor: roles, and the e-mail of the person behind it.

    A key's name is chosen by whoever makes the key, so it is never taken for an e-mail.
    """
    email = email_of(actor)
    return actor.roles | {email.lower()} if email else actor.roles


def email_of(actor: Actor) -> str | None:
    """Return the e-mail of the person who acts, also through a key of theirs; None when there is no person."""
    if actor.person is None:
        return None
    return get_user_model().objects.filter(pk=actor.person).values_list("email", flat=True).first()


class StandsOnEach(Func):
    """True where each list of a jsonb array of lists holds one of the given words."""

    template = "(NOT EXISTS (SELECT 1 FROM jsonb_array_elements(%(expressions)s::text[]))))"
    arg_joiner = ") AS each(words) WHERE NOT (each.words ?| ("
    output_field = BooleanField()


def _put_to(actor: Actor) -> Q:
    words = sorted(addresses_of(actor))
    others = StandsOnEach(F("also_approvers"), Value(words, output_field=ArrayField(TextField())))
    return (Q(approvers__len=0) | Q(approvers__overlap=words)) & Q(others)


def _at_step(reference: str) -> Q:
    match = _STEP_REFERENCE.fullmatch(reference)
    if match is None:
        return Q(step_id=reference) if "\x00" not in reference else Q(pk__in=())
    by_id = Q(step_id__startswith=match["prefix"] or "", step_id__iendswith="--" + match["uuid"])
    return by_id if match["prefix"] else by_id | Q(step_run_id=UUID(match["uuid"]))
