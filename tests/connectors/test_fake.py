"""The connector that reaches nothing, and where it is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from accounts.models import Tenant
from connectors import registry
from connectors.base import EffectClass, OutcomeKind
from connectors.dispatch import Call, plan
from tests.connectors.calls import KEY, Run, carry, http_call, operation, parts, target

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _allowed(settings: Settings) -> None:
    settings.SALLYPORT_ALLOW_FAKE = True


@pytest.mark.parametrize("output", [None, "text", {"a": [1]}])
def test_it_completes_at_once_with_the_output_it_is_given(run: Run, output: Any) -> None:
    result = run(operation("fake.run", {"output": output}))

    assert (result.outcome.kind, result.outcome.output) == (OutcomeKind.COMPLETED, output)
    assert [call["outcome"] for call in result.calls] == ["completed"]


def test_it_is_treated_as_the_weakest_of_connectors(tenant: Tenant) -> None:
    assert plan(tenant_id=tenant.id, calls=[operation("fake.run", {})]).effect is EffectClass.UNSAFE


def test_it_carries_out_a_command_type_of_its_own(run: Run) -> None:
    call = Call(key=KEY, arguments={"command": parts("anything")}, command_type="fake")

    assert run(call).outcome.kind is OutcomeKind.COMPLETED


@pytest.mark.parametrize(
    ("script", "kind", "output", "answers"),
    [
        ({"result": "success"}, OutcomeKind.COMPLETED, None, None),
        ({"result": "success", "output": "text"}, OutcomeKind.COMPLETED, "text", None),
        ({"result": "success", "answers": {"__x__": "v"}}, OutcomeKind.COMPLETED, None, {"__x__": "v"}),
        ({"result": "failure", "output": "dropped"}, OutcomeKind.FAILED, None, None),
        ({"result": "timeout"}, OutcomeKind.EXPIRED, None, None),
    ],
)
def test_a_script_is_played_for_any_call_whether_or_not_it_could_be_made(
    tenant: Tenant, script: dict[str, Any], kind: OutcomeKind, output: Any, answers: Any
) -> None:
    for call in (http_call("GET / HTTP/1.1"), Call(key=KEY, arguments={}, command_type="kestrel")):
        planned = plan(tenant_id=tenant.id, calls=[call])
        assert planned.failure is not None
        outcome = carry(planned, script=script).outcome
        assert (outcome.kind, outcome.output, outcome.answers) == (kind, output, answers)


def test_a_result_that_is_none_of_the_three_is_a_fault_of_the_script(tenant: Tenant) -> None:
    planned = plan(tenant_id=tenant.id, calls=[operation("fake.run", {})])

    with pytest.raises(ValueError, match="success, failure or timeout"):
        carry(planned, script={"result": "maybe"})


def test_where_no_setting_allows_it_nothing_knows_it(run: Run, tenant: Tenant, settings: Settings) -> None:
    settings.SALLYPORT_ALLOW_FAKE = False

    assert "fake.run" not in registry.operations()
    assert "fake" not in registry.command_types()
    assert run(operation("fake.run", {})).outcome.code == "no_connector"
    scripted = carry(
        plan(tenant_id=tenant.id, calls=[http_call("GET / HTTP/1.1", target=target("https://x.example"))]),
        script={"result": "success"},
    )
    assert (scripted.outcome.kind, scripted.outcome.code) == (OutcomeKind.FAILED, "no_connector")
