"""What is declared of every operation (CONNECTORS.md, 7, K01)."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
from pytest_django import Settings

from connectors import registry
from connectors.base import EffectClass, OperationSpec
from connectors.connection_settings import RULES


@pytest.fixture(autouse=True)
def _all_of_them(settings: Settings) -> None:
    settings.SALLYPORT_ALLOW_FAKE = True


def specs() -> list[OperationSpec]:
    return [spec for entry in registry.ENTRIES.values() for spec in entry.operations]


@pytest.mark.parametrize("spec", specs(), ids=lambda spec: spec.name)
def test_an_operation_declares_what_engine_checker_and_documentation_read(spec: OperationSpec) -> None:
    assert spec.title
    assert spec.effect is not EffectClass.UNSAFE or spec.unsafe_reason
    assert spec.probe == (spec.effect is EffectClass.PROBE)
    assert spec.reference or spec.command_types or spec.toolkit or spec.name == "fin.job"  # which the agent asks for
    assert spec.call_limit.total_seconds() > 0
    if spec.reference:
        jsonschema.Draft202012Validator.check_schema(dict(spec.inputs))
        jsonschema.Draft202012Validator.check_schema(dict(spec.outputs))
        assert spec.inputs["additionalProperties"] is False
    if spec.connection_kind:
        assert spec.secret_fields
        assert spec.connection_kind in RULES


@pytest.mark.parametrize("spec", [spec for spec in specs() if spec.name != "manual"], ids=lambda spec: spec.name)
def test_every_operation_has_a_connector(spec: OperationSpec) -> None:
    connector = registry.connector_of(spec.name)

    assert connector is not None
    assert hasattr(connector, "probe") or not spec.probe


def test_the_names_that_playbooks_may_use() -> None:
    assert {name: spec.name for name, spec in registry.references().items()} == {
        "act-http-request": "http.request",
        "act-slack-notify": "chat.post",
        "act-jira-create": "ticket.create",
        "act-stripe-void-payment": "stripe.void_payment",
        "act-stripe-refund": "stripe.refund",
        "act-stripe-review": "stripe.review",
        "act-stripe-dispute": "stripe.dispute",
        "act-stripe-get-account": "stripe.get_account",
        "act-shopify-cancel-order": "shopify.cancel_order",
        "act-shopify-tag": "shopify.tag",
        "act-shopify-get-shop-info": "shopify.get_shop_info",
        "act-okta-force-mfa": "okta.force_mfa",
        "act-okta-suspend-user": "okta.suspend_user",
        "act-okta-get-user": "okta.get_user",
        "act-square-void": "square.void",
        "act-square-dispute": "square.dispute",
        "act-square-get-merchant": "square.get_merchant",
        "act-dbt-run": "dbt.run",
        "act-dbt-deps": "dbt.deps",
        "act-opensearch-clear-cache": "opensearch.clear_cache",
        "act-opensearch-refresh-synonyms": "opensearch.refresh_synonyms",
        "act-planner-versions": "planner.versions",
        "act-planner-deploy": "planner.deploy",
        "act-planner-rollback": "planner.rollback",
        "act-planner-split": "planner.split",
        "act-fake": "fake.run",
        "act-fake-read": "fake.read",
        "act-fake-keyed": "fake.keyed",
    }
    assert registry.command_types() == {
        "http-api": "http.request",
        "ssh": "ssh.exec",
        "manual": "manual",
        "fake": "fake.run",
    }


def test_what_people_do_is_known_and_carried_out_by_nobody_here() -> None:
    assert "manual" in registry.operations()
    assert registry.connector_of("manual") is None
    assert registry.connector_of("unknown") is None


def test_every_kind_of_connection_has_rules_for_its_settings() -> None:
    assert set(registry.CONNECTION_KINDS) == set(RULES)


def test_the_page_about_connectors_lists_what_is_registered() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "connectors.md").read_text()
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in page.splitlines() if "|" in line]
    listed = {row[0]: row[1:4] for row in rows if row[0] in {spec.name for spec in specs()}}

    assert listed == {
        spec.name: [spec.reference or "-", *(spec.command_types or ("-",)), spec.connection_kind or "-"]
        for spec in specs()
    }
    for spec in specs():
        if spec.reference and spec.connection_kind:
            (row,) = [row for row in rows if row[0] == spec.reference]
            assert all(f"`{name}`" in f"`{row[1]}`" for name in spec.inputs["properties"]), spec.reference
    for kind in RULES:
        assert all(f"`{name}`" in page for name in RULES[kind]), kind
