"""/playbook: what the checker says refuses nothing, is stored, and stands in a refusal beside the errors."""

from __future__ import annotations

import pytest

from accounts.models import Tenant
from playbooks.models import PlaybookVersion
from tests.api.soarca.calls import STEP, Api, Json, assert_error, manual_playbook, store

pytestmark = pytest.mark.django_db

MACHINE = "ssh--c1c1c1c1-0000-4000-8000-000000000022"


def shell_playbook(command: str) -> Json:
    document = manual_playbook()
    machine = {"type": "ssh", "name": "Host", "address": {"dname": ["host.example.org"]}}
    document["playbook_variables"]["__host__"] = {"type": "string", "external": True}
    document["agent_definitions"][MACHINE] = machine
    document["target_definitions"][MACHINE] = machine
    shell = {"commands": [{"type": "ssh", "command": command}], "agent": MACHINE, "targets": [MACHINE]}
    document["workflow"][STEP] |= shell
    return document


def test_p_12_a_value_inside_a_command_substitution_is_stored_with_its_finding(api: Api) -> None:
    store(api, shell_playbook("echo $(dig __host__:value)"))

    told = {finding["code"]: finding for finding in PlaybookVersion.objects.get().findings}
    assert told["injection-risk"]["pointer"] == f"/workflow/{STEP}/commands/0/command"
    assert "inside a command substitution" in told["injection-risk"]["message"]


def test_a_quoted_word_is_no_risk(api: Api) -> None:
    store(api, shell_playbook("dig -- '__host__:value'"))

    assert "injection-risk" not in {finding["code"] for finding in PlaybookVersion.objects.get().findings}


def test_a_refusal_at_the_strict_level_says_what_the_checker_found_too(api: Api, tenant: Tenant) -> None:
    tenant.import_level = "strict"
    tenant.save()
    document = shell_playbook("echo $(dig __host__:value)")
    del document["created_by"]
    body = assert_error(api.post("/playbook", document), 400)

    assert {"required-missing", "injection-risk"} <= {finding["code"] for finding in body["findings"]}
