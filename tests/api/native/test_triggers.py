"""Triggers through our own API: made, read, changed, removed, fired by hand; those of documents among them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import Tenant
from core.clock import database_now
from executions.models import Execution
from executions.services.scheduling import fire_due
from playbooks.models import Playbook, PlaybookVersion, Trigger
from playbooks.schedules import next_fire
from playbooks.services import archive_playbook
from playbooks.services.triggers import MOST_TRIGGERS
from tests.api.native.calls import Api
from tests.api.native.conftest import MakeCaller
from tests.api.native.triggering import ROOT, executions_of, make, problem, read, store
from tests.api.s4e.calls import SEED
from tests.engine.test_decide import act, end, flow
from tests.executions.test_starts import VARIABLES
from tests.factories import NOON
from tests.flows.starting import store_workflow

CRON = "0 8 * * 1-5"


@pytest.fixture
def playbook(tenant: Tenant) -> Playbook:
    return store(tenant)


def patch(api: Api, trigger: Any, **change: Any) -> Any:
    return api.send("PATCH", f"{ROOT}/{trigger}", change)


def get(api: Api, trigger: Any) -> dict[str, Any]:
    return read(api.get(f"{ROOT}/{trigger}"))


def test_a_schedule_shows_when_it_is_due_and_its_next_five_fires(api: Api, playbook: Playbook) -> None:
    made = make(api, playbook, "schedule", cron=CRON)

    due = next_fire(CRON, database_now()).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (made["next_due_at"], made["missed_policy"], made["enabled"]) == (due, "once", True)
    assert made["next_fires"][0] == due
    assert len(made["next_fires"]) == 5
    assert made["next_fires"] == read(api.get(f"{ROOT}/preview?cron=0+8+*+*+1-5"))["next_fires"]
    assert made["playbook"] == {
        "id": f"pb-{playbook.slug}", "cacao_id": playbook.cacao_id, "name": playbook.name,
    }  # fmt: skip
    assert (made["secret"], made["has_secret"], made["hook"], made["from_document"]) == (None, False, None, False)


def test_a_fire_shows_on_its_trigger_with_its_execution(api: Api, playbook: Playbook) -> None:
    made = make(api, playbook, "schedule", cron=CRON)
    Trigger.objects.filter(pk=made["id"]).update(next_due_at=database_now() - timedelta(seconds=1))
    fire_due()

    shown = get(api, made["id"])
    assert shown["last_execution_id"] == str(Execution.objects.get().pk)
    assert shown["last_fired_at"]
    assert shown["last_error"] is None
    assert shown["next_due_at"] == made["next_due_at"]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"event": "schedule"}, "cron"),
        ({"event": "schedule", "cron": "* * * * * *"}, "cron"),
        ({"event": "schedule", "cron": "61 * * * *"}, "cron"),
        ({"event": "schedule", "cron": "@reboot"}, "cron"),
        ({"event": "schedule", "cron": ""}, "cron"),
        ({"event": "schedule", "cron": "0 0 30 2 *"}, "cron"),
        ({"event": "schedule", "cron": 5}, "cron"),
        ({"event": "schedule", "cron": CRON, "missed_policy": "never"}, "missed_policy"),
        ({"event": "schedule", "cron": CRON, "conditions": {"a": 1}}, "conditions"),
        ({"event": "schedule", "cron": CRON, "signature": "github"}, "signature"),
        ({"event": "webhook", "cron": CRON}, "cron"),
        ({"event": "webhook", "signature": "none"}, "signature"),
        ({"event": "webhook", "missed_policy": "all"}, "missed_policy"),
        ({"event": "finding.new", "signature": "github"}, "signature"),
        ({"event": "finding.new", "conditions": {"a": {"$in": 5}}}, "conditions.a.$in"),
        ({"event": "finding.new", "conditions": {"a": {"$regex": "("}}}, "conditions.a.$regex"),
        ({"event": "finding.new", "conditions": {"$or": []}}, "conditions.$or"),
        ({"event": "finding.new", "conditions": []}, "conditions"),
        ({"event": "finding.new", "conditions": {str(n): n for n in range(51)}}, "conditions"),
        ({"event": "finding.new", "dedup_fields": "a"}, "dedup_fields"),
        ({"event": "finding.new", "dedup_fields": ["a", "b..c"]}, "dedup_fields[1]"),
        ({"event": "finding.new", "dedup_fields": ["a"] * 21}, "dedup_fields"),
        ({"event": "finding.new", "parameters": {"host": ".a"}}, "parameters.host"),
        ({"event": "finding.new", "parameters": {"host": 7}}, "parameters.host"),
        ({"event": "finding.new", "enabled": "yes"}, "enabled"),
        ({"event": "finding.new", "secret": "mine"}, "secret"),
        ({"event": "manual"}, "event"),
        ({"event": "nothing.new"}, "event"),
        ({}, "event"),
        ({"event": "finding.new", "playbook": "pb-none"}, "playbook"),
        ({"event": "finding.new", "playbook": f"playbook--{uuid4()}"}, "playbook"),
        ({"event": "finding.new", "playbook": None}, "playbook"),
    ],
)
def test_what_cannot_be_is_refused_naming_the_field(
    api: Api, playbook: Playbook, given: dict[str, Any], path: str
) -> None:
    answer = api.post(ROOT, {"playbook": f"pb-{playbook.slug}", **given})

    assert answer.status_code == 422, answer.content
    told = read(answer)
    assert path in [fault["path"] for fault in told["errors"]], told
    assert not Trigger.objects.exists()


def test_a_playbook_is_named_by_either_of_its_ids(api: Api, playbook: Playbook) -> None:
    made = api.post(ROOT, {"playbook": playbook.cacao_id, "event": "finding.new"})

    assert read(made)["playbook"]["id"] == f"pb-{playbook.slug}"


def test_triggers_are_listed_by_pages_and_filters(api: Api, tenant: Tenant, playbook: Playbook) -> None:
    ids = [make(api, playbook, "finding.new")["id"] for _ in range(5)]
    other = make(api, store(tenant), "webhook", enabled=False)["id"]

    seen: list[str] = []
    path = f"{ROOT}?limit=2"
    while path:
        page = read(api.get(path))
        assert len(page["items"]) <= 2
        seen += [row["id"] for row in page["items"]]
        path = f"{ROOT}?limit=2&cursor={page['next']}" if page["next"] else ""
    assert seen == [other, *reversed(ids)]

    def listed(query: str) -> list[str]:
        return [row["id"] for row in read(api.get(f"{ROOT}?{query}"))["items"]]

    assert listed("event=webhook") == listed("enabled=false") == [other]
    assert listed(f"playbook=pb-{playbook.slug}") == list(reversed(ids))
    assert listed(f"playbook={playbook.cacao_id}&enabled=false") == []


@pytest.mark.parametrize("query", ["event=x", "enabled=1", "limit=0", "limit=101", "playbook=pb-none", "playbook="])
def test_a_wrong_filter_is_refused(api: Api, playbook: Playbook, query: str) -> None:
    assert api.get(f"{ROOT}?{query}").status_code == 422


def test_a_cursor_is_good_for_its_own_list_only(api: Api, stranger: Api, playbook: Playbook) -> None:
    for _ in range(2):
        make(api, playbook, "finding.new")
    cursor = read(api.get(f"{ROOT}?limit=1"))["next"]

    assert api.get(f"{ROOT}?cursor={cursor}&event=webhook").status_code == 400
    assert stranger.get(f"{ROOT}?cursor={cursor}").status_code == 400
    assert api.get(f"{ROOT}?cursor={cursor}x").status_code == 400


def test_a_change_of_line_or_switching_on_counts_from_now(api: Api, playbook: Playbook) -> None:
    made = make(api, playbook, "schedule", cron=CRON)
    long_ago = database_now() - timedelta(days=30)
    Trigger.objects.update(next_due_at=long_ago)

    changed = read(patch(api, made["id"], cron="30 6 * * *", missed_policy="all"))
    assert changed["next_due_at"] == changed["next_fires"][0]
    assert changed["missed_policy"] == "all"

    assert read(patch(api, made["id"], enabled=False))["next_due_at"] is None
    assert read(patch(api, made["id"], enabled=True))["next_due_at"] == changed["next_due_at"]
    assert fire_due() == 0


def test_other_changes_leave_the_next_fire_alone(api: Api, playbook: Playbook) -> None:
    made = make(api, playbook, "schedule", cron=CRON)
    due = database_now() - timedelta(days=1)
    Trigger.objects.update(next_due_at=due)

    patch(api, made["id"], missed_policy="skip", cron=CRON)

    assert Trigger.objects.get(pk=made["id"]).next_due_at == due


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"cron": "x"}, "cron"), ({"event": "webhook"}, "event"), ({"playbook": "pb-x"}, "playbook"),
        ({"signature": "github"}, "signature"), ({"conditions": {"a": 1}}, "conditions"),
        ({"enabled": None}, "enabled"),
    ],
)  # fmt: skip
def test_a_wrong_change_is_refused_and_changes_nothing(
    api: Api, playbook: Playbook, change: dict[str, Any], path: str
) -> None:
    made = make(api, playbook, "schedule", cron=CRON)

    answer = patch(api, made["id"], **{"enabled": False, **change})

    assert answer.status_code == 422
    assert path in [fault["path"] for fault in read(answer)["errors"]]
    assert get(api, made["id"])["enabled"] is True


def test_a_trigger_is_removed_and_what_it_started_stays(api: Api, playbook: Playbook) -> None:
    made = make(api, playbook, "finding.new")
    api.post("/api/native/events", {"event": "finding.new", "data": {}})

    assert api.send("DELETE", f"{ROOT}/{made['id']}").status_code == 204
    problem(api.get(f"{ROOT}/{made['id']}"), 404, "trigger_not_found")
    assert Execution.objects.count() == 1


def test_a_playbook_has_a_hundred_triggers_at_most(api: Api, playbook: Playbook) -> None:
    rows = [Trigger(tenant=playbook.tenant, playbook=playbook, event="finding.new") for _ in range(MOST_TRIGGERS)]
    Trigger.objects.bulk_create(rows)

    answer = api.post(ROOT, {"playbook": f"pb-{playbook.slug}", "event": "finding.new"})

    problem(answer, 409, "too_many_triggers")


def test_a_documents_trigger_is_shown_and_only_partly_changed(api: Api) -> None:
    document = SEED | {"trigger": {"event": "schedule", "conditions": {}, "cron": CRON}}
    slug = read(api.post("/api/playbooks", document))["data"]["id"]
    [shown] = read(api.get(f"{ROOT}?playbook={slug}"))["items"]

    assert (shown["from_document"], shown["event"], shown["cron"]) == (True, "schedule", CRON)
    assert shown["next_due_at"] == shown["next_fires"][0]
    assert read(patch(api, shown["id"], enabled=False, missed_policy="skip"))["missed_policy"] == "skip"
    problem(patch(api, shown["id"], cron="0 9 * * *"), 409, "set_by_document")
    problem(patch(api, shown["id"], conditions={}), 409, "set_by_document")
    problem(api.send("DELETE", f"{ROOT}/{shown['id']}"), 409, "set_by_document")
    assert read(api.get(f"/api/playbooks/{slug}"))["data"]["trigger"]["cron"] == CRON


def test_a_trigger_made_here_does_not_show_in_the_playbooks_document(api: Api) -> None:
    slug = read(api.post("/api/playbooks", SEED))["data"]["id"]
    api.post(ROOT, {"playbook": slug, "event": "schedule", "cron": CRON})

    assert read(api.get(f"/api/playbooks/{slug}"))["data"]["trigger"] == SEED["trigger"]
    assert len(read(api.get(f"{ROOT}?playbook={slug}"))["items"]) == 2


def test_by_hand_a_trigger_starts_in_the_name_of_the_caller(api: Api, playbook: Playbook) -> None:
    made = make(api, playbook, "finding.new", enabled=False, conditions={"severity": "critical"})

    [started] = executions_of(api.post(f"{ROOT}/{made['id']}/fire", {"data": {"title": "x"}}))

    execution = Execution.objects.get(pk=started)
    assert execution.inputs["finding"] == {"title": "x"}
    assert execution.actor["kind"] == "key"
    assert get(api, made["id"])["last_fired_at"] is None


def test_by_hand_a_schedule_sees_the_time_of_now_and_a_key_starts_once(api: Api, playbook: Playbook) -> None:
    made = make(api, playbook, "schedule", cron=CRON)
    answers = [api.post(f"{ROOT}/{made['id']}/fire", None, Idempotency_Key="k") for _ in range(2)]

    assert executions_of(answers[0]) == executions_of(answers[1])
    assert Execution.objects.get().inputs["schedule"]["cron"] == CRON
    assert get(api, made["id"])["next_due_at"] == made["next_due_at"]


def test_by_hand_a_playbook_that_may_not_start_is_a_conflict(api: Api, playbook: Playbook) -> None:
    made = make(api, playbook, "finding.new")
    Playbook.objects.update(is_enabled=False)
    problem(api.post(f"{ROOT}/{made['id']}/fire"), 409, "playbook_disabled")

    Playbook.objects.update(is_enabled=True)
    PlaybookVersion.objects.update(is_revoked=True)
    problem(api.post(f"{ROOT}/{made['id']}/fire", {}), 409, "playbook_revoked")


def test_parameters_carry_the_data_into_a_cacao_playbooks_variables(api: Api, tenant: Tenant) -> None:
    workflow = flow(act("a", on_success="end"), end(), first="a", variables=VARIABLES)
    playbook = store_workflow(tenant, workflow).playbook
    made = make(api, playbook, "finding.new", parameters={"__need__": "hosts.0.port", "__have__": "none.there"})

    api.post("/api/native/events", {"event": "finding.new", "data": {"hosts": [{"port": 22}]}})
    [execution] = Execution.objects.all()
    assert execution.inputs["variables"] == {"__need__": 22}

    answer = api.post("/api/native/events", {"event": "finding.new", "data": {}})
    assert read(answer)["refused"][0]["code"] == "external_variable_missing"
    assert "external_variable_missing" in get(api, made["id"])["last_error"]


def test_triggers_of_a_deleted_playbook_are_gone(api: Api, playbook: Playbook) -> None:
    made = make(api, playbook, "schedule", cron=CRON)
    archive_playbook(playbook=playbook, now=NOON)

    assert read(api.get(ROOT))["items"] == []
    assert api.get(f"{ROOT}/{made['id']}").status_code == 404


def test_nobody_sees_or_moves_triggers_of_another_tenant(api: Api, stranger: Api, playbook: Playbook) -> None:
    made = make(api, playbook, "webhook")
    path = f"{ROOT}/{made['id']}"

    assert read(stranger.get(ROOT))["items"] == []
    answers = [
        stranger.get(path), patch(stranger, made["id"], enabled=False), stranger.send("DELETE", path),
        stranger.post(f"{path}/fire"), stranger.post(f"{path}/rotate-secret"),
    ]  # fmt: skip
    for answer in answers:
        problem(answer, 404, "trigger_not_found")
    refused = stranger.post(ROOT, {"playbook": f"pb-{playbook.slug}", "event": "finding.new"})
    problem(refused, 422, "trigger_invalid")
    assert get(api, made["id"])["enabled"] is True


def test_roles_may_what_they_may_with_playbooks(
    api: Api, tenant: Tenant, caller: MakeCaller, playbook: Playbook
) -> None:
    made = make(api, playbook, "webhook")
    path = f"{ROOT}/{made['id']}"
    viewer, analyst = caller(tenant, "viewer"), caller(tenant, "analyst")

    assert viewer.get(path).status_code == analyst.get(ROOT).status_code == 200
    for person in (viewer, analyst):
        for answer in (
            person.post(ROOT, {}), patch(person, made["id"], enabled=False), person.send("DELETE", path),
            person.post(f"{path}/rotate-secret"),
        ):  # fmt: skip
            problem(answer, 403, "forbidden")
    problem(viewer.post(f"{path}/fire"), 403, "forbidden")
    assert analyst.post(f"{path}/fire").status_code == 202
    assert Api().get(ROOT).status_code == 401


@pytest.mark.parametrize("overlap", [-1, 7 * 86_400 + 1, "60", 1.5])
def test_an_overlap_is_from_nothing_to_a_week(api: Api, playbook: Playbook, overlap: Any) -> None:
    made = make(api, playbook, "webhook")

    assert api.post(f"{ROOT}/{made['id']}/rotate-secret", {"overlap_seconds": overlap}).status_code == 422


def test_what_has_no_secret_is_not_rotated(api: Api, playbook: Playbook) -> None:
    made = make(api, playbook, "finding.new")

    problem(api.post(f"{ROOT}/{made['id']}/rotate-secret"), 409, "no_secret")


@pytest.mark.parametrize("cron", ["", "@daily", "61+*+*+*+*", "x" * 10_000])
def test_a_preview_of_no_line_is_refused(api: Api, cron: str) -> None:
    problem(api.get(f"{ROOT}/preview?cron={cron}"), 422, "trigger_invalid")
