"""POST /api/playbooks"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Tenant
from playbooks.models import Playbook, Trigger
from playbooks.selectors import document_of, latest_version
from tests.api.s4e.calls import (
    SEED,
    Api,
    Json,
    approval,
    body,
    condition,
    data,
    delay,
    error,
    invalid,
    parallel,
    read,
    say,
)


def test_s4e_015_the_documented_example_is_stored(api: Api, tenant: Tenant) -> None:
    response = api.post("/api/playbooks", SEED)

    assert response.status_code == 201
    told = data(response)
    assert told.keys() == {"id", "name", "version", "step_count", "created_at"}
    assert told["id"] == "pb-critical-finding-alert"
    assert told["step_count"] == 2
    trigger = Trigger.objects.get(playbook__tenant=tenant)
    assert (trigger.event, trigger.conditions) == ("finding.new", {"severity": "critical"})


def test_the_octets_are_kept_as_they_came(api: Api, tenant: Tenant) -> None:
    octets = json.dumps(body(timeout_minutes=30), indent=3).encode().replace(b"30", b"30  ")
    assert api.post("/api/playbooks", octets).status_code == 201

    version = latest_version(Playbook.objects.get(tenant=tenant))
    version.refresh_from_db()
    assert document_of(version, reveal=False) == octets


@pytest.mark.parametrize("name", ["name", "version", "trigger", "steps"])
def test_s4e_017_a_missing_field_is_named(api: Api, name: str) -> None:
    invalid(api.create(**{name: None}), name)


@pytest.mark.parametrize("name", ["name", "version", "trigger", "steps"])
@pytest.mark.parametrize("value", [None, 7, True, "", {}, []])
def test_s4e_017_a_required_field_of_another_kind_is_named(api: Api, name: str, value: Any) -> None:
    told = error(api.post("/api/playbooks", SEED | {name: value}), 422, "validation_error")
    assert told["details"][0]["path"].startswith(name)


@pytest.mark.parametrize("version", ["1.0", "v1", "1.0.0.0", "01.0.0", "1.0.0-", " 1.0.0"])
def test_s4e_018_a_version_is_semantic(api: Api, version: str) -> None:
    invalid(api.create(version=version), "version")


def test_s4e_018_a_version_may_have_pre_release_and_build(api: Api) -> None:
    assert api.create(version="1.0.0-rc.1+build.5").status_code == 201


def test_s4e_019_a_playbook_has_steps(api: Api) -> None:
    invalid(api.create(steps=[]), "steps")


def test_s4e_021_a_trigger_has_an_event(api: Api) -> None:
    invalid(api.create(trigger={"conditions": {}}), "trigger.event")


def test_s4e_022_an_unknown_event_is_refused(api: Api) -> None:
    invalid(api.create(trigger={"event": "finding.nope"}), "trigger.event")


@pytest.mark.parametrize(
    "event",
    ["finding.new", "finding.status_changed", "scan.completed", "scan.failed", "action.completed", "manual", "webhook",
     "alert.created", "anomaly.detected"],
)  # fmt: skip
def test_every_documented_event_is_taken(api: Api, event: str) -> None:
    assert api.create(trigger={"event": event}).status_code == 201


def test_s4e_023_a_schedule_has_a_cron_line(api: Api, tenant: Tenant) -> None:
    assert api.create(trigger={"event": "schedule", "cron": "0 8 * * 1"}).status_code == 201
    assert Trigger.objects.get(tenant=tenant).cron == "0 8 * * 1"


@pytest.mark.parametrize(
    "cron",
    [None, "", "99 * * * *", "61 * * * *", "* * * * * *", "@reboot", "0 0 31 2 *", 7, "H * * * *", "x" * 5_000],
)
def test_s4e_023_a_schedule_without_a_line_that_fires_is_refused(api: Api, cron: Any) -> None:
    trigger = {"event": "schedule"} | ({} if cron is None else {"cron": cron})
    invalid(api.create(trigger=trigger), "trigger.cron")


def test_s4e_025_an_unknown_operator_is_refused(api: Api) -> None:
    trigger = {"event": "finding.new", "conditions": {"severity": {"$bogus": 1}}}
    invalid(api.create(trigger=trigger), "trigger.conditions.severity.$bogus")


@pytest.mark.parametrize(
    ("operator", "good", "bad"),
    [
        ("$in", ["a"], "a"), ("$nin", [1], {}), ("$gt", 5, True), ("$lte", "b", []), ("$exists", False, "no"),
        ("$regex", "^a+$", "(?<=a)b"), ("$regex", "x" * 1_000, "x" * 1_001), ("$regex", "(a+)+$", "("),
    ],
)  # fmt: skip
def test_s4e_025_an_operand_fits_its_operator(api: Api, operator: str, good: Any, bad: Any) -> None:
    def trigger(operand: Any) -> Json:
        return {"event": "finding.new", "conditions": {"a.b": {operator: operand}}}

    assert api.create(trigger=trigger(good)).status_code == 201
    invalid(api.create(trigger=trigger(bad), name="Another"), f"trigger.conditions.a.b.{operator}")


@pytest.mark.parametrize("word", ["abort", "continue"])
def test_s4e_026_a_failure_strategy_is_one_of_the_words(api: Api, word: str) -> None:
    assert api.create(on_failure=word).status_code == 201


def test_s4e_026_another_failure_strategy_is_refused(api: Api) -> None:
    invalid(api.create(on_failure="explode"), "on_failure")


def test_s4e_027_retry_takes_a_number_of_retries(api: Api) -> None:
    assert api.create(on_failure="retry", max_retries=2).status_code == 201
    invalid(api.create(name="Another", on_failure="retry", max_retries=11), "max_retries")
    invalid(api.create(name="Another", max_retries=2), "max_retries")


def test_a_retrying_step_is_enough_for_max_retries(api: Api) -> None:
    assert api.create(steps=[say("a", on_failure="retry")], max_retries=2).status_code == 201


@pytest.mark.parametrize("minutes", [0, 10_081, -1, "30", 1.5, True, 2_147_483_648, 9_223_372_036_854_775_808])
def test_a_time_limit_is_a_number_of_minutes_up_to_a_week(api: Api, minutes: Any) -> None:
    invalid(api.create(timeout_minutes=minutes), "timeout_minutes")
    invalid(api.create(steps=[say("a", timeout_minutes=minutes)]), "steps[0].timeout_minutes")


def test_s4e_029_a_tag_is_text(api: Api) -> None:
    invalid(api.create(tags=["a", 1]), "tags[1]")


def test_s4e_030_two_steps_with_one_id_are_refused(api: Api) -> None:
    invalid(api.create(steps=[say("a"), say("a")]), "steps[1].id")


@pytest.mark.parametrize("step", ["end", "", "a b", "a:b", "x" * 65, "é", 7, None])
def test_a_step_id_is_a_plain_word(api: Api, step: Any) -> None:
    invalid(api.create(steps=[say(step)]), "steps[0].id")


def test_s4e_031_a_target_exists(api: Api) -> None:
    invalid(api.create(steps=[say("a", on_success="missing-step")]), "steps[0].on_success")
    assert api.create(steps=[say("a", on_success="end"), say("b")]).status_code == 201


def test_s4e_033_an_action_is_known(api: Api) -> None:
    unknown = say("a") | {"action_ref": "act-unknown"}
    missing = {name: value for name, value in say("a").items() if name != "action_ref"}

    invalid(api.create(steps=[unknown]), "steps[0].action_ref")
    invalid(api.create(steps=[missing]), "steps[0].action_ref")


@pytest.mark.parametrize("type_", ["teleport", "loop", "switch", "playbook", "command", "start", None, 7])
def test_s4e_034_other_step_types_are_refused(api: Api, type_: Any) -> None:
    invalid(api.create(steps=[{"id": "a", "type": type_}]), "steps[0].type")


def test_s4e_035_a_condition_has_an_expression_and_a_way_out(api: Api) -> None:
    steps = [condition("c", "finding.a == 1", on_true="a", on_false="end"), say("a")]
    assert api.create(steps=steps).status_code == 201

    without = {name: value for name, value in steps[0].items() if name != "expression"}
    invalid(api.create(name="Another", steps=[without, say("a")]), "steps[0].expression")
    invalid(api.create(name="Another", steps=[condition("c", "true"), say("a")]), "steps[0].on_true")


@pytest.mark.parametrize("expression", ["", "finding.a =", "f() == 1", "a and", "{{ x | upper }}", "1 +"])
def test_an_expression_that_does_not_parse_is_refused(api: Api, expression: str) -> None:
    steps = [condition("c", expression, on_true="a"), say("a")]
    invalid(api.create(steps=steps), "steps[0].expression")


@pytest.mark.parametrize("text", ["{{7*7}}", "{{ x() }}", "{{ a|b }}", "{{ finding.title", "{{ a.b() }}"])
def test_a_template_that_does_not_parse_is_refused_wherever_it_stands(api: Api, text: str) -> None:
    invalid(api.create(steps=[say("a", text)]), "steps[0].parameters.message")
    deep = say("a") | {"parameters": {"body": {"list": ["ok", {"x": text}]}}}
    invalid(api.create(steps=[deep]), "steps[0].parameters.body.list[1].x")
    invalid(api.create(steps=[approval("a", message=text)]), "steps[0].message")


def test_an_attribute_of_the_interpreter_is_only_a_path(api: Api) -> None:
    assert api.create(steps=[say("a", "{{ finding.__class__ }}")]).status_code == 201


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        ([say("a", on_success="a")], "steps[0].on_success"),
        ([say("a", on_success="b"), say("b", on_success="a")], "steps[1].on_success"),
        ([approval("a", on_rejected="a")], "steps[0].on_rejected"),
        ([say("a"), condition("c", "true", on_true="a")], "steps[1].on_true"),
    ],
)
def test_a_cycle_is_refused(api: Api, steps: list[Json], path: str) -> None:
    invalid(api.create(steps=steps), path)


def test_five_thousand_steps_in_one_cycle_are_refused_at_once(api: Api) -> None:
    steps = [say(f"s{n}", on_success=f"s{(n + 1) % 5_000}") for n in range(5_000)]
    octets = json.dumps(body(steps=steps)).encode()
    before = time.monotonic()

    error(api.post("/api/playbooks", octets), 422, "validation_error")

    assert time.monotonic() - before < 20


def test_more_than_five_thousand_steps_are_refused(api: Api) -> None:
    invalid(api.create(steps=[say(f"s{n}") for n in range(5_001)]), "steps")


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        ([parallel("p", ["a"]), say("a")], "steps[0].branches"),
        ([parallel("p", ["a"], []), say("a")], "steps[0].branches[1]"),
        ([parallel("p", ["a"], ["a"]), say("a")], "steps[0].branches[1][0]"),
        ([parallel("p", ["a"], ["x"]), say("a")], "steps[0].branches[1][0]"),
        ([parallel("p", ["a"], ["b"]), say("a", on_success="b"), say("b")], "steps[1].on_success"),
        ([parallel("p", ["a"], ["b"]), say("a", on_success="c"), say("b"), say("c")], "steps[1].on_success"),
        ([say("c", on_success="a"), parallel("p", ["a"], ["b"]), say("a"), say("b")], "steps[0].on_success"),
        ([parallel("p", ["p"], ["b"]), say("b")], "steps"),
        ([say("z"), parallel("p", ["q"], ["b"]), parallel("q", ["p"], ["c"]), say("b"), say("c")], "steps[2]"),
    ],
)
def test_branches_are_lists_of_steps_of_their_own(api: Api, steps: list[Json], path: str) -> None:
    invalid(api.create(steps=steps), path)


def test_a_branch_may_hold_conditions_delays_and_a_parallel_of_its_own(api: Api) -> None:
    steps = [
        parallel("p", ["c", "a", "d"], ["q"]),
        condition("c", "true", on_true="d"),
        say("a"),
        delay("d", 1),
        parallel("q", ["x"], ["y"]),
        say("x"),
        say("y"),
    ]
    assert data(api.create(steps=steps))["step_count"] == 7


@pytest.mark.parametrize(
    "step",
    [
        {"id": "d", "type": "delay"},
        {"id": "d", "type": "delay", "duration_seconds": 1, "duration_minutes": 1},
    ],
)
def test_a_delay_says_once_how_long(api: Api, step: Json) -> None:
    invalid(api.create(steps=[step]), "steps[0].duration_seconds")


@pytest.mark.parametrize("seconds", [-1, "5", 1.5, True, 10**30])
def test_a_delay_is_a_number_of_seconds(api: Api, seconds: Any) -> None:
    invalid(api.create(steps=[delay("d", seconds)]), "steps[0].duration_seconds")


def test_inputs_are_typed(api: Api) -> None:
    good = {"a": {"type": "String", "default": "x"}, "b": {"type": "number", "required": True, "description": "B"}}
    assert api.create(inputs=good).status_code == 201
    invalid(api.create(name="B", inputs={"a": {"type": "Colour"}}), "inputs.a.type")
    invalid(api.create(name="B", inputs={"a": {"type": "Number", "default": "5"}}), "inputs.a.default")
    invalid(api.create(name="B", inputs={"a": {"required": "yes"}}), "inputs.a.required")
    invalid(api.create(name="B", inputs={"a": 7}), "inputs.a")


def test_every_fault_is_listed_and_the_first_is_the_message(api: Api) -> None:
    told = error(
        api.create(version="1", tags=[1], steps=[say("a", on_success="z", timeout_minutes=0)]), 422, "validation_error"
    )

    assert [detail["path"] for detail in told["details"]] == ["version", "steps[0].timeout_minutes", "tags[0]"]
    assert told["message"].startswith("version: ")


def test_s4e_037_a_name_is_used_once(api: Api, tenant: Tenant) -> None:
    assert api.create().status_code == 201
    error(api.create(), 409, "conflict")
    error(api.create(name="critical -- FINDING alert!"), 409, "conflict")
    assert Playbook.objects.filter(tenant=tenant).count() == 1


def test_s4e_037_another_tenants_name_is_free(api: Api, stranger: Api) -> None:
    assert api.create().status_code == 201
    assert stranger.create().status_code == 201


@pytest.mark.parametrize("name", ["***", "   ", "日本", "x" * 201, "x" * 2**20])
def test_s4e_038_a_name_that_makes_no_id_is_refused(api: Api, name: str) -> None:
    response = api.create(name=name)

    invalid(response, "name")
    assert len(response.content) < 2_000


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("Ünïcode & Ärger", "pb-unicode-arger"),
        ("../../etc/passwd", "pb-etc-passwd"),
        ("a\r\n\tb", "pb-a-b"),
        ("x" * 200, "pb-" + "x" * 120),
        ("\u202eevil\u200b", "pb-evil"),
        ("<script>alert(1)</script>", "pb-script-alert-1-script"),
    ],
)
def test_the_id_is_the_slug_of_the_name(api: Api, name: str, id: str) -> None:
    made = data(api.create(name=name))

    assert (made["id"], made["name"]) == (id, name)
    assert data(api.get(f"/api/playbooks/{id}"))["name"] == name


def test_s4e_039_a_viewer_may_not_write(viewer: Api) -> None:
    error(viewer.create(), 403, "forbidden")


def test_s4e_041_a_large_body_is_refused(api: Api) -> None:
    error(api.create(description="x" * (5 * 2**20)), 413, "payload_too_large")


@pytest.mark.parametrize(
    "octets",
    [b" ", b"{", b'{"name":1,"name":1}', b'{"a":NaN}', b"\xff", b'{"name":"\\u0000"}', b"[" * 200, b"[]", b"7"],
)
def test_what_is_no_object_is_no_playbook(api: Api, octets: bytes) -> None:
    error(api.post("/api/playbooks", octets), 400, "bad_request")


@pytest.mark.parametrize("name", ["x_unknown", "tenant_id", "status", "is_enabled", "cacao_id", "dry_run"])
def test_an_unknown_field_is_refused(api: Api, tenant: Tenant, name: str) -> None:
    invalid(api.create(**{name: "x"}), name)
    assert not Playbook.objects.filter(tenant=tenant).exists()


def test_what_an_answer_shows_may_be_sent_back(api: Api) -> None:
    shown = data(api.get(f"/api/playbooks/{api.made()}"))

    again = api.post("/api/playbooks", shown | {"name": "The Same Again"})

    assert data(again)["id"] == "pb-the-same-again"


def test_only_json_is_read(api: Api) -> None:
    from django.test import Client

    response = Client().post("/api/playbooks", {"name": "x"}, headers={"Authorization": f"Bearer {api.key}"})
    error(response, 415, "unsupported_media_type")  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_stored_playbook_is_not_changed_here(api: Api, method: str) -> None:
    path = f"/api/playbooks/{api.made()}"
    response = api.send(method, path)

    error(response, 405, "method_not_allowed")
    assert response["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/api/actions", "/api/findings", "/api/events/stream"])
def test_other_parts_of_the_product_are_not_served(api: Api, path: str) -> None:
    assert api.get(path).status_code == 404


def test_an_api_key_without_the_scope_may_not_write(tenant: Tenant, caller: Callable[..., Api]) -> None:
    error(caller(tenant, "soc_analyst").create(), 403, "forbidden")
    assert caller(tenant, "soc_lead").create().status_code == 201


def test_numbers_come_back_as_they_were_written(api: Api) -> None:
    numbers = b'{"body":{"n":1.10,"big":123456789012345678901234567890}}'
    step = b'{"id":"a","type":"action","action_ref":"act-http-request","parameters":' + numbers + b"}"
    octets = json.dumps(body(steps=["STEP"])).encode().replace(b'"STEP"', step)
    assert api.post("/api/playbooks", octets).status_code == 201

    shown = api.get("/api/playbooks/pb-critical-finding-alert").content
    assert b"1.10" in shown
    assert b"123456789012345678901234567890" in shown
    assert read(api.get("/api/playbooks/pb-critical-finding-alert"))["data"]["steps"][0]["id"] == "a"
