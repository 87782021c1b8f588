"""Starting a playbook for a tenant: what it is given, and what is left where the engine cannot start it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from api.olorin import ids
from core.database import is_away
from core.errors import Conflict, DomainError, FieldError, Invalid
from core.models import uuid7
from executions.models import Execution
from executions.services import StartRefused, start_execution
from playbooks.inputs import InputInvalid
from playbooks.selectors import PlaybookNotFound, latest_version, list_playbooks, start_values, workflow_of

if TYPE_CHECKING:
    from accounts.models import Tenant
    from core.actors import Actor
    from playbooks.models import Playbook, PlaybookVersion

log = logging.getLogger(__name__)

#: a start that breaks on our side is tried so often in all
TRIES: Final = 3
#: what the execution keeps of the request, beside the context
KEPT: Final = ("investigation_id", "anomaly_id", "trigger_reason")
#: under these names the context reaches the steps; the second is how steps of S4E name an event of anomaly.detected
CONTEXT: Final = "context"
EVENT: Final = "anomaly"
_STATE: Final = frozenset({"playbook_revoked", "playbook_not_yet_valid", "playbook_expired"})


class PlaybookDisabled(Conflict):
    code = "playbook_disabled"


class NotStartable(Conflict):
    code = "not_startable"


class EngineFailed(Exception):
    """Three tries broke on our side. ``execution`` is stored as failed."""

    def __init__(self, execution: Execution) -> None:
        super().__init__("the engine cannot start")
        self.execution = execution


def get_playbook(tenant: Tenant, key: str) -> Playbook:
    """Return the playbook of that key. Raises PlaybookNotFound, PlaybookDisabled."""
    found = list_playbooks(tenant).filter(slug__in=ids.slugs_of(key)).first()
    if found is None:
        raise PlaybookNotFound(f"There is no playbook {key!r}.")
    if not found.is_enabled:
        raise PlaybookDisabled(f"The playbook {key!r} is disabled. Enable it, then run it.")
    return found


def start(
    *,
    tenant: Tenant,
    playbook: Playbook,
    given: Mapping[str, Any],
    actor: Actor,
    start_key: str | None,
    start_digest: str,
    now: datetime,
) -> Execution:
    """Start the playbook's latest version. Raises NotStartable, Invalid, StartKeyReused, QueueFull, EngineFailed."""
    version = latest_version(playbook)
    inputs = _inputs(version, given)
    for left in reversed(range(TRIES)):
        try:
            return start_execution(
                tenant=tenant, version=version, inputs=inputs, actor=actor, start_key=start_key,
                start_digest=start_digest, now=now,
            )  # fmt: skip
        except StartRefused as error:
            raise _said_as(error) from error
        except DomainError:
            raise
        except Exception as error:
            if is_away(error):
                raise
            log.warning("soar.start_broken", extra={"tries_left": left}, exc_info=True)
    raise EngineFailed(_stored_as_failed(tenant=tenant, version=version, inputs=inputs, actor=actor, now=now))


def _inputs(version: PlaybookVersion, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the execution stores: the context for the steps, and the playbook's inputs that it names."""
    context = dict(given[CONTEXT])
    kept = {name: given[name] for name in KEPT if given[name] is not None}
    seen = {CONTEXT: context, EVENT: {**context, **kept}, **kept}
    workflow = workflow_of(version)
    if version.dialect == "cacao":
        external = {name for name, variable in workflow.variables.items() if variable.external}
        named = {name: name if name in external else f"__{name}__" for name in context}
        return {**seen, "variables": {to: context[name] for name, to in named.items() if to in external}}
    named = {name: context[name] for name in workflow.inputs if name in context}
    try:
        values = start_values(workflow, named)
    except InputInvalid as error:
        fields = [FieldError(f.path.replace("parameters.", "context.", 1), f.message) for f in error.fields]
        raise Invalid(f"{fields[0].path}: {fields[0].message}", fields=fields) from error
    # A context is no list of overrides: only what a template names is put into a step.
    return {**seen, **values, "overrides": {}, "asset": None}


def _said_as(error: StartRefused) -> DomainError:
    if error.code in _STATE:
        return NotStartable(error.message)
    name = str(error.context.get("name", ""))
    path = f"context.{name.removeprefix('__').removesuffix('__')}" if name else CONTEXT
    return Invalid(f"{path}: {error.message}", fields=[FieldError(path, error.message)])


def _stored_as_failed(
    *, tenant: Tenant, version: PlaybookVersion, inputs: Mapping[str, Any], actor: Actor, now: datetime
) -> Execution:
    """The one row of a start that broke: nothing ran, so there is nothing for the engine to take back."""
    return Execution.objects.create(
        id=uuid7(), tenant=tenant, version=version, playbook_id=version.playbook_id, dialect=version.dialect,
        status="failed", reason="internal_error", message="The engine could not start the run.",
        inputs={CONTEXT: {}, **{name: inputs[name] for name in KEPT if name in inputs}},
        actor={"kind": actor.kind.value, "id": actor.id, "name": actor.name, "person": str(actor.person or "")},
        created_at=now, started_at=now, ended_at=now,
    )  # fmt: skip
