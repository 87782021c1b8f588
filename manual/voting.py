"""Votes on approvals: one a person, counted under the request's lock, decided once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import transaction

from core.actors import Actor
from core.errors import Conflict, Forbidden
from manual.models import ManualRequest, Vote
from manual.policies import Rules, is_of_people
from manual.selectors import email_of, is_open
from manual.services import Answer, check_may_answer, gone


class VotedOtherwise(Conflict):
    """This person said something else before; a vote is not taken back."""

    code = "voted_otherwise"


class FourEyes(Forbidden):
    """The vote of this person does not count here: they had a hand in what is to be approved."""

    code = "four_eyes"


@dataclass(frozen=True)
class Voted:
    """``decides``: this very vote decided the request."""

    request: ManualRequest
    decides: bool


@transaction.atomic
def vote(*, request: ManualRequest, answer: Answer, actor: Actor, now: datetime) -> Voted:
    """Cast one vote. The caller holds the locks of the execution and its step run, in this order.

    The same person saying the same again changes nothing and gets the request as it stands. Raises NotYours,
    FourEyes, VotedOtherwise, RequestGone.
    """
    check_may_answer(request=request, actor=actor)
    locked = ManualRequest.objects.select_for_update().get(pk=request.pk, tenant_id=request.tenant_id)
    earlier = Vote.objects.filter(request=locked, voter=voter_of(actor)).first()
    if earlier is not None:
        if earlier.approves == answer.success:
            return Voted(locked, decides=False)
        raise VotedOtherwise(f"You voted {'yes' if earlier.approves else 'no'} already, and a vote is not taken back.")
    check_four_eyes(locked, actor)
    if not ManualRequest.objects.filter(is_open(), pk=locked.pk).exists():
        raise gone(locked)
    name = email_of(actor) or actor.name
    Vote.objects.create(
        request=locked, tenant_id=locked.tenant_id, voter=voter_of(actor), name=name[:300], approves=answer.success,
        comment=answer.comment, voted_at=now, actor_id=actor.id,
    )  # fmt: skip
    return _counted(locked, answer, actor, name, now)


def _counted(request: ManualRequest, answer: Answer, actor: Actor, name: str, now: datetime) -> Voted:
    said = Vote.objects.filter(request=request, approves=answer.success).count()
    if said < (request.votes_needed if answer.success else request.noes_needed):
        return Voted(request, decides=False)
    request.status = "answered"
    request.answer = {"status": "success" if answer.success else "failure", "values": {}, "comment": answer.comment}
    request.answered_at, request.answered_by, request.answered_by_id = now, name, actor.id
    request.save(update_fields=["status", "answer", "answered_at", "answered_by", "answered_by_id"])
    return Voted(request, decides=True)


def voter_of(actor: Actor) -> str:
    """Who votes: the person, whichever key of theirs is used; a caller who is no person stands for itself."""
    return str(actor.person) if actor.person else f"{actor.kind}:{actor.id}"


def check_four_eyes(request: ManualRequest, actor: Actor) -> None:
    """Raise FourEyes when the actor's vote does not count here."""
    if not request.four_eyes:
        return
    if actor.person is None:
        raise FourEyes("This is approved by four eyes, so a person has to vote, and nobody knows who this is.")
    why = request.excluded.get(str(actor.person))
    if why:
        raise FourEyes(f"This is approved by four eyes, and you {why}: somebody else has to vote.")


def noes_that_decide(*, tenant_id: UUID, rules: Rules, excluded: Mapping[str, str]) -> int:
    """Return how many noes reject: one, or where a no is only a vote, so many that yes cannot be reached any more.

    How many may vote is known only where a list names people; else as many noes reject as yeses approve.
    """
    if rules.first_no_decides:
        return 1
    lists = [set(each) for each in rules.approvers if is_of_people(each)]
    if not lists:
        return rules.votes
    able = _people(tenant_id, sorted(set.intersection(*lists)), excluded if rules.four_eyes else {})
    return max(1, able - rules.votes + 1)


def _people(tenant_id: UUID, emails: Sequence[str], excluded: Mapping[str, str]) -> int:
    users = get_user_model().objects.filter(tenant_id=tenant_id, is_active=True)
    return sum(
        email.lower() in emails and str(pk) not in excluded for pk, email in users.values_list("pk", "email").iterator()
    )
