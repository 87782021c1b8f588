"""Starting a playbook from what POST .../run says, in whichever dialect it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from api.s4e import ids
from api.s4e.dialect import storing, texts
from core.errors import Conflict, FieldError, Invalid, NotFound
from executions.services import StartRefused
from playbooks.cacao.types import Workflow
from playbooks.inputs import start_values
from playbooks.selectors import get_asset, workflow_of

if TYPE_CHECKING:
    from accounts.models import Tenant
    from playbooks.models import Playbook, PlaybookVersion

#: refusals that the state of the playbook makes, not the caller's input
_STATE = frozenset({"playbook_revoked", "playbook_not_yet_valid", "playbook_expired"})


class PlaybookDisabled(Conflict):
    code = "playbook_disabled"


class NotStartable(Conflict):
    code = "not_startable"


class RunInvalid(Invalid):
    code = "run_invalid"

    @classmethod
    def at(cls, path: str, message: str) -> RunInvalid:
        return cls(f"{path}: {message}", fields=[FieldError(path, message)])


def check_enabled(playbook: Playbook) -> None:
    if not playbook.is_enabled:
        raise PlaybookDisabled(f"The playbook {ids.playbook_id(playbook)} is disabled. Enable it, then run it.")


def inputs_of(
    version: PlaybookVersion, *, tenant: Tenant, parameters: Mapping[str, Any], target_asset_id: str | None
) -> dict[str, Any]:
    """Return what the execution stores of this start. Raises RunInvalid and InputInvalid."""
    asset = None if target_asset_id is None else _asset(tenant, target_asset_id)
    workflow = workflow_of(version)
    if version.dialect != storing.DIALECT:
        return {"variables": _variables(workflow, parameters), "asset": asset}
    if parameters:
        _check_names(parameters, texts.parameter_names(workflow))
    return {**start_values(workflow, parameters), "asset": asset}


def said_as(error: StartRefused, parameters: Mapping[str, Any]) -> Exception:
    """Return the refusal of a start in this family's kinds: a conflict, or a field of the body."""
    if error.code in _STATE:
        return NotStartable(error.message)
    name = str(error.context.get("name", ""))
    given = name if name in parameters else name.removeprefix("__").removesuffix("__")
    return RunInvalid.at(f"parameters.{given}" if name else "parameters", error.message)


def _asset(tenant: Tenant, reference: str) -> dict[str, Any]:
    try:
        if ids.ASSET.fullmatch(reference) is None:
            raise NotFound("An asset's id is a-...")
        asset = get_asset(tenant, reference)
    except NotFound:
        raise RunInvalid.at("target_asset_id", "There is no such asset.") from None
    return {"id": asset.reference, **asset.data}


def _variables(workflow: Workflow, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The external variables of a CACAO playbook, which may be named with or without their underscores."""
    external = {name for name, variable in workflow.variables.items() if variable.external}
    found = {}
    for name, value in parameters.items():
        variable = name if name in external else f"__{name}__"
        if variable not in external:
            raise RunInvalid.at(f"parameters.{name}", "The playbook has no such parameter.")
        found[variable] = value
    return found


def _check_names(parameters: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = [name for name in parameters if name not in known]
    if unknown:
        message = "The playbook has no such parameter."
        fields = [FieldError(f"parameters.{name[:100]}", message) for name in unknown[:20]]
        raise RunInvalid(f"{fields[0].path}: {message}", fields=fields)
