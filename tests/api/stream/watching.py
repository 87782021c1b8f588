"""Keys to watch with, executions to watch, and what their rows say."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from django.utils import timezone

from accounts.models import ApiKey, Tenant, User
from accounts.services import create_user, issue_api_key
from executions.models import Event, Execution
from tests.engine.test_decide import act, end, flow
from tests.flows.starting import start_workflow


@dataclass(frozen=True)
class Key:
    row: ApiKey
    owner: User
    text: str


def make_key(tenant: Tenant, *, role: str = "viewer", scopes: tuple[str, ...] = ()) -> Key:
    now = timezone.now()
    email = f"{uuid4().hex[:8]}@example.org"
    owner = create_user(tenant=tenant, email=email, password=None, role=role, now=now)
    row, text = issue_api_key(tenant=tenant, owner=owner, name="watcher", now=now, scopes=scopes)
    return Key(row, owner, text)


def start_sequence(tenant: Tenant, *, steps: int = 2) -> Execution:
    names = [f"s{number}" for number in range(steps)]
    following = [*names[1:], "end"]
    acts = [act(name, on_success=after) for name, after in zip(names, following, strict=True)]
    return start_workflow(tenant, flow(*acts, end(), first=names[0]), script={})


def seqs_of(execution: Execution) -> list[int]:
    return list(Event.objects.filter(execution=execution).order_by("seq").values_list("seq", flat=True))


def path_of(execution: Execution, *, after: int | str | None = None, more: str = "") -> str:
    query = "" if after is None else f"?after={after}"
    return f"/ws/executions/{execution.id}{query}{more}"
