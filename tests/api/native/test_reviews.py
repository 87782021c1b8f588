"""/api/native/reviews: a call whose answer was cut is put to a person, and ends as the person says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Tenant
from connectors.services import save_connection
from executions.leases import Holding
from executions.models import Attempt, Event, Execution, Review, StepRun
from executions.performing import perform
from executions.services import pause_execution
from executions.services.recording import record_outcome
from executions.services.sweeping import sweep_once
from executions.tasks import run_from
from playbooks.cacao.types import AgentTarget, Command, Operation, Step, StepType, Variable, Workflow
from tests.api.native.calls import Api, at_fault, problem, read
from tests.connectors.servers import Reply, Server, slack
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import PERSON, advance, change, claim, lose, one_step, post, run_of, state, statuses
from tests.executions.histories import check_history
from tests.factories import NOON
from tests.flows.starting import Start

NOBODY = "5d0f7c1e-8a47-4b0e-9a53-6c1f2e0b9d74"  # the same in every process that collects these tests
CUT = Reply(manner="cut")
CANARY = "canary-9f2c4e7ab81d"


@pytest.fixture
def uncertain(start: Start, effects: Server) -> Execution:
    """A POST that was applied, and whose answer was cut."""
    execution = start(one_step(post("p", "/effect/cut")))
    advance(execution, "start")
    run_from(run_of(execution, "p").pk)
    assert (statuses(execution), state(execution)[0]) == ({"p": "uncertain"}, "paused")
    return execution


def review_of(api: Api, execution: Execution) -> dict[str, Any]:
    [item] = read(api.get(f"/reviews?execution={execution.pk}"))["items"]
    return read(api.get(f"/reviews/{item['id']}"))


def resolve(api: Api, execution: Execution, resolution: str, status: int = 200, **more: Any) -> dict[str, Any]:
    review = Review.objects.filter(execution=execution).latest("opened_at")
    given = {"resolution": resolution, "reason": "looked at the far side", **more}
    response = api.post(f"/reviews/{review.pk}/resolve", given)
    return read(response) if status == 200 else problem(response, status)


def over(execution: Execution) -> None:
    """The quarantine is over."""
    change(run_of(execution, "p").pk, "quarantine_until = clock_timestamp() - interval '1 s'")


def test_a_review_tells_what_a_person_has_to_know(api: Api, uncertain: Execution, effects: Server) -> None:
    told = review_of(api, uncertain)
    run = run_of(uncertain, "p")

    [call] = told["calls"]
    assert (call["key"], call["operation"], call["connection"]) == (str(run.pk), "http.request", "ledger")
    assert call["address"].startswith(effects.url)
    assert call["arguments"] == {
        "connection": "ledger", "method": "POST", "path": "/effect/cut", "body": {"step": "p"},
    }  # fmt: skip
    assert (told["effect"], told["effective_class"], told["step_status"]) == ("unknown", "unsafe", "uncertain")
    assert told["times"]["first_intent_at"] is not None
    assert told["times"]["quarantine_until"] is not None
    assert [attempt["outcome"] for attempt in told["attempts"]] == ["unknown"]
    assert told["attempts"][0]["calls"][0]["sent"] is True
    assert (told["late_notes"], told["probe"], told["resolved"]) == ([], None, None)
    assert told["execution"]["name"] == str(uncertain)


def test_a_review_says_what_may_be_said_of_it_and_from_when(api: Api, uncertain: Execution) -> None:
    def possible() -> dict[str, bool]:
        return {found["resolution"]: found["possible"] for found in review_of(api, uncertain)["resolutions"]}

    assert possible() == {"happened": True, "again": False, "give_up": True}
    again = review_of(api, uncertain)["resolutions"][1]
    assert again["possible_from"] == review_of(api, uncertain)["times"]["quarantine_until"]
    over(uncertain)
    assert possible() == {"happened": True, "again": True, "give_up": True}


def test_it_happened_completes_the_step_with_the_output_given(api: Api, uncertain: Execution, effects: Server) -> None:
    told = resolve(api, uncertain, "happened", output={"ticket": 7})

    assert (told["status"], told["resolutions"]) == ("resolved", [])
    assert (told["resolved"]["resolution"], told["resolved"]["reason"]) == ("happened", "looked at the far side")
    assert told["resolved"]["by"] == "key of admin"
    assert run_of(uncertain, "p").result == {"output": {"ticket": 7}}
    assert (state(uncertain)[0], len(effects.requests)) == ("completed", 1)
    check_history(uncertain)


def test_trying_again_waits_for_the_quarantine_and_then_calls_once_more(
    api: Api, uncertain: Execution, effects: Server
) -> None:
    effects.answers.append(Reply(200))
    refused = resolve(api, uncertain, "again", 409)
    assert refused["code"] == "quarantined"
    assert (statuses(uncertain), review_of(api, uncertain)["status"]) == ({"p": "uncertain"}, "open")

    over(uncertain)
    resolve(api, uncertain, "again")
    run_from(run_of(uncertain, "p").pk)

    assert (state(uncertain)[0], len(effects.requests)) == ("completed", 2)
    check_history(uncertain)


def test_giving_up_fails_the_step(api: Api, uncertain: Execution, effects: Server) -> None:
    resolve(api, uncertain, "give_up", reason="nobody can tell")

    assert state(uncertain)[0] == "failed"
    assert (run_of(uncertain, "p").effect, run_of(uncertain, "p").message) == ("unknown", "nobody can tell")
    assert len(effects.requests) == 1
    check_history(uncertain)


def test_the_first_word_counts(api: Api, uncertain: Execution) -> None:
    resolve(api, uncertain, "give_up")

    assert resolve(api, uncertain, "happened", 409)["code"] == "review_resolved"
    assert review_of(api, uncertain)["resolved"]["resolution"] == "give_up"


def test_an_output_that_does_not_fit_leaves_the_review_open(api: Api, start: Start) -> None:
    workflow = flow(
        act("p", on_success="end", out_args=("__n__",)), end(), first="p",
        variables={"__n__": Variable("__n__", type="integer")},
    )  # fmt: skip
    execution = start(workflow)
    advance(execution, "start")
    work = claim(execution, "p")
    change(work.run.id, "intent_fence = fence, effect = 'intended', effective_class = 'unsafe'")
    lose(work)
    sweep_once()

    assert resolve(api, execution, "happened", 422, output="many")["code"] == "output_invalid"
    assert review_of(api, execution)["status"] == "open"
    resolve(api, execution, "happened", output="7")
    assert state(execution)[0] == "completed"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"resolution": "maybe"}, "resolution"),
        ({"resolution": None}, "resolution"),
        ({"resolution": True}, "resolution"),
        ({"reason": None}, "reason"),
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 2_001}, "reason"),
        ({"reason": 7}, "reason"),
        ({"resolution": "give_up", "output": 1}, "output"),
        ({"status": "resolved"}, "status"),
    ],
)
def test_a_word_that_cannot_be_meant_resolves_nothing(
    api: Api, uncertain: Execution, change: dict[str, Any], path: str
) -> None:
    review = Review.objects.get(execution=uncertain)
    given = {"resolution": "happened", "reason": "looked", **change}

    at_fault(api.post(f"/reviews/{review.pk}/resolve", given), path)
    at_fault(api.post(f"/reviews/{review.pk}/resolve", {}), "resolution", "reason")
    assert statuses(uncertain) == {"p": "uncertain"}


def test_only_those_who_decide_resolve(
    api: Api, tenant: Tenant, viewer: Api, stranger: Api, caller: Callable[..., Api], uncertain: Execution
) -> None:
    review = Review.objects.get(execution=uncertain)
    given = {"resolution": "give_up", "reason": "looked"}
    path = f"/reviews/{review.pk}"

    problem(viewer.post(f"{path}/resolve", given), 403)
    problem(caller(tenant, "soc_analyst").post(f"{path}/resolve", given), 403)
    problem(Api().post(f"{path}/resolve", given), 401)
    problem(stranger.post(f"{path}/resolve", given), 404, "review_not_found")
    problem(stranger.get(path), 404, "review_not_found")
    problem(api.get(f"{path}/resolve"), 405)
    assert read(stranger.get("/reviews"))["items"] == []
    assert statuses(uncertain) == {"p": "uncertain"}
    read(viewer.get(path))
    read(caller(tenant, "approver").post(f"{path}/resolve", given))


@pytest.mark.parametrize("reference", [NOBODY, NOBODY[:-1], "pexec-1", "null", "%0a", "x" * 5_000])
def test_what_names_no_review_is_not_found(api: Api, reference: str) -> None:
    assert api.get(f"/reviews/{reference}").status_code == 404


def test_reviews_are_listed_open_ones_first_and_filtered(api: Api, start: Start, effects: Server) -> None:
    made = []
    for _ in range(4):
        execution = start(one_step(post("p", "/effect/cut")))
        advance(execution, "start")
        run_from(run_of(execution, "p").pk)
        made.append(execution)
    resolve(api, made[3], "give_up")
    order = [made[2], made[1], made[0], made[3]]

    def listed(query: str) -> list[str]:
        return [item["execution"]["id"] for item in read(api.get(f"/reviews{query}"))["items"]]

    def ids(*executions: Execution) -> list[str]:
        return [str(execution.pk) for execution in executions]

    assert listed("") == ids(*order)
    assert listed("?status=resolved") == ids(made[3])
    assert listed(f"?execution={made[1]}") == ids(made[1])
    assert listed(f"?playbook={made[0].playbook_id}") == ids(made[0])
    got: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = read(api.get(f"/reviews?limit=1{cursor and '&cursor=' + cursor}"))
        got += [item["execution"]["id"] for item in page["items"]]
        cursor = page["next"]
    assert got == ids(*order)
    for query in ("status=closed", "execution=7", "playbook=x", "limit=0"):
        at_fault(api.get(f"/reviews?{query}"), query.partition("=")[0])


def test_a_list_asks_the_same_questions_however_long_it_is(api: Api, start: Start, effects: Server) -> None:
    workflow = one_step(post("p", "/effect/cut"))

    def one_more() -> None:
        execution = start(workflow)
        advance(execution, "start")
        run_from(run_of(execution, "p").pk)
        run = run_of(execution, "p")
        assert run.status == "uncertain"

    def asked() -> int:
        read(api.get("/reviews"))  # the workflows are kept after this
        with CaptureQueriesContext(connection) as queries:
            read(api.get("/reviews"))
        return len(queries)

    one_more()
    first = asked()
    for _ in range(4):
        one_more()
    assert asked() == first


def test_an_execution_names_the_review_that_it_waits_for(api: Api, uncertain: Execution) -> None:
    [wait] = read(api.get(f"/executions/{uncertain.pk}"))["waits_for"]

    assert (wait["kind"], wait["id"]) == ("review", str(Review.objects.get(execution=uncertain).pk))
    assert wait["until"] is not None
    found = read(api.get("/executions?waiting_for=review"))["items"]
    assert [item["id"] for item in found] == [str(uncertain.pk)]


def test_a_review_outlives_its_execution_and_then_only_takes_note(api: Api, uncertain: Execution) -> None:
    read(api.post(f"/executions/{uncertain.pk}/cancel"))
    told = review_of(api, uncertain)

    assert (told["status"], told["step_status"]) == ("open", "cancelled")
    assert [found["possible"] for found in told["resolutions"]] == [True, False, True]
    assert resolve(api, uncertain, "again", 409)["code"] == "step_ended"
    resolve(api, uncertain, "happened", output=1)
    assert state(uncertain)[0] == "cancelled"


def test_what_a_lost_worker_was_about_to_call_is_told_and_what_it_says_late_too(
    api: Api, start: Start, effects: Server
) -> None:
    execution = start(one_step(post("p", "/effect/unkeyed")))
    advance(execution, "start")
    work = claim(execution, "p")
    holding = Holding(work.run.id, work.run.fence, asked_at=work.asked_at, lease=30)
    performed = perform(work, holding)
    lose(work)
    sweep_once()
    record_outcome(work=work, performed=performed, carry_on=False)
    told = review_of(api, execution)

    assert told["calls"][0]["arguments"]["path"] == "/effect/unkeyed"
    assert told["times"]["lease_lost_at"] < told["times"]["quarantine_until"]
    [late] = told["late_notes"]
    assert (late["attempt"], late["note"]["outcome"]) == (1, "completed")
    assert statuses(execution) == {"p": "uncertain"}


def test_what_a_probe_said_is_told(api: Api, start: Start, tenant: Tenant, settings: Any) -> None:
    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    said = Operation(
        name="chat.post", reference="act-slack-notify", parameters={"channel": "#incidents", "message": "hello"}
    )
    execution = start(one_step(Step(id="p", type=StepType.ACTION, operation=said, on_success="end")))
    advance(execution, "start")
    with slack() as server:
        save_connection(
            tenant=tenant, kind="slack", name="slack", url=f"{server.url}/api",
            secrets={"token": "xoxb-stand-in-token"}, now=NOON,
        )  # fmt: skip
        server.answers.extend([CUT] * 50)
        for _ in range(8):
            change(run_of(execution, "p").pk, "due_at = LEAST(due_at, clock_timestamp())")
            run_from(run_of(execution, "p").pk)
    told = review_of(api, execution)

    assert statuses(execution) == {"p": "uncertain"}
    assert (told["probe"], told["effective_class"]) == ("cannot_tell", "probe")
    assert told["calls"][0]["arguments"]["message"] == "hello"


# Secrets


def everything_of(execution: Execution) -> str:
    """All rows of an execution, and of its reviews, as text."""
    with connection.cursor() as cursor:
        found = []
        for model, column in ((StepRun, "execution_id"), (Event, "execution_id"), (Review, "execution_id")):
            cursor.execute(f"SELECT t::text FROM {model._meta.db_table} t WHERE {column} = %s", (execution.pk,))
            found += [row[0] for row in cursor.fetchall()]
        cursor.execute(
            f"SELECT a::text FROM {Attempt._meta.db_table} a JOIN {StepRun._meta.db_table} s ON s.id = a.step_run_id"
            " WHERE s.execution_id = %s",
            (execution.pk,),
        )
        return "\n".join([*found, *(row[0] for row in cursor.fetchall())])


def test_no_secret_gets_into_what_is_kept_for_a_review(api: Api, start: Start, effects: Server, tenant: Tenant) -> None:
    from base64 import b64encode

    save_connection(
        tenant=tenant, kind="http", name="ledger", url=effects.url, secrets={"token": CANARY}, keyed=False,
        allow_networks=("127.0.0.0/8",), now=NOON,
    )  # fmt: skip
    encoded = b64encode(CANARY.encode()).decode()
    body = {
        "note": f"the token is {CANARY} or {encoded}", "password": "hunter2hunter2", "plain": "seen",
        "text": "--password 'pl41n-as-day'", "nested": [{"api_key": "k3y-of-the-kingdom"}],
    }  # fmt: skip
    step = post("p", "/effect/cut?access_token=qu3ry-token&page=2")
    assert step.operation is not None
    step.operation.parameters.update(  # type: ignore[attr-defined]
        {"body": body, "headers": {"X-API-Key": "h3ader-secret", "Accept": "text/plain"}}
    )
    execution = start(one_step(step))
    advance(execution, "start")
    run_from(run_of(execution, "p").pk)
    told = review_of(api, execution)

    arguments = told["calls"][0]["arguments"]
    assert arguments["body"]["plain"] == "seen"
    assert arguments["headers"]["Accept"] == "text/plain"
    assert arguments["path"].endswith("&page=2")
    kept = everything_of(execution) + json.dumps(told)
    for secret in (CANARY, encoded, "hunter2", "pl41n-as-day", "k3y-of-the-kingdom", "qu3ry-token", "h3ader-secret"):
        assert secret not in kept, secret


def test_a_variable_that_is_named_as_a_secret_is_stars_in_a_command(
    api: Api, tenant: Tenant, effects: Server, start: Start
) -> None:
    command = Command("http-api", text="POST /effect/cut?who=__who__:value&sig=__api_token__:value HTTP/1.1")
    place = AgentTarget("t", "http-api", "ledger", properties={"address": {"url": [effects.url]}})
    step = Step(id="p", type=StepType.ACTION, commands=(command,), targets=("t",), on_success="end")
    variables = {
        "__who__": Variable("__who__", value="alice"),
        "__api_token__": Variable("__api_token__", value=CANARY),
    }
    workflow: Workflow = flow(step, end(), first="p", targets={"t": place}, variables=variables)
    execution = start(workflow)
    advance(execution, "start")
    run_from(run_of(execution, "p").pk)

    told = review_of(api, execution)
    assert "who=alice" in told["calls"][0]["arguments"]["command"]
    assert told["calls"][0]["target"] == "ledger"
    assert CANARY not in json.dumps(told)
    assert CANARY not in everything_of(execution)


def test_a_value_that_a_start_gave_under_a_secret_name_is_stars_in_a_template(
    api: Api, effects: Server, tenant: Tenant
) -> None:
    from executions.services import start_execution
    from tests.flows.starting import store_workflow

    step = post("p", "/effect/cut")
    assert step.operation is not None
    step.operation.parameters["body"] = {"say": "it is {{ parameters.token }}"}  # type: ignore[index]
    version = store_workflow(tenant, one_step(step))
    given = {"parameters": {"token": CANARY}, "inputs": {}, "overrides": {}, "asset": None}
    execution = start_execution(tenant=tenant, version=version, inputs=given, actor=PERSON, now=NOON)
    advance(execution, "start")
    run_from(run_of(execution, "p").pk)

    told = review_of(api, execution)
    assert told["calls"][0]["arguments"]["body"]["say"].startswith("it is ")
    assert CANARY not in json.dumps(told)
    assert CANARY not in everything_of(execution)


def test_what_is_large_is_cut(api: Api, effects: Server, start: Start) -> None:
    step = post("p", "/effect/cut")
    assert step.operation is not None
    step.operation.parameters["body"] = {f"n{n}": "x" * 100_000 for n in range(100)}  # type: ignore[index]
    execution = start(one_step(step))
    advance(execution, "start")
    run_from(run_of(execution, "p").pk)

    assert len(json.dumps(review_of(api, execution)["calls"])) < 20_000


def test_a_held_execution_is_resolved_all_the_same_and_stays_held(api: Api, uncertain: Execution) -> None:
    pause_execution(execution=uncertain, actor=PERSON, now=NOON)
    over(uncertain)
    resolve(api, uncertain, "again")

    assert statuses(uncertain) == {"p": "pending"}
    told = read(api.get(f"/executions/{uncertain.pk}"))
    assert [wait["kind"] for wait in told["waits_for"]] == ["hold", "worker"]
