"""Approval policies: which of them apply, and what they ask for together: the strictest of each.

Most votes; four eyes where one of them wants it; the shortest time; a first no that decides where it does for one of
them; and whoever votes stands on every list of approvers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from core.errors import Conflict, FieldError, Invalid, NotFound
from manual.models import EFFECTS, ApprovalPolicy, Covers

if TYPE_CHECKING:
    from accounts.models import Tenant

MOST_VOTES = 20
MOST_APPROVERS = 100
LONGEST = timedelta(days=30)
READ = "read"
#: SQL: the tenant of ``s`` has a policy for calls; without one nobody need look for those that fit
COVERS_CALLS = (
    "EXISTS (SELECT 1 FROM manual_approvalpolicy p"
    " WHERE p.tenant_id = s.tenant_id AND p.is_enabled AND p.covers = 'calls')"
)


class PolicyInvalid(Invalid):
    code = "policy_invalid"


class PolicyExists(Conflict):
    code = "policy_exists"


class PolicyNotFound(NotFound):
    code = "policy_not_found"


@dataclass(frozen=True)
class Deed:
    """What a policy looks at in one planned call. ``reference``: the name by which an S4E playbook calls it."""

    operation: str
    effect: str
    reference: str | None = None
    connection_id: UUID | None = None


@dataclass(frozen=True)
class Rules:
    """By whose votes an approval is decided. ``approvers``: lists of e-mails and roles, each of which must fit."""

    votes: int = 1
    four_eyes: bool = False
    first_no_decides: bool = True
    approvers: tuple[tuple[str, ...], ...] = ()
    deadline: timedelta | None = None
    policies: tuple[str, ...] = ()


def rules_for_calls(*, tenant_id: UUID, playbook_id: UUID, deeds: Sequence[Deed]) -> Rules | None:
    """Return the rules by which a step that makes these calls is approved; None when it needs no approval."""
    policies = [policy for policy in _enabled(tenant_id, Covers.CALLS) if _covers(policy, playbook_id, deeds)]
    return _strictest(policies) if policies else None


def rules_for_step(*, tenant: Tenant, playbook_id: UUID, approvers: Sequence[str], deadline: timedelta) -> Rules:
    """Return the rules of an approval step. ``approvers`` and ``deadline`` are the author's own."""
    policies = [policy for policy in _enabled(tenant.pk, Covers.STEPS) if policy.playbook_id in (None, playbook_id)]
    found = _strictest(policies) if policies else Rules(four_eyes=tenant.four_eyes)
    own = (_normalised(approvers),) if approvers else ()
    spans = [deadline] if found.deadline is None else [deadline, found.deadline]
    return replace(found, approvers=_distinct(own + found.approvers), deadline=min(spans))


def always_asked(*, tenant_id: UUID, operations: Iterable[tuple[str, str | None]]) -> frozenset[str]:
    """Of these operations (name, S4E reference), those that a policy covers wherever they stand."""
    policies = list(_enabled(tenant_id, Covers.CALLS).filter(playbook=None, connection=None, effects=[]))
    return frozenset(
        name for name, reference in operations if any(_names(policy.operation, name, reference) for policy in policies)
    )


def list_policies(tenant: Tenant) -> QuerySet[ApprovalPolicy]:
    """The tenant's policies by name, those too that are switched off."""
    return ApprovalPolicy.objects.filter(tenant=tenant).select_related("playbook", "connection").order_by("name", "id")


def get_policy(tenant: Tenant, policy_id: UUID) -> ApprovalPolicy:
    """Raises PolicyNotFound."""
    found = list_policies(tenant).filter(pk=policy_id).first()
    if found is None:
        raise PolicyNotFound("There is no such approval policy.")
    return found


def save_policy(
    *, tenant: Tenant, policy: ApprovalPolicy | None = None, now: datetime, **wanted: Any
) -> ApprovalPolicy:
    """Make a policy, or replace one wholly. ``wanted``: the model's fields, ``playbook`` and ``connection`` as ids.

    Raises PolicyInvalid with a fault for each field, PolicyExists when the name is taken.
    """
    made = ApprovalPolicy(id=policy.id, created_at=policy.created_at) if policy else ApprovalPolicy(created_at=now)
    made.tenant, made.updated_at = tenant, now
    made.playbook_id, made.connection_id = wanted.pop("playbook", None), wanted.pop("connection", None)
    for name, value in wanted.items():
        setattr(made, name, value)
    made.approvers = list(_normalised(made.approvers))
    faults = faults_of(made)
    if faults:
        raise PolicyInvalid(f"The policy cannot be stored. {faults[0].path}: {faults[0].message}", fields=faults)
    try:
        with transaction.atomic():
            made.save(force_insert=policy is None, force_update=policy is not None)
    except IntegrityError as error:
        if "one_approval_policy_per_name" not in str(error):
            raise
        raise PolicyExists(f"There is a policy {made.name!r} already.") from None
    return made


def delete_policy(policy: ApprovalPolicy) -> None:
    """Requests that are open keep the rules that they were opened with."""
    policy.delete()


def faults_of(policy: ApprovalPolicy) -> list[FieldError]:
    """Say what is wrong with a policy, field by field."""
    return [*_selector_faults(policy), *_rule_faults(policy)]


def _selector_faults(policy: ApprovalPolicy) -> list[FieldError]:
    faults = []
    if not policy.name.strip() or len(policy.name) > 128 or not policy.name.isprintable():
        faults.append(FieldError("name", "1 to 128 characters that can be printed."))
    if policy.covers not in Covers.values:
        faults.append(FieldError("covers", f"One of {', '.join(Covers.values)}."))
    if len(policy.operation) > 128 or not (policy.operation == "" or policy.operation.isprintable()):
        faults.append(FieldError("operation", "At most 128 characters that can be printed."))
    if not set(policy.effects) <= set(EFFECTS):
        faults.append(FieldError("effects", f"Each is one of {', '.join(EFFECTS)}."))
    if policy.covers == Covers.STEPS and (policy.operation or policy.effects or policy.connection_id):
        faults.append(FieldError("covers", "Approval steps call nothing: they are selected by playbook alone."))
    for name in ("playbook", "connection"):
        row = getattr(policy, name) if getattr(policy, f"{name}_id") else None
        if row is not None and row.tenant_id != policy.tenant_id:
            faults.append(FieldError(name, "It belongs to another tenant."))
    return faults


def _rule_faults(policy: ApprovalPolicy) -> list[FieldError]:
    faults = []
    if not 1 <= policy.votes <= MOST_VOTES:
        faults.append(FieldError("votes", f"1 to {MOST_VOTES}."))
    approvers = _normalised(policy.approvers)
    if len(approvers) > MOST_APPROVERS or not all(0 < len(a) <= 254 and a.isprintable() for a in approvers):
        faults.append(FieldError("approvers", f"At most {MOST_APPROVERS} e-mails or roles."))
    elif is_of_people(approvers) and len(approvers) < policy.votes:
        faults.append(FieldError("votes", f"{policy.votes} votes are wanted of {len(approvers)} people."))
    if policy.deadline is not None and not timedelta(seconds=1) <= policy.deadline <= LONGEST:
        faults.append(FieldError("deadline", f"1 second to {LONGEST.days} days."))
    return faults


def is_of_people(approvers: Sequence[str]) -> bool:
    """Whether a list names people only, so that it is known how many may vote."""
    return bool(approvers) and all("@" in approver for approver in approvers)


def _enabled(tenant_id: UUID, covers: Covers) -> QuerySet[ApprovalPolicy]:
    return (
        ApprovalPolicy.objects.filter(Q(tenant_id=tenant_id), is_enabled=True, covers=covers)
        .select_related("tenant")
        .order_by("name", "id")
    )


def _covers(policy: ApprovalPolicy, playbook_id: UUID, deeds: Sequence[Deed]) -> bool:
    return policy.playbook_id in (None, playbook_id) and any(_is_meant(policy, deed) for deed in deeds)


def _is_meant(policy: ApprovalPolicy, deed: Deed) -> bool:
    if deed.effect not in policy.effects if policy.effects else deed.effect == READ:
        return False
    if policy.connection_id not in (None, deed.connection_id):
        return False
    return _names(policy.operation, deed.operation, deed.reference)


def _names(wanted: str, operation: str, reference: str | None) -> bool:
    """Whether a policy's word means the operation: nothing, its name, its S4E reference, or its connector."""
    return wanted in ("", operation, reference, operation.partition(".")[0])


def _strictest(policies: Sequence[ApprovalPolicy]) -> Rules:
    return Rules(
        votes=max(policy.votes for policy in policies),
        four_eyes=any(policy.tenant.four_eyes if policy.four_eyes is None else policy.four_eyes for policy in policies),
        first_no_decides=any(policy.first_no_decides for policy in policies),
        approvers=_distinct(tuple(_normalised(policy.approvers) for policy in policies if policy.approvers)),
        deadline=min((policy.deadline for policy in policies if policy.deadline), default=None),
        policies=tuple(policy.name for policy in policies),
    )


def _normalised(approvers: Sequence[str]) -> tuple[str, ...]:
    """Each once; e-mails in small letters, as `manual.selectors.addresses_of` compares them."""
    words = (approver.strip() for approver in approvers)
    return tuple(dict.fromkeys(word.lower() if "@" in word else word for word in words))


def _distinct(lists: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(dict.fromkeys(tuple(sorted(set(each))) for each in lists))
