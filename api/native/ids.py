"""Ids in paths, queries and bodies: a UUID, and for an execution also pexec-<number>, for a playbook also its names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db.models import Q
from django.urls import register_converter

from core.errors import FieldError, Invalid
from executions.selectors import get_execution
from playbooks.selectors import PlaybookNotFound, get_by_cacao_id, get_by_slug, list_playbooks

if TYPE_CHECKING:
    from accounts.models import Tenant
    from executions.models import Execution
    from playbooks.models import Playbook

UUID_FORM: Final = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_NUMBERED: Final = "pexec-"
_SLUG: Final = "pb-"
_EXECUTION = re.compile(rf"{UUID_FORM}|pexec-[0-9]{{1,18}}")
_CACAO: Final = "playbook--"


class ExecutionRef:
    """A UUID or pexec-<n>, as text."""

    regex = _EXECUTION.pattern

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: object) -> str:
        return str(value)


class AnyUUID:
    """A UUID in letters of either case."""

    regex = UUID_FORM

    def to_python(self, value: str) -> UUID:
        return UUID(value)

    def to_url(self, value: UUID) -> str:
        return str(value)


class Word:
    """A name of a field."""

    regex = "[a-z_]{1,64}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(ExecutionRef, "native_execution")
register_converter(AnyUUID, "native_uuid")
register_converter(Word, "native_word")


def execution_of(tenant: Tenant, reference: str) -> Execution:
    """Return the execution of a path. Raises ExecutionNotFound."""
    if reference.startswith(_NUMBERED):
        return get_execution(tenant, number=int(reference.removeprefix(_NUMBERED)))
    return get_execution(tenant, id=UUID(reference))


def playbook_of(tenant: Tenant, reference: str) -> Playbook:
    """Return the playbook of a body's reference: its UUID, pb-<slug> or playbook--<uuid>. Raises PlaybookNotFound."""
    if reference.startswith(_SLUG):
        return get_by_slug(tenant, reference.removeprefix(_SLUG))
    if reference.startswith(_CACAO):
        return get_by_cacao_id(tenant, reference)
    if re.fullmatch(UUID_FORM, reference) is None:
        raise _unreadable("playbook", "must be a UUID, pb-<slug> or playbook--<uuid>")
    found = list_playbooks(tenant).filter(pk=UUID(reference)).first()
    if found is None:
        raise PlaybookNotFound("There is no such playbook.")
    return found


def of_playbook(reference: str, *, through: str = "") -> Q:
    """What belongs to a playbook, archived ones too, ``through`` a relation. Raises Invalid for what names none."""
    if reference.startswith(_SLUG):
        return Q(**{f"{through}playbook__slug": reference.removeprefix(_SLUG)})
    if reference.startswith(_CACAO):
        return Q(**{f"{through}playbook__cacao_id__iexact": reference})
    if re.fullmatch(UUID_FORM, reference) is None:
        raise _unreadable("playbook", "must be a UUID, pb-<slug> or playbook--<uuid>")
    return Q(**{f"{through}playbook_id": UUID(reference)})


def of_parent(reference: str) -> Q:
    """The executions that another one started. Raises Invalid for what names none."""
    return _of_execution("parent", "parent_step_run__execution", reference)


def of_execution(reference: str) -> Q:
    """What belongs to an execution. Raises Invalid for what names none."""
    return _of_execution("execution", "execution", reference)


def _of_execution(parameter: str, relation: str, reference: str) -> Q:
    if _EXECUTION.fullmatch(reference) is None:
        raise _unreadable(parameter, "must be a UUID or pexec-<number>")
    if reference.startswith(_NUMBERED):
        return Q(**{f"{relation}__number": int(reference.removeprefix(_NUMBERED))})
    return Q(**{f"{relation}_id": UUID(reference)})


def _unreadable(name: str, message: str) -> Invalid:
    return Invalid(f"{name}: {message}.", fields=[FieldError(name, message)])
