"""POST /api/playbooks/import: what the checker says stands in the answer, and refuses nothing."""

from __future__ import annotations

from playbooks.models import Playbook
from playbooks.selectors import latest_version
from tests.api.s4e.calls import Api, Json, data, read
from tests.api.s4e.test_import_playbook import IMPORT, LEFT, document

MACHINE = "ssh--00000000-0000-4000-8000-000000000022"


def with_shell(command: str) -> Json:
    made = document(name="Shell")
    made["playbook_variables"]["__host__"] = {"type": "string", "external": True}
    made["agent_definitions"][MACHINE] = {"type": "ssh", "name": "Host", "address": {"dname": ["host.example.org"]}}
    made["target_definitions"][MACHINE] = made["agent_definitions"][MACHINE]
    shell = {"type": "ssh", "command": command}
    made["workflow"][LEFT] |= {"commands": [shell], "agent": MACHINE, "targets": [MACHINE]}
    return made


def codes(answer: Json) -> set[str]:
    return {finding["code"] for finding in answer["findings"]}


def test_a_value_inside_a_command_substitution_is_stored_and_told(api: Api) -> None:
    answer = data(api.post(IMPORT, with_shell("echo $(dig __host__:value)")))

    assert "injection-risk" in codes(answer)
    (told,) = [finding for finding in answer["findings"] if finding["code"] == "injection-risk"]
    assert (told["severity"], told["pointer"]) == ("warning", f"/workflow/{LEFT}/commands/0/command")
    assert any("command substitution" in warning for warning in answer["warnings"])
    stored = latest_version(Playbook.objects.get()).findings
    assert told in stored


def test_a_dry_run_tells_the_same(api: Api) -> None:
    answer = data(api.post(IMPORT, with_shell("echo $(dig __host__:value)") | {"dry_run": True}))

    assert "injection-risk" in codes(answer)
    assert not Playbook.objects.exists()


def test_a_silenced_finding_is_listed_as_such_and_is_no_warning(api: Api) -> None:
    made = with_shell("echo $(dig __host__:value)")
    extension = "extension-definition--e25df54f-aaeb-4716-b6a6-25297e71b454"
    made["playbook_extensions"] = {extension: {"type": "sallyport-check", "ignore": ["injection-risk"]}}
    answer = data(api.post(IMPORT, made))

    (told,) = [finding for finding in answer["findings"] if finding["code"] == "injection-risk"]
    assert told["suppressed"] is True
    assert not any("command substitution" in warning for warning in answer["warnings"])


def test_a_literal_secret_is_told_and_not_repeated(api: Api) -> None:
    answer = api.post(IMPORT, with_shell("mysqldump --password=tiger-lily-7 all"))

    assert "secret-in-document" in codes(data(answer))
    assert "tiger-lily-7" not in answer.content.decode()


def test_a_refusal_is_about_errors_alone(api: Api) -> None:
    made = with_shell("echo $(dig __host__:value)")
    made["workflow"][LEFT]["on_success"] = "end--none"
    answer = read(api.post(IMPORT, made))

    assert "end--none" in str(answer)
    assert "injection-risk" not in str(answer)
