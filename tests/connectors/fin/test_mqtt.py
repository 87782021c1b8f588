"""Fins over MQTT 5, against a real mosquitto."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from accounts.models import Tenant
from connectors.fin.models import Fin, FinCapability, FinJob
from executions.models import Review
from executions.services import fin_messages
from tests.api.soarca.calls import END, STEP, Api, Json, Waiting, read, run, variable
from tests.api.soarca.fin_calls import (
    AGENT,
    HOST,
    LOGIN,
    OTHER_HOST,
    SECRET,
    fin_playbook,
    out,
    pass_deadline,
    status_of,
    step_run,
)
from tests.connectors.fin.broker import MqttFin, bridge, registration, result, six, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

MakeFin = Callable[..., MqttFin]
OUT = {"__out__": six("__out__", "pong")}


def playbook(capability: str, *, name: str | None = None, **step: Any) -> Json:
    document = fin_playbook(**step)
    document["agent_definitions"] = {AGENT: {"type": "soarca-fin", "name": name or capability}}
    return document


def begin(api: Api, document: Json) -> Waiting:
    response = api.post("/trigger/playbook", document)
    assert response.status_code == 200, response.content
    run(read(response)["execution_id"])
    return Waiting(read(response)["execution_id"], document["id"])


def ends(waiting: Waiting, status: str) -> None:
    """Wait until the step has this status, then let the execution go on."""
    wait_until(lambda: step_run(waiting.execution).status == status)
    run(waiting.execution)


@pytest.fixture
def capability() -> str:
    return f"capability-{uuid4()}"


def command_for(fin: MqttFin, capability: str) -> Json:
    return fin.expect("command", topic=capability)


@pytest.mark.parametrize("form", ["{}", "soarca-fin-pong-{}"])
def test_soa_117_a_command_is_published_on_the_capability_id(
    api: Api, make_fin: MakeFin, capability: str, form: str
) -> None:
    fin = make_fin(capability)
    document = playbook(capability, name=form.format(capability), timeout=90_000, delay=0)
    document["playbook_variables"]["__odd__"] = variable("domain-name", value="a.example.org")
    document["playbook_variables"]["__none__"] = variable("integer")
    document["workflow"][STEP]["commands"] = [{"type": "bash"}]
    waiting = begin(api, document)

    message = command_for(fin, capability)
    assert message["meta"].keys() == {"timestamp", "sender_id"}
    command = message["command"]
    assert command["command"] == ""
    assert command["authentication"] is None
    context = command["context"]
    assert (context["execution_id"], context["step_id"]) == (waiting.execution, STEP)
    assert (context["playbook_id"], context["timeout"], context["delay"]) == (waiting.playbook, 90, None)
    assert command["variables"].keys() == {"__out__", "__who__", "__odd__", "__none__"}
    for name, found in command["variables"].items():
        assert found.keys() == {"type", "name", "description", "value", "constant", "external"}
        assert found["name"] == name
        assert isinstance(found["value"], str)
        assert isinstance(found["description"], str)
    assert command["variables"]["__odd__"]["type"] == "string"
    assert command["variables"]["__none__"]["value"] == ""


def test_soa_118_a_result_counts_by_the_variables_names(api: Api, make_fin: MakeFin, capability: str) -> None:
    fin = make_fin(capability)
    waiting = begin(api, playbook(capability))
    command = command_for(fin, capability)
    fin.ack(capability, command)

    sent = fin.answer(capability, command, variables={"another key": six("__out__", "pong")})

    fin.expect("ack", sent, topic=capability)
    ends(waiting, "completed")
    assert out(api, waiting.execution)["__out__"]["value"] == "pong"
    assert read(api.get(f"/reporter/{waiting.execution}"))["status"] == "successfully_executed"


def test_soa_119_a_failure_fails_the_step(api: Api, make_fin: MakeFin, capability: str) -> None:
    fin = make_fin(capability)
    waiting = begin(api, playbook(capability))
    command = command_for(fin, capability)
    fin.ack(capability, command)

    fin.expect("ack", fin.answer(capability, command, "failure"), topic=capability)
    ends(waiting, "failed")
    assert status_of(api, waiting.execution) == "failed"


def test_the_same_result_again_is_acknowledged_and_applied_once(api: Api, make_fin: MakeFin, capability: str) -> None:
    fin = make_fin(capability)
    waiting = begin(api, playbook(capability))
    command = command_for(fin, capability)
    body = result(command, "success", variables=OUT)

    for _ in range(3):
        fin.publish(capability, body)
        fin.expect("ack", body["message_id"], topic=capability)
    ends(waiting, "completed")
    fin.publish(capability, body)
    fin.expect("ack", body["message_id"], topic=capability)
    assert step_run(waiting.execution).status == "completed"


def test_soa_121_two_fins_work_at_the_same_time(api: Api, make_fin: MakeFin) -> None:
    names = [f"capability-{uuid4()}" for _ in range(2)]
    fins = [make_fin(name) for name in names]
    waiting = [begin(api, playbook(name)) for name in names]
    commands = [command_for(fin, name) for fin, name in zip(fins, names, strict=True)]

    for fin, name, command in zip(fins, names, commands, strict=True):
        fin.ack(name, command)
        fin.expect("ack", fin.answer(name, command, variables=OUT))
    for each in waiting:
        ends(each, "completed")
    assert not any(fin.is_disconnected.is_set() for fin in fins)


def test_soa_122_a_fin_that_is_killed_after_its_ack_lets_the_step_time_out(
    api: Api, make_fin: MakeFin, capability: str
) -> None:
    fin = make_fin(capability)
    waiting = begin(api, playbook(capability))
    fin.ack(capability, command_for(fin, capability))
    wait_until(lambda: FinJob.objects.get().acked_at is not None)
    fin.close()

    pass_deadline(waiting.execution)
    assert status_of(api, waiting.execution) == "timeout_error"
    assert step_run(waiting.execution).effect == "unknown"
    assert Review.objects.filter(step_run=step_run(waiting.execution), status="open").exists()


def test_soa_123_a_capability_that_another_live_fin_has_is_refused(
    api: Api, make_fin: MakeFin, capability: str
) -> None:
    fin, other = make_fin(capability), make_fin()
    other.expect("nack", other.register(capability), topic=other.name)

    waiting = begin(api, playbook(capability))
    command = command_for(fin, capability)
    fin.expect("ack", fin.answer(capability, command, variables=OUT))
    ends(waiting, "completed")

    again = MqttFin(fin.port, fin.name)
    again.expect("ack", again.register(capability), topic=fin.name)
    again.close()
    assert Fin.objects.count() == 1


def test_a_capability_of_a_fin_that_is_gone_is_free(
    api: Api, make_fin: MakeFin, capability: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fin_messages, "PATIENCE", fin_messages.PATIENCE / 50)
    fin = make_fin(capability)
    waiting = begin(api, playbook(capability))
    ids = {command_for(fin, capability)["message_id"] for _ in range(fin_messages.PUBLICATIONS)}
    assert len(ids) == 1

    wait_until(lambda: Fin.objects.get().gone_at is not None)
    found = step_run(waiting.execution)
    assert found.effect == "none"
    run(waiting.execution)
    assert status_of(api, waiting.execution) == "client_side_error"  # tried again, and nobody was there
    make_fin(capability)


def test_a_command_that_is_refused_had_no_effect(api: Api, make_fin: MakeFin, capability: str) -> None:
    fin = make_fin(capability)
    waiting = begin(api, playbook(capability))
    command = command_for(fin, capability)

    fin.publish(capability, {"type": "nack", "message_id": command["message_id"]})
    wait_until(lambda: step_run(waiting.execution).status == "retrying")
    assert step_run(waiting.execution).effect == "none"


def test_several_commands_and_targets_go_out_one_after_the_other(api: Api, make_fin: MakeFin, capability: str) -> None:
    fin = make_fin(capability)
    commands = [{"type": "bash", "command": "first"}, {"type": "bash", "command": "second"}]
    waiting = begin(api, playbook(capability, commands=commands, targets=[HOST, OTHER_HOST]))

    seen = []
    for number in range(4):
        command = command_for(fin, capability)
        login = command["command"]["authentication"]
        seen.append((command["command"]["command"], login and login["password"]))
        fin.ack(capability, command)
        answer = six("__out__", f"answer {number} with {SECRET}")
        fin.expect("ack", fin.answer(capability, command, variables={"__out__": answer}))
    assert seen == [("first", SECRET), ("first", None), ("second", SECRET), ("second", None)]
    assert login is None
    ends(waiting, "completed")
    assert out(api, waiting.execution)["__out__"]["value"] == "answer 3 with ********"


def test_a_log_on_is_told_with_its_id_and_type(api: Api, make_fin: MakeFin, capability: str) -> None:
    fin = make_fin(capability)
    begin(api, playbook(capability, targets=[HOST]))

    found = command_for(fin, capability)["command"]["authentication"]
    assert found == {"id": LOGIN, "type": "user-auth", "username": "soar", "password": SECRET}


def test_a_log_on_that_the_library_cannot_read_is_not_sent(api: Api, make_fin: MakeFin, capability: str) -> None:
    make_fin(capability)
    document = playbook(capability, targets=[HOST])
    document["authentication_info_definitions"][LOGIN] = {"type": "private-key", "private_key": SECRET}
    waiting = begin(api, document)

    assert status_of(api, waiting.execution) == "client_side_error"
    assert not FinJob.objects.exists()


def test_one_command_of_a_capability_is_out_at_a_time(api: Api, make_fin: MakeFin, capability: str) -> None:
    fin = make_fin(capability)
    waiting = [begin(api, playbook(capability)) for _ in range(2)]
    first = command_for(fin, capability)
    fin.ack(capability, first)  # else it would be sent again

    assert fin.hears_nothing_of("command")
    fin.expect("ack", fin.answer(capability, first, variables=OUT))
    second = command_for(fin, capability)
    contexts = {command["command"]["context"]["execution_id"] for command in (first, second)}
    assert contexts == {each.execution for each in waiting}


def test_a_late_answer_to_an_earlier_visit_does_not_count(api: Api, make_fin: MakeFin, capability: str) -> None:
    fin = make_fin(capability)
    waiting = begin(api, playbook(capability))
    command = command_for(fin, capability)
    stale = json.loads(json.dumps(command))
    stale["command"]["context"]["generated_on"] = "2026-01-01T00:00:00Z"

    fin.expect("ack", fin.answer(capability, stale, variables=OUT))
    assert step_run(waiting.execution).status == "waiting"
    other = json.loads(json.dumps(command))
    other["command"]["context"]["step_id"] = END
    fin.expect("ack", fin.answer(capability, other, variables=OUT))
    assert step_run(waiting.execution).status == "waiting"


def test_a_bridge_that_starts_anew_takes_up_results(
    api: Api, tenant: Tenant, broker: int, capability: str, settings: Settings
) -> None:
    settings.MQTT_BROKER, settings.MQTT_PORT = "127.0.0.1", broker
    with bridge(tenant.pk, broker):
        fin = MqttFin(broker, f"fin-{uuid4()}")
        fin.expect("ack", fin.register(capability))
        waiting = begin(api, playbook(capability))
        command = command_for(fin, capability)
        fin.ack(capability, command)
        wait_until(lambda: FinJob.objects.get().acked_at is not None)
    with bridge(tenant.pk, broker):
        fin.expect("ack", fin.answer(capability, command, variables=OUT))
        ends(waiting, "completed")
    fin.close()


def test_of_two_bridges_one_works(api: Api, tenant: Tenant, bridged: int, make_fin: MakeFin, capability: str) -> None:
    fin = make_fin(capability)
    with bridge(tenant.pk, bridged):
        begin(api, playbook(capability))
        fin.ack(capability, command_for(fin, capability))
        assert fin.hears_nothing_of("command")


@pytest.mark.parametrize("by", ["capability_id", "fin_id", "all"])
def test_a_fin_takes_itself_out(make_fin: MakeFin, capability: str, by: str) -> None:
    fin = make_fin(capability)
    named: dict[str, Json] = {
        "capability_id": {"capability_id": capability},
        "fin_id": {"fin_id": fin.name},
        "all": {"all": True, "fin_id": fin.name},
    }
    body: Json = {"type": "unregister", "message_id": str(uuid4()), **named[by]}

    fin.publish("soarca", body)
    fin.expect("ack", body["message_id"], topic=fin.name)
    assert not Fin.objects.exists()


def test_a_fin_that_is_taken_out_is_told(api: Api, make_fin: MakeFin, capability: str) -> None:
    fin = make_fin(capability)
    [shown] = read(api.get("/fin"))["fins"]
    assert (shown["name"], shown["transport"], shown["stale"]) == (fin.name, "mqtt", False)

    assert api.delete(f"/fin/{shown['fin_id']}").status_code == 204
    assert read(api.get("/fin")) == {"fins": []}
    farewell = fin.expect("unregister", topic=fin.name)
    assert farewell["all"] is True
    assert farewell["fin_id"] == fin.name
    fin.publish("soarca", {"type": "ack", "message_id": farewell["message_id"]})
    wait_until(lambda: not Fin.objects.exists())


def test_a_fin_pauses_resumes_and_stops_a_capability(api: Api, make_fin: MakeFin, capability: str) -> None:
    fin = make_fin(capability)

    def control(word: str) -> str:
        message_id = str(uuid4())
        fin.publish(fin.name, {"type": word, "message_id": message_id, "capability_id": capability})
        found: str = fin.expect("status", message_id, topic=fin.name)["progress"]
        return found

    assert control("pause") == "paused"
    begin(api, playbook(capability))
    assert fin.hears_nothing_of("command")
    assert control("progress") == "paused"
    assert control("resume") == "ready"
    command_for(fin, capability)
    assert control("progress") == "working"
    assert control("stop") == "stopped"
    assert not FinCapability.objects.exists()


def test_what_is_no_message_is_refused_where_its_id_can_be_read(make_fin: MakeFin, capability: str) -> None:
    fin = make_fin(capability)
    fin.listen("soarca")
    fin.publish("soarca", b'{"type": "register", "message_id": "half-a-message", "fin_')
    fin.expect("nack", "half-a-message", topic="soarca")
    fin.publish("soarca", b"\xff\x00 no message at all")

    wrong: list[Any] = [[], "all", *([{"capability_id": key}] for key in ("a/+/b", "soarca", fin.name, 7, ""))]
    for index, capabilities in enumerate(wrong):
        bad = {**registration(fin.name, f"bad-{index}", capability), "capabilities": capabilities}
        fin.publish("soarca", bad)
        fin.expect("nack", f"bad-{index}", topic=fin.name)
    fin.publish("soarca", {**registration("", "no-name", capability), "fin_id": "#"})
    fin.expect("nack", "no-name", topic="soarca")
    fin.publish(capability, {"type": "result", "message_id": "no-context", "result": {}})
    fin.expect("nack", "no-context", topic=capability)
    fin.publish(capability, {"type": "whatever", "message_id": "unknown-word"})
    fin.expect("nack", "unknown-word", topic=capability)

    assert [each.key for each in FinCapability.objects.all()] == [capability]


def test_a_result_for_nothing_is_acknowledged_and_moves_nothing(make_fin: MakeFin, capability: str) -> None:
    fin = make_fin(capability)
    context = {"execution_id": str(uuid4()), "step_id": STEP, "playbook_id": "playbook--1"}
    sent = fin.answer(capability, {"command": {"context": context}}, variables=OUT)

    fin.expect("ack", sent, topic=capability)
