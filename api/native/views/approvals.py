"""Approvals: what waits for votes, a vote, and the policies that say what needs approval."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers

from api.base import FamilyRequest, Response
from api.fields import Choice, Flag, Input, Text, WholeNumber
from api.native.errors import NativeView
from api.native.queries import newest_key, page
from api.pagination import one_of
from connectors import registry
from connectors import selectors as connectors
from core.errors import DomainError, FieldError, Invalid, NotFound
from executions.services import answer_request
from manual import policies, voting
from manual.models import EFFECTS, ApprovalPolicy, Covers, ManualRequest, RequestStatus
from manual.selectors import get_approval, is_open, list_approvals, votes_of
from manual.services import Answer, check_may_answer
from playbooks import selectors as playbooks

if TYPE_CHECKING:
    Shape = serializers.Serializer[Any]
else:
    Shape = serializers.Serializer

APPROVE, REJECT = "approve", "reject"
LONGEST_COMMENT: Final = 2_000
_LIST_QUERY = [
    OpenApiParameter("status", str, enum=RequestStatus.values, default="open"),
    OpenApiParameter("limit", int, default=50, description="1 to 100."),
    OpenApiParameter("cursor", str, description="`next` of the page before."),
]


class VoteInput(Input):
    """POST /api/native/approvals/{id}/vote"""

    decision = Choice(choices=[APPROVE, REJECT])
    comment = Text(required=False, default="", allow_blank=True, max_length=LONGEST_COMMENT)


class PolicyInput(Input):
    """A whole policy: what is left out has its default. A selector that is left out matches everything."""

    name = Text(max_length=128)
    covers = Choice(choices=Covers.values, required=False, default=Covers.CALLS.value)
    playbook = Text(required=False, allow_null=True, default=None, help_text="CACAO id of a playbook.")
    connection = Text(required=False, allow_null=True, default=None, help_text="Name of a connection.")
    operation = Text(
        required=False, allow_blank=True, default="", max_length=128,
        help_text="An operation (http.request), its S4E name (act-http-request), or a connector (http).",
    )  # fmt: skip
    effects = serializers.ListField(
        child=Choice(choices=list(EFFECTS)), required=False, default=list, help_text="Empty: all but read."
    )
    votes = WholeNumber(required=False, default=1, min_value=1, max_value=policies.MOST_VOTES)
    approvers = serializers.ListField(
        child=Text(max_length=254), required=False, default=list, help_text="E-mails or roles; empty: approvals:decide."
    )
    four_eyes = Flag(required=False, allow_null=True, default=None, help_text="null: as the tenant has it.")
    first_no_decides = Flag(required=False, default=True)
    deadline_seconds = WholeNumber(required=False, allow_null=True, default=None, min_value=1)
    is_enabled = Flag(required=False, default=True)


class VoteShape(Shape):
    by = serializers.CharField()
    decision = serializers.ChoiceField(choices=[APPROVE, REJECT])
    comment = serializers.CharField()
    at = serializers.DateTimeField()


class VotesShape(Shape):
    approved = serializers.IntegerField()
    rejected = serializers.IntegerField()
    needed = serializers.IntegerField(help_text="So many yeses approve.")
    rejections_needed = serializers.IntegerField(help_text="So many noes reject.")
    cast = VoteShape(many=True)


class ApprovalShape(Shape):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=["open", "approved", "rejected", "expired", "cancelled"])
    execution_id = serializers.UUIDField()
    step_run_id = serializers.UUIDField()
    step_id = serializers.CharField()
    playbook_id = serializers.CharField()
    text = serializers.CharField()
    asked_for = serializers.JSONField(allow_null=True, help_text="What the step will do; null for an approval step.")
    digest = serializers.CharField(help_text="SHA-256 of asked_for in canonical form (RFC 8785).")
    reason = serializers.CharField(help_text="changed: something else was approved before.")
    policies = serializers.ListField(child=serializers.CharField())
    approvers = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    four_eyes = serializers.BooleanField()
    requested_at = serializers.DateTimeField()
    deadline_at = serializers.DateTimeField(allow_null=True)
    decided_by = serializers.CharField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    votes = VotesShape()
    may_vote = serializers.BooleanField(help_text="Whether a vote of the caller would count.")
    may_not_because = serializers.CharField(allow_null=True)


class ApprovalPage(Shape):
    items = ApprovalShape(many=True)
    next = serializers.CharField(allow_null=True)


class ApprovalPolicyShape(PolicyInput):
    id = serializers.UUIDField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ApprovalPolicies(Shape):
    items = ApprovalPolicyShape(many=True)


class Approvals(NativeView):
    """GET /api/native/approvals"""

    permissions: ClassVar[dict[str, str]] = {"GET": "manual:read"}

    @extend_schema(operation_id="list_approvals", parameters=_LIST_QUERY, responses=ApprovalPage)
    def get(self, request: FamilyRequest) -> Response:
        """List approvals that are put to the caller, the oldest first."""
        status = one_of(request, "status", RequestStatus.values) or "open"
        found = list_approvals(request.tenant, request.actor).filter(status=status)
        rows, following = page(
            request,
            found.filter(is_open()) if status == "open" else found,
            name="approvals",
            filters={"status": status},
            key=lambda row: newest_key(row.requested_at, row.pk),
            after=_after,
        )
        return Response({"items": [_approval(row, request) for row in rows], "next": following})


def _after(found: QuerySet[ManualRequest], place: list[str]) -> QuerySet[ManualRequest]:
    moment = datetime.fromisoformat(place[0])
    return found.filter(requested_at__gte=moment).exclude(requested_at=moment, id__lte=UUID(place[1]))


class Approval(NativeView):
    """GET /api/native/approvals/{id}"""

    permissions: ClassVar[dict[str, str]] = {"GET": "manual:read"}

    @extend_schema(operation_id="get_approval", responses=ApprovalShape)
    def get(self, request: FamilyRequest, approval: UUID) -> Response:
        """Return one approval, open or over, with its votes."""
        return Response(_approval(get_approval(request.tenant, approval, actor=request.actor), request))


class ApprovalVote(NativeView):
    """POST /api/native/approvals/{id}/vote"""

    permissions: ClassVar[dict[str, str]] = {"POST": "approvals:decide"}

    @extend_schema(operation_id="vote_on_approval", request=VoteInput, responses=ApprovalShape)
    def post(self, request: FamilyRequest, approval: UUID) -> Response:
        """Vote. One vote a person; the same vote again changes nothing and gets the approval as it stands."""
        body = VoteInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        found = get_approval(request.tenant, approval, actor=request.actor)
        answer = Answer(success=given["decision"] == APPROVE, comment=given["comment"])
        answer_request(request=found, answer=answer, actor=request.actor, now=request.now)
        return Response(_approval(get_approval(request.tenant, approval, actor=request.actor), request))


class Policies(NativeView):
    """GET and POST /api/native/approval-policies"""

    permissions: ClassVar[dict[str, str]] = {"GET": "settings:read", "POST": "settings:write"}

    @extend_schema(operation_id="list_approval_policies", responses=ApprovalPolicies)
    def get(self, request: FamilyRequest) -> Response:
        """List the tenant's policies by name."""
        return Response({"items": [_policy(row) for row in policies.list_policies(request.tenant)]})

    @extend_schema(operation_id="create_approval_policy", request=PolicyInput, responses={201: ApprovalPolicyShape})
    def post(self, request: FamilyRequest) -> Response:
        """Make a policy. It holds for every step that is prepared from now on."""
        return Response(_policy(_saved(request)), status=201)


class Policy(NativeView):
    """GET, PUT and DELETE /api/native/approval-policies/{id}"""

    permissions: ClassVar[dict[str, str]] = {
        "GET": "settings:read",
        "PUT": "settings:write",
        "DELETE": "settings:write",
    }

    @extend_schema(operation_id="get_approval_policy", responses=ApprovalPolicyShape)
    def get(self, request: FamilyRequest, policy: UUID) -> Response:
        """Return one policy."""
        return Response(_policy(policies.get_policy(request.tenant, policy)))

    @extend_schema(operation_id="replace_approval_policy", request=PolicyInput, responses=ApprovalPolicyShape)
    def put(self, request: FamilyRequest, policy: UUID) -> Response:
        """Replace a policy wholly. Requests that are open keep the rules they were opened with."""
        return Response(_policy(_saved(request, policies.get_policy(request.tenant, policy))))

    @extend_schema(operation_id="delete_approval_policy", responses={204: None})
    def delete(self, request: FamilyRequest, policy: UUID) -> Response:
        """Remove a policy."""
        policies.delete_policy(policies.get_policy(request.tenant, policy))
        return Response(status=204)


def _saved(request: FamilyRequest, policy: ApprovalPolicy | None = None) -> ApprovalPolicy:
    body = PolicyInput(data=request.data)
    body.is_valid(raise_exception=True)
    given = dict(body.validated_data)
    seconds = given.pop("deadline_seconds")
    try:
        deadline = None if seconds is None else timedelta(seconds=seconds)
    except OverflowError:
        raise _refused("deadline_seconds", f"At most {policies.LONGEST.days} days.") from None
    _check_operation(given["operation"])
    playbook, connection = given.pop("playbook"), given.pop("connection")
    saved = policies.save_policy(
        tenant=request.tenant,
        policy=policy,
        now=request.now,
        playbook=None if playbook is None else _playbook_id(request, playbook),
        connection=None if connection is None else _connection_id(request, connection),
        deadline=deadline,
        **given,
    )
    return policies.get_policy(request.tenant, saved.pk)


def _check_operation(word: str) -> None:
    """A word that names nothing would make a policy that never asks, and nobody would know."""
    known = registry.operations()
    words = {""} | set(known) | {name.partition(".")[0] for name in known} | {s.reference for s in known.values()}
    if word not in words:
        raise _refused("operation", f"Nothing here is called {word[:100]!r}.")


def _playbook_id(request: FamilyRequest, cacao_id: str) -> UUID:
    found = playbooks.find_by_cacao_id(request.tenant, cacao_id)
    if found is None:
        raise _refused("playbook", f"There is no playbook {cacao_id[:100]!r}.")
    return found.pk


def _connection_id(request: FamilyRequest, name: str) -> UUID:
    try:
        return connectors.get_connection(request.tenant.pk, name=name).pk
    except NotFound:
        raise _refused("connection", f"There is no connection {name[:100]!r}.") from None


def _refused(path: str, message: str) -> Invalid:
    return Invalid(message, fields=[FieldError(path, message)])


def _policy(row: ApprovalPolicy) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "name": row.name,
        "covers": row.covers,
        "playbook": row.playbook.cacao_id if row.playbook else None,
        "connection": row.connection.name if row.connection else None,
        "operation": row.operation,
        "effects": row.effects,
        "votes": row.votes,
        "approvers": row.approvers,
        "four_eyes": row.four_eyes,
        "first_no_decides": row.first_no_decides,
        "deadline_seconds": None if row.deadline is None else int(row.deadline.total_seconds()),
        "is_enabled": row.is_enabled,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _approval(row: ManualRequest, request: FamilyRequest) -> dict[str, Any]:
    cast = votes_of(row)
    why_not = _why_not(row, request, has_voted=any(vote.voter == voting.voter_of(request.actor) for vote in cast))
    return {
        "id": str(row.pk),
        "status": _status(row),
        "execution_id": str(row.execution_id),
        "step_run_id": str(row.step_run_id),
        "step_id": row.step_id,
        "playbook_id": row.playbook_cacao_id,
        "text": row.text,
        "asked_for": row.shown,
        "digest": row.digest,
        "reason": row.reason,
        "policies": row.policies,
        "approvers": [each for each in (row.approvers, *row.also_approvers) if each],
        "four_eyes": row.four_eyes,
        "requested_at": row.requested_at,
        "deadline_at": row.deadline_at,
        "decided_by": row.answered_by or None,
        "decided_at": row.answered_at,
        "votes": {
            "approved": sum(vote.approves for vote in cast),
            "rejected": sum(not vote.approves for vote in cast),
            "needed": row.votes_needed,
            "rejections_needed": row.noes_needed,
            "cast": [
                {
                    "by": vote.name,
                    "decision": APPROVE if vote.approves else REJECT,
                    "comment": vote.comment,
                    "at": vote.voted_at,
                }
                for vote in cast
            ],
        },
        "may_vote": why_not is None,
        "may_not_because": why_not,
    }


def _status(row: ManualRequest) -> str:
    if row.answer is None:
        return str(row.status)
    return "approved" if row.answer["status"] == "success" else "rejected"


def _why_not(row: ManualRequest, request: FamilyRequest, *, has_voted: bool) -> str | None:
    if row.status != "open" or (row.deadline_at is not None and row.deadline_at <= request.now):
        return "It is not open any more."
    if has_voted:
        return "You voted already."
    try:
        check_may_answer(request=row, actor=request.actor)
        voting.check_four_eyes(row, request.actor)
    except DomainError as error:
        return error.message
    return None
