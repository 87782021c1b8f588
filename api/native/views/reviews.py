"""/api/native/reviews: steps whose effect nobody knows, and a person's word on them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter

from api.base import FamilyRequest, Response
from api.native import ids, outputs, queries, schema
from api.native.errors import NativeView
from api.native.inputs import ResolveInput
from api.pagination import one_of
from core.errors import FieldError, Invalid
from executions import selectors
from executions.services import resolve_review

if TYPE_CHECKING:
    from executions.models import Review

FILTERS = [
    OpenApiParameter("status", str, enum=["open", "resolved"]),
    OpenApiParameter("execution", str, description="UUID or pexec-<n>."),
    OpenApiParameter("playbook", str, description="UUID, pb-<slug> or playbook--<uuid>."),
]


class Reviews(NativeView):
    """GET /api/native/reviews"""

    permissions = {"GET": "playbooks:read"}

    @schema.operation(
        "list_reviews", "List reviews", query=[*FILTERS, *schema.PAGE], problems=[400, 422],
        answers={200: schema.paged(schema.NativeReview)},
    )  # fmt: skip
    def get(self, request: FamilyRequest) -> Response:
        """List reviews, open ones first, then the newest first."""
        filters = {
            "status": one_of(request, "status", ("open", "resolved")),
            "execution": queries.text(request, "execution"),
            "playbook": queries.text(request, "playbook"),
        }
        found = selectors.list_reviews(request.tenant)
        if filters["status"] is not None:
            found = found.filter(status=filters["status"])
        if filters["execution"] is not None:
            found = found.filter(ids.of_execution(filters["execution"]))
        if filters["playbook"] is not None:
            found = found.filter(ids.of_playbook(filters["playbook"], through="execution__"))
        rows, following = queries.page(
            request, found, name="reviews", filters=filters,
            key=lambda row: [row.status, *queries.newest_key(row.opened_at, row.pk)], after=_later,
        )  # fmt: skip
        now = request.now
        return Response({"items": [outputs.review(row, now=now) for row in rows], "next": following})


class ReviewDetail(NativeView):
    """GET /api/native/reviews/{id}"""

    permissions = {"GET": "playbooks:read"}

    @schema.operation("get_review", "Get a review", answers={200: schema.NativeReviewOne}, problems=[404])
    def get(self, request: FamilyRequest, review: UUID) -> Response:
        """Return all that is known of a step's effect: what was called, when, what came late, what may be said now."""
        return _one(request, selectors.get_review(request.tenant, review))


class ReviewResolve(NativeView):
    """POST /api/native/reviews/{id}/resolve"""

    permissions = {"POST": "approvals:decide"}

    @schema.operation(
        "resolve_review", "Resolve a review", takes=ResolveInput, answers={200: schema.NativeReviewOne},
        problems=[400, 404, 409, 413, 415, 422],
    )  # fmt: skip
    def post(self, request: FamilyRequest, review: UUID) -> Response:
        """Say that it happened, that it is to be tried again, or that you give up. The first word counts."""
        found = selectors.get_review(request.tenant, review)
        body = ResolveInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        if "output" in given and given["resolution"] != "happened":
            message = "Only what happened has an output."
            raise Invalid(f"output: {message}", fields=[FieldError("output", message)])
        resolve_review(
            review=found,
            resolution=given["resolution"],
            reason=given["reason"],
            output=given.get("output"),
            actor=request.actor,
            now=request.now,
        )
        return _one(request, selectors.get_review(request.tenant, review))


def _one(request: FamilyRequest, review: Review) -> Response:
    attempts = list(selectors.list_attempts([review.step_run_id]))
    return Response(outputs.review_one(review, attempts, now=request.now))


def _later(found: QuerySet[Review], place: list[str]) -> QuerySet[Review]:
    status, at, pk = place[0], datetime.fromisoformat(place[1]), UUID(place[2])
    same = Q(status=status) & (Q(opened_at__lt=at) | Q(opened_at=at, pk__gt=pk))
    return found.filter(Q(status__gt=status) | same)
