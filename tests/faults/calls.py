"""Calls of services that a test lets another process make, so that the process can be killed inside."""

from __future__ import annotations

from executions.models import Execution
from executions.services import start_execution
from manual.models import ManualRequest
from playbooks.models import PlaybookVersion
from tests.executions.acting import answer as answer_as_a_person
from tests.factories import NOON


def start(*, version: str, key: str) -> Execution:
    """Start a version with a start key."""
    from core.actors import SYSTEM

    found = PlaybookVersion.objects.get(pk=version)
    return start_execution(
        tenant=found.tenant, version=found, inputs={"variables": {}}, actor=SYSTEM, start_key=key, start_digest="d",
        now=NOON,
    )  # fmt: skip


def answer(*, request: str) -> ManualRequest:
    return answer_as_a_person(ManualRequest.objects.get(pk=request))
