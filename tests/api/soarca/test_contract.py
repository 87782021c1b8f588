"""Every path of the contract is routed, and every routed path is in it; clients' own playbooks run."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from api.permissions import verbs_of
from api.soarca.urls import urlpatterns
from tests.api.soarca.calls import Api, assert_error, read, run, start
from tests.shared import SHARED, shared_json

CONTRACT = {
    "manual": "GET HEAD",
    "manual/continue": "POST",
    "manual/ID/ID": "GET HEAD PUT",
    "playbook": "GET HEAD POST",
    "playbook/meta": "GET HEAD",
    "playbook/ID": "GET HEAD PUT DELETE",
    "trigger/playbook": "POST",
    "trigger/playbook/ID": "POST",
    "reporter": "GET HEAD",
    "reporter/ID": "GET HEAD",
    "status": "GET HEAD",
    "status/ping": "GET HEAD",
    "keymanagement": "GET HEAD",
    "keymanagement/ID": "PUT PATCH DELETE",
    "fin": "GET HEAD DELETE",
    "fin/register": "POST",
    "fin/poll": "POST",
    "fin/jobs/ID": "PUT",
    "fin/jobs/ID/status": "PATCH",
    "fin/ID": "GET HEAD DELETE",
}


def test_the_contract_and_the_routes_are_the_same() -> None:
    routed: dict[str, Any] = {}
    for pattern in urlpatterns:
        path = re.sub(r"<[^>]+>", "ID", str(pattern.pattern))
        view: Any = pattern.callback
        routed[path] = " ".join(verbs_of(view.view_class))

    assert routed == CONTRACT | {f"{path}/": verbs for path, verbs in CONTRACT.items()}


@pytest.mark.django_db
def test_soarcas_own_manual_playbook_asks_and_goes_on(api: Api) -> None:
    waiting = start(api, shared_json("playbooks/COSSAS__SOARCA__examples-manual-playbook.json"))
    [item] = read(api.get("/manual"))

    assert item["command"] == "prepare Falcon for hyperspeed jump"
    assert item["description"] == "Instruction to the operator to be executed manually"
    assert item["target"]["name"] == "Luke Skywalker"
    body = {
        "type": "manual-step-response",
        "response_status": "success",
        "response_out_args": {name: {"value": "true"} for name in item["out_args"]},
    }
    assert api.put(f"/manual/{item['run_id']}/{item['step_run_id']}", body).status_code == 200
    run(waiting.execution)
    assert read(api.get(f"/reporter/{waiting.execution}"))["status"] == "successfully_executed"


@pytest.mark.django_db
def test_published_playbooks_are_given_back_octet_for_octet(api: Api) -> None:
    if not SHARED.is_dir():
        pytest.skip("no published playbooks are beside the project")
    taken = 0
    for path in sorted((SHARED / "playbooks").glob("*.json")):
        octets = path.read_bytes()
        response = api.post("/playbook", octets)
        assert response.status_code in (201, 400, 409), (path.name, response.content)
        if response.status_code == 201:
            taken += 1
            assert api.get(f"/playbook/{json.loads(octets)['id']}").content == octets, path.name
        else:
            assert_error(response, response.status_code)
    assert taken > 20
    assert len(read(api.get("/playbook/meta"))) == len(read(api.get("/playbook"))) == taken
