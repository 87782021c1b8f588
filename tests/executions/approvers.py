"""People who vote, policies that want their votes, and steps that wait for them."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from accounts.models import Tenant, User
from accounts.selectors import actor_of_user, caller_of_key
from core.actors import Actor
from executions.models import Execution, StepRun
from executions.services import answer_request
from executions.tasks import run_from
from manual.models import ApprovalPolicy, ManualRequest
from manual.policies import save_policy
from manual.services import Answer
from tests.executions.acting import advance, asked, change, one_step, post, run_of
from tests.factories import ApiKeyFactory, UserFactory
from tests.flows.starting import Start


def person(tenant: Tenant, name: str, role: str = "approver") -> Actor:
    """A user of the tenant, at the keyboard."""
    user: User = UserFactory(tenant=tenant, email=f"{name}@example.org", role=role)
    return actor_of_user(user)


def through_key(actor: Actor) -> Actor:
    """The same person, through a key of theirs."""
    assert actor.person is not None
    return caller_of_key(ApiKeyFactory(owner=User.objects.get(pk=actor.person))).actor


def policy(tenant: Tenant, name: str = "calls are approved", **more: Any) -> ApprovalPolicy:
    return save_policy(tenant=tenant, name=name, now=timezone.now(), **more)


def vote(request: ManualRequest, by: Actor, *, yes: bool = True, comment: str = "") -> ManualRequest:
    answer = Answer(success=yes, comment=comment)
    return answer_request(request=request, answer=answer, actor=by, now=timezone.now())


def run(execution: Execution, step: str = "p") -> StepRun:
    """Let a worker take the step up, which is due at once."""
    change(run_of(execution, step).pk, "due_at = LEAST(due_at, clock_timestamp())")
    run_from(run_of(execution, step).pk)
    return run_of(execution, step)


def waiting(start: Start, **step: Any) -> Execution:
    """An execution whose one step, a call of the ledger, waits for its approval."""
    execution = start(one_step(post("p", **step)))
    advance(execution, "start")
    run(execution)
    assert asked(execution, "p").kind == "approval"
    return execution
