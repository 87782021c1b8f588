"""Stores a playbook of the S4E dialect: checked, compiled, and kept as its author wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from api.s4e.dialect.compiling import compile_playbook
from api.s4e.dialect.document import Playbook
from api.s4e.dialect.faults import PlaybookInvalid
from api.s4e.dialect.reading import read_playbook
from connectors import registry
from core import strict_json
from core.actors import Actor
from playbooks.cacao.types import Workflow
from playbooks.services import new_cacao_id, store_dialect
from playbooks.slugs import slug_of

if TYPE_CHECKING:
    from accounts.models import Tenant
    from playbooks.models import PlaybookVersion

DIALECT = "s4e"


def references() -> dict[str, str]:
    """Return the ``action_ref``s that exist here, and the operation each stands for."""
    return {reference: spec.name for reference, spec in registry.references().items()}


def store(*, tenant: Tenant, octets: bytes, actor: Actor, now: datetime, keeps_id: bool = False) -> PlaybookVersion:
    """Store a new playbook. Raises JsonInvalid, PlaybookInvalid with every fault, and NameTaken.

    ``keeps_id``: a playbook that the project ships keeps the ``id`` in its file; else the name makes it.
    """
    body = strict_json.loads(octets)
    if not isinstance(body, dict):
        raise PlaybookInvalid("A playbook is a JSON object.")
    known = references()
    playbook = read_playbook(body, references=known)
    workflow = compile_playbook(playbook, references=known)
    return put(
        tenant=tenant, octets=octets, playbook=playbook, workflow=workflow, cacao_id=new_cacao_id(), derived_from=(),
        slug=str(body.get("id", "")).removeprefix("pb-") if keeps_id else "", actor=actor, now=now,
    )  # fmt: skip


def put(
    *,
    tenant: Tenant,
    octets: bytes,
    playbook: Playbook,
    workflow: Workflow,
    cacao_id: str,
    derived_from: tuple[str, ...],
    actor: Actor,
    now: datetime,
    slug: str = "",
) -> PlaybookVersion:
    """Store a playbook that was read and compiled already; its name makes the slug. Raises NameTaken."""
    return store_dialect(
        tenant=tenant,
        octets=octets,
        dialect=DIALECT,
        workflow=workflow,
        slug=slug or slug_of(playbook.name),
        name=playbook.name,
        description=playbook.description,
        label=playbook.version,
        trigger=playbook.trigger,
        tags=playbook.tags,
        step_count=len(playbook.steps),
        cacao_id=cacao_id,
        derived_from=derived_from,
        actor=actor,
        now=now,
    )


def body_of(document: Mapping[str, Any], *, trigger: Mapping[str, Any]) -> dict[str, Any]:
    """Return every field of a stored body, defaults filled in, steps as sent."""
    shown: dict[str, Any] = {
        "name": document["name"],
        "version": document["version"],
        "description": document.get("description") or "",
        "trigger": dict(trigger),
        "steps": document["steps"],
        "on_failure": document.get("on_failure") or "abort",
        "timeout_minutes": document.get("timeout_minutes"),
        "tags": document.get("tags") or [],
        "inputs": document.get("inputs") or {},
    }
    if document.get("max_retries") is not None:
        shown["max_retries"] = document["max_retries"]
    elif shown["on_failure"] == "retry":
        shown["max_retries"] = 3
    return shown
