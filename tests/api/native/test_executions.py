"""/api/native/executions: starting, listing, looking into, holding, stopping and repeating executions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Tenant
from executions.models import Event, Execution, StepRun
from executions.services.claiming import claim_step
from executions.services.sweeping import sweep_once
from executions.tasks import run_from
from playbooks.cacao.types import Question, QuestionKind, Step, StepType, Variable, Workflow
from playbooks.models import PlaybookVersion
from tests.api.native.calls import Api, at_fault, problem, read
from tests.connectors.servers import Reply, Server
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import advance, claim, one_step, post, record, run_of, state, statuses
from tests.executions.histories import check_history
from tests.flows.starting import Start, store_workflow

NOBODY = "5d0f7c1e-8a47-4b0e-9a53-6c1f2e0b9d74"  # the same in every process that collects these tests
TWO = flow(act("a", on_success="b"), act("b", on_success="end"), end(), first="a")
ONE = flow(
    act("a", on_success="end"), end(), first="a",
    variables={"__n__": Variable("__n__", type="integer", value="0", external=True), "__own__": Variable("__own__")},
)  # fmt: skip


def ask(name: str, **more: Any) -> Step:
    return Step(id=name, type=StepType.ACTION, question=Question(QuestionKind.INPUT, "?"), **more)


@pytest.fixture
def version(tenant: Tenant) -> PlaybookVersion:
    return store_workflow(tenant, ONE)


def path(execution: Execution, verb: str = "") -> str:
    return f"/executions/{execution.pk}{'/' if verb else ''}{verb}"


def listed(api: Api, query: str = "") -> list[str]:
    return [item["id"] for item in read(api.get(f"/executions{query}"))["items"]]


# Starting


@pytest.mark.parametrize("name", ["pk", "slug", "cacao_id"])
def test_a_playbook_is_started_by_each_of_its_names(api: Api, version: PlaybookVersion, name: str) -> None:
    playbook = version.playbook
    reference = f"pb-{playbook.slug}" if name == "slug" else str(getattr(playbook, name))
    response = api.post("/executions", {"playbook": reference, "variables": {"__n__": "5"}})
    told = read(response, 201)

    assert (told["status"], told["repeated"], told["dry_run"]) == ("pending", False, False)
    assert told["playbook"]["id"] == str(playbook.pk)
    assert response["Location"] == f"/api/native/executions/{told['id']}"
    assert told["stream"] == f"/ws/executions/{told['id']}"
    assert [wait["kind"] for wait in told["waits_for"]] == ["worker"]
    assert Execution.objects.get(pk=told["id"]).inputs == {"variables": {"__n__": "5"}}


def test_a_parameter_is_a_variable_with_or_without_its_underscores(api: Api, version: PlaybookVersion) -> None:
    for name in ("n", "__n__"):
        told = read(api.post("/executions", {"playbook": str(version.playbook_id), "parameters": {name: 5}}), 201)
        assert Execution.objects.get(pk=told["id"]).inputs["variables"] == {"__n__": 5}


def test_the_same_key_and_body_start_once_and_another_body_is_a_conflict(api: Api, version: PlaybookVersion) -> None:
    given = {"playbook": str(version.playbook_id)}
    first = read(api.post("/executions", given, Idempotency_Key="k-1"), 201)
    again = read(api.post("/executions", given, Idempotency_Key="k-1"), 200)

    assert (again["id"], again["repeated"]) == (first["id"], True)
    problem(api.post("/executions", {**given, "dry_run": True}, Idempotency_Key="k-1"), 409, "start_key_reused")
    problem(api.post("/executions", given, Idempotency_Key="k 1"), 400)
    assert Execution.objects.count() == 1


def test_a_start_may_be_a_dry_run_with_a_version_and_a_deadline(api: Api, version: PlaybookVersion) -> None:
    given = {"playbook": str(version.playbook_id), "version": "1.0.0", "dry_run": True, "deadline": 90}
    told = read(api.post("/executions", given), 201)
    made = Execution.objects.get(pk=told["id"])

    assert told["dry_run"] is True
    assert made.deadline_at is not None
    assert made.deadline_at - made.created_at == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"playbook": None}, "playbook"),
        ({"playbook": ""}, "playbook"),
        ({"playbook": 7}, "playbook"),
        ({"playbook": "nothing"}, "playbook"),
        ({"playbook": "x" * 301}, "playbook"),
        ({"variables": []}, "variables"),
        ({"variables": {"__own__": "1"}}, "variables.__own__"),
        ({"variables": {"__unknown__": "1"}}, "variables.__unknown__"),
        ({"variables": {"__n__": "many"}}, "variables.__n__"),
        ({"parameters": {"unknown": 1}}, "parameters.unknown"),
        ({"parameters": {"n": 1, "__n__": 1}}, "parameters.__n__"),
        ({"parameters": {}, "variables": {}}, "parameters"),
        ({"dry_run": "yes"}, "dry_run"),
        ({"deadline": 0}, "deadline"),
        ({"deadline": "60"}, "deadline"),
        ({"deadline": 2**63}, "deadline"),
        ({"tenant_id": "x"}, "tenant_id"),
    ],
)
def test_a_start_that_cannot_be_meant_names_the_field(
    api: Api, version: PlaybookVersion, change: dict[str, Any], path: str
) -> None:
    at_fault(api.post("/executions", {"playbook": str(version.playbook_id), **change}), path)
    assert not Execution.objects.exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400), (b'{"a":1,"a":1}', 400), (b'{"a":NaN}', 400), (b"[]", 400), (b'"x"', 400),
        (b'{"playbook": "a\\u0000"}', 400), (b"{}", 422),
    ],
)  # fmt: skip
def test_a_body_that_is_no_start_is_refused(api: Api, body: bytes, status: int) -> None:
    problem(api.post("/executions", body), status)


def test_what_is_not_there_or_may_not_start_is_said(
    api: Api, stranger: Api, viewer: Api, version: PlaybookVersion
) -> None:
    given = {"playbook": str(version.playbook_id)}
    problem(stranger.post("/executions", given), 404, "playbook_not_found")
    problem(api.post("/executions", {"playbook": str(uuid4())}), 404, "playbook_not_found")
    problem(api.post("/executions", {**given, "version": "9"}), 404, "playbook_not_found")
    problem(viewer.post("/executions", given), 403)
    problem(Api().post("/executions", given), 401)
    version.playbook.is_enabled = False
    version.playbook.save()
    problem(api.post("/executions", given), 409, "playbook_disabled")


def test_a_full_queue_is_429_with_its_limit(api: Api, version: PlaybookVersion, settings: Any) -> None:
    settings.SALLYPORT_QUEUE_LIMIT = 1
    given = {"playbook": str(version.playbook_id)}
    first = read(api.post("/executions", given), 201)
    response = api.post("/executions", given)

    found = problem(response, 429, "queue_full")
    assert int(response["Retry-After"]) > 0
    assert (found["context"]["limit"], found["context"]["queued"]) == (1, 1)
    assert listed(api) == [first["id"]]


# Listing


def test_a_list_is_paged_newest_first_without_gap_or_repeat(api: Api, start: Start) -> None:
    made = [str(start(TWO).pk) for _ in range(5)]
    got: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = read(api.get(f"/executions?limit=2{cursor and '&cursor=' + cursor}"))
        got += [item["id"] for item in page["items"]]
        cursor = page["next"]

    assert got == made[::-1]


def test_a_list_is_filtered(api: Api, start: Start) -> None:
    begun, fresh = start(TWO), start(TWO)
    advance(begun, "start")
    at = quote(begun.created_at.isoformat())

    assert listed(api, "?status=running") == [str(begun.pk)]
    assert listed(api, f"?playbook={fresh.playbook_id}") == [str(fresh.pk)]
    assert listed(api, f"?playbook=pb-{fresh.playbook.slug}") == [str(fresh.pk)]
    assert listed(api, f"?playbook={fresh.playbook.cacao_id}") == [str(fresh.pk)]
    assert listed(api, "?dialect=s4e") == []
    assert listed(api, f"?created_after={at}") == [str(fresh.pk)]
    assert listed(api, f"?created_before={at}") == []
    assert listed(api, "?waiting_for=review") == []
    assert set(listed(api, "?waiting_for=worker")) == {str(begun.pk), str(fresh.pk)}
    assert set(listed(api, "?ordering=tenant__secret")) == {str(begun.pk), str(fresh.pk)}


@pytest.mark.parametrize(
    "query",
    [
        "status=bogus", "status=", "playbook=x", "playbook=", "parent=7", "created_after=now", "waiting_for=nothing",
        "created_after=2026-11-22", "created_after=2026-11-22T00:00:00", "created_before=0000-01-01T00:00:00Z",
        "created_before=10000-01-01T00:00:00Z", "created_before=2026-02-30T00:00:00Z",
        "created_before=0001-01-01T00:00:00%2B23:00", "limit=0", "limit=101", "limit=abc", "dialect=" + "x" * 301,
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_meant_is_refused(api: Api, query: str) -> None:
    at_fault(api.get(f"/executions?{query}"), query.partition("=")[0])


def test_a_cursor_is_good_for_its_own_list_only(api: Api, stranger: Api, start: Start) -> None:
    for _ in range(3):
        start(TWO)
    cursor = read(api.get("/executions?limit=1"))["next"]

    read(api.get(f"/executions?limit=2&cursor={cursor}"))
    for bad in (f"limit=1&status=pending&cursor={cursor}", f"cursor={cursor[:-2]}", "cursor=AAAA", "cursor="):
        problem(api.get(f"/executions?{bad}"), 400)
    problem(stranger.get(f"/executions?cursor={cursor}"), 400)
    problem(api.get(f"/reviews?cursor={cursor}"), 400)


def test_a_list_asks_the_same_questions_however_long_it_is(api: Api, start: Start) -> None:
    waiting = flow(ask("q", on_success="end"), end(), first="q")

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            read(api.get("/executions"))
        return len(queries)

    advance(start(waiting), "start")
    asked()
    one = asked()
    for _ in range(6):
        advance(start(waiting), "start")
    assert asked() == one


def test_tenants_see_nothing_of_each_other(api: Api, stranger: Api, start: Start) -> None:
    execution = start(TWO)

    assert listed(stranger) == []
    for verb in ("", "steps", "events"):
        problem(stranger.get(path(execution, verb)), 404, "execution_not_found")
    for verb in ("pause", "resume", "cancel", "run-again"):
        problem(stranger.post(path(execution, verb)), 404, "execution_not_found")
    assert state(execution)[0] == "pending"


@pytest.mark.parametrize(
    "reference",
    [
        NOBODY, NOBODY[:-1], "pexec-999999999", "pexec-" + "9" * 20, "0", "null", "..", "%00", "a%2fb",
        "x" * 5_000,
    ],
)  # fmt: skip
def test_what_names_no_execution_is_not_found(api: Api, reference: str) -> None:
    for verb in ("", "/steps", "/events"):
        assert api.get(f"/executions/{reference}{verb}").status_code == 404


# Looking into one


def test_an_execution_is_found_by_either_id_and_told_whole(api: Api, start: Start) -> None:
    execution = start(TWO)
    advance(execution, "start", "a")
    told = read(api.get(path(execution)))

    assert read(api.get(f"/executions/{execution}")) == told
    assert (told["name"], told["status"], told["steps"]) == (str(execution), "running", {"completed": 2, "pending": 1})
    assert (told["held"], told["stop"], told["parent"], told["again_of"]) == (None, None, None, None)
    assert told["last_seq"] == Event.objects.filter(execution=execution).count()
    assert told["started_by"] == {"kind": "system", "name": "system"}


def test_step_runs_are_told_in_order_with_their_attempts(api: Api, start: Start, effects: Server) -> None:
    execution = start(one_step(post("p", "/effect/unkeyed")))
    advance(execution, "start")
    run_from(run_of(execution, "p").pk)
    steps = read(api.get(path(execution, "steps")))["items"]

    assert [(step["step"], step["status"]) for step in steps] == [
        ("start", "completed"),
        ("p", "completed"),
        ("end", "completed"),
    ]
    called = steps[1]
    assert (called["effect"], called["effective_class"], called["output_omitted"]) == ("applied", "unsafe", False)
    assert called["output"]["body"]["applied"] == 1
    assert [attempt["outcome"] for attempt in called["attempts"]] == ["completed"]
    assert called["attempts"][0]["calls"][0]["key"] == called["id"]
    assert "worker" not in called["attempts"][0]


def test_step_runs_are_paged(api: Api, start: Start) -> None:
    execution = start(TWO)
    advance(execution, "start", "a", "b")
    first = read(api.get(path(execution, "steps") + "?limit=2"))
    second = read(api.get(path(execution, "steps") + f"?limit=2&cursor={first['next']}"))

    assert [step["step"] for step in first["items"] + second["items"]] == ["start", "a", "b", "end"]
    assert second["next"] is None


def test_an_output_too_large_for_a_list_is_left_out_and_said(api: Api, start: Start) -> None:
    execution = start(TWO)
    noise = "".join(uuid4().hex for _ in range(4_000))
    StepRun.objects.filter(execution=execution).update(result={"output": noise})

    step = read(api.get(path(execution, "steps")))["items"][0]
    assert (step["output"], step["output_omitted"]) == (None, True)


def test_events_follow_a_number_in_order(api: Api, start: Start) -> None:
    execution = start(TWO)
    advance(execution, "start", "a", "b")
    whole = read(api.get(path(execution, "events")))
    part = read(api.get(path(execution, "events") + "?after=2&limit=3"))

    assert [event["seq"] for event in whole["items"]] == list(range(1, len(whole["items"]) + 1))
    assert whole["next"] is None
    assert whole["items"][-1]["type"] == "execution.completed"
    assert part["items"] == whole["items"][2:5]
    assert part["next"] == 5
    for query in ("after=-1", "after=x", "limit=0", "limit=1001"):
        at_fault(api.get(path(execution, "events") + f"?{query}"), query.partition("=")[0])


# What it waits for


def waits(api: Api, execution: Execution) -> list[dict[str, Any]]:
    told = read(api.get(path(execution)))
    assert told["waits_total"] == len(told["waits_for"])
    return list(told["waits_for"])


def test_each_thing_that_is_waited_for_has_a_name(api: Api, start: Start) -> None:
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=("q", "later", "busy", "due"), on_success="end")
    steps = (
        fork, ask("q", on_success="e1"), act("later", delay=timedelta(hours=1), on_success="e2"),
        act("busy", on_success="e3"), act("due", on_success="e4"),
        *(Step(id=f"e{n}", type=StepType.END) for n in range(1, 5)), end(),
    )  # fmt: skip
    execution = start(flow(*steps, first="fork"))
    advance(execution, "start")
    claim(execution, "busy")
    found = {wait["step"]: wait for wait in waits(api, execution)}

    assert {step: wait["kind"] for step, wait in found.items()} == {
        "q": "request", "later": "timer", "busy": "call", "due": "worker",
    }  # fmt: skip
    assert found["q"]["id"] is not None
    assert found["later"]["until"] is not None
    for kind in ("request", "timer", "call", "worker"):
        assert listed(api, f"?waiting_for={kind}") == [str(execution.pk)]
    assert listed(api, "?waiting_for=hold") == []


def test_an_execution_that_has_ended_waits_for_nothing(api: Api, start: Start) -> None:
    execution = start(TWO)
    advance(execution, "start", "a", "b")

    assert waits(api, execution) == []


# Holding and stopping


def test_pause_stops_claims_from_its_answer_on_and_resume_lets_them_go(api: Api, start: Start) -> None:
    execution = start(TWO)
    advance(execution, "start")
    work = claim(execution, "a")
    told = read(api.post(path(execution, "pause")))
    assert (told["status"], told["held"]["by"]) == ("paused", "operator")
    assert read(api.post(path(execution, "pause"), {}))["held"] == told["held"]
    record(work)

    assert claim_step(step_run_id=run_of(execution, "b").pk, worker="w") is None
    assert [wait["kind"] for wait in waits(api, execution)] == ["hold", "worker"]
    assert listed(api, "?waiting_for=hold") == [str(execution.pk)]
    assert read(api.post(path(execution, "resume")))["status"] == "running"
    assert read(api.post(path(execution, "resume")))["held"] is None
    advance(execution, "b")
    assert state(execution)[0] == "completed"
    check_history(execution)


def test_after_cancel_no_step_starts_and_a_running_one_is_recorded(api: Api, start: Start) -> None:
    execution = start(TWO)
    advance(execution, "start")
    work = claim(execution, "a")
    told = read(api.post(path(execution, "cancel"), {"reason": "wrong host"}))
    assert told["stop"]["stop_as"] == "cancelled"
    assert [wait["kind"] for wait in told["waits_for"]] == ["stop", "call"]
    problem(api.post(path(execution, "cancel")), 409, "execution_ended")
    record(work)

    assert state(execution) == ("cancelled", "wrong host")
    assert statuses(execution) == {"a": "completed"}
    check_history(execution)


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_what_has_ended_is_not_steered(api: Api, start: Start, verb: str) -> None:
    execution = start(flow(end(), first="end"))
    advance(execution, "start")

    assert "completed" in problem(api.post(path(execution, verb)), 409, "execution_ended")["detail"]


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel", "run-again"])
def test_steering_is_for_those_who_may(
    api: Api, tenant: Tenant, viewer: Api, caller: Callable[..., Api], start: Start, verb: str
) -> None:
    execution = start(TWO)

    problem(viewer.post(path(execution, verb)), 403)
    problem(caller(tenant, "approver").post(path(execution, verb)), 403)
    problem(Api().post(path(execution, verb)), 401)
    problem(api.get(path(execution, verb)), 405)
    at_fault(api.post(path(execution, verb), {"status": "completed"}), "status")
    problem(api.post(path(execution, verb), []), 400)
    assert state(execution)[0] == "pending"


def test_a_reason_is_a_text_of_at_most_64_characters(api: Api, start: Start) -> None:
    execution = start(TWO)

    for reason in (7, "", "x" * 65, None):
        at_fault(api.post(path(execution, "cancel"), {"reason": reason}), "reason")
    assert state(execution)[0] == "pending"


# Parents and children


def calling(version: PlaybookVersion) -> Workflow:
    step = Step(id="call", type=StepType.PLAYBOOK_ACTION, playbook_id=version.playbook.cacao_id, on_success="after")
    return flow(step, act("after", on_success="end"), end(), first="call")


@pytest.fixture
def family(tenant: Tenant, start: Start) -> tuple[Execution, Execution]:
    """A parent that waits for its child."""
    parent = start(calling(store_workflow(tenant, TWO)))
    run_from(run_of(parent, "start").pk)
    return parent, Execution.objects.get(parent_step_run__execution=parent)


def test_a_parent_and_its_child_name_each_other(api: Api, family: tuple[Execution, Execution]) -> None:
    parent, child = family
    told = read(api.get(path(child)))["parent"]

    assert (told["execution"], told["step"]) == (str(parent.pk), "call")
    assert read(api.get(path(parent)))["children"] == [str(child.pk)]
    assert [(wait["kind"], wait["id"]) for wait in waits(api, parent)] == [("child", str(child.pk))]
    assert listed(api, f"?parent={parent.pk}") == listed(api, f"?parent={parent}") == [str(child.pk)]


def test_a_held_parent_holds_its_child_and_lifts_it_again(api: Api, family: tuple[Execution, Execution]) -> None:
    parent, child = family
    read(api.post(path(parent, "pause")))

    assert claim_step(step_run_id=run_of(child, "start").pk, worker="w") is None
    assert read(api.get(path(child)))["held"]["by"] == "parent"
    problem(api.post(path(child, "resume")), 409, "held_by_parent")
    read(api.post(path(parent, "resume")))
    assert read(api.get(path(child)))["held"] is None
    advance(child, "start", "a", "b")
    sweep_once()
    advance(parent, "after")
    assert state(parent)[0] == "completed"


def test_a_cancelled_parent_cancels_its_child(api: Api, family: tuple[Execution, Execution]) -> None:
    parent, child = family
    read(api.post(path(parent, "cancel")))

    assert (state(parent)[0], state(child)[0]) == ("cancelled", "cancelled")


# Repeating


def test_what_has_ended_is_run_again_with_the_same_version_and_inputs(api: Api, version: PlaybookVersion) -> None:
    first = read(api.post("/executions", {"playbook": str(version.playbook_id), "variables": {"__n__": "7"}}), 201)
    problem(api.post(f"/executions/{first['id']}/run-again"), 409, "execution_live")
    read(api.post(f"/executions/{first['id']}/cancel"))
    again = read(api.post(f"/executions/{first['id']}/run-again", Idempotency_Key="k"), 201)
    same = read(api.post(f"/executions/{first['id']}/run-again", Idempotency_Key="k"), 200)

    made = Execution.objects.get(pk=again["id"])
    assert (again["again_of"], again["repeated"]) == (first["id"], False)
    assert (same["id"], same["repeated"]) == (again["id"], True)
    assert (made.version_id, made.inputs) == (version.pk, {"variables": {"__n__": "7"}})
    assert Execution.objects.get(pk=first["id"]).status == "cancelled"
    advance(made, "start", "a")
    assert state(made)[0] == "completed"


def test_running_again_is_no_fresh_start_for_the_queue_limit(api: Api, version: PlaybookVersion, settings: Any) -> None:
    first = read(api.post("/executions", {"playbook": str(version.playbook_id)}), 201)
    read(api.post(f"/executions/{first['id']}/cancel"))
    settings.SALLYPORT_QUEUE_LIMIT = 1
    read(api.post("/executions", {"playbook": str(version.playbook_id)}), 201)

    read(api.post(f"/executions/{first['id']}/run-again"), 201)


def test_an_execution_that_calls_in_vain_says_when_it_tries_again(
    api: Api, start: Start, effects: Server, tenant: Tenant
) -> None:
    from tests.executions.acting import connect

    connect(tenant, effects, keyed=True)
    execution = start(one_step(post("p")))
    advance(execution, "start")
    effects.answers.append(Reply(429, headers={"Retry-After": "60"}))
    run_from(run_of(execution, "p").pk)

    [wait] = waits(api, execution)
    assert (wait["kind"], wait["step"], wait["until"] is not None) == ("retry", "p", True)
    assert listed(api, "?waiting_for=retry") == [str(execution.pk)]


def test_a_list_is_planned_for_the_values_it_is_asked_for(api: Api) -> None:
    """One plan for all values would look through the whole history for a status that hardly any execution has."""
    for _ in range(8):
        assert api.get("/executions?status=running").status_code == 200

    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        kept = [statement for (statement,) in cursor.fetchall()]
    assert kept, "nothing is prepared at all: this proves nothing"
    assert [text for text in kept if "executions_execution" in text and "ORDER BY" in text] == []
