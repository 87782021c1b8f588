"""Fins over HTTP: register, poll, report, unregister."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from pytest_django import Settings

from accounts.models import Tenant
from connectors.fin.models import Fin as FinRow
from connectors.fin.models import FinRule
from executions.models import Attempt, Execution, Review
from executions.services import cancel_execution, pause_execution, resume_execution, set_switch
from executions.services.fin_jobs import take_back_lost
from executions.sweeper import Sweeper
from tests.api.soarca.calls import END, STEP, Api, Json, Waiting, assert_error, make_caller, make_tenant, read, run
from tests.api.soarca.fin_calls import (
    AGENT,
    CAPABILITY,
    ECHO,
    HOST,
    LOGIN,
    OTHER_HOST,
    SECRET,
    Fin,
    close_pool,
    fin_playbook,
    let_fins_in,
    lose_lease,
    out,
    pass_deadline,
    register,
    registration,
    start_for_fin,
    status_of,
    step_run,
    stored_jobs,
)

pytestmark = pytest.mark.django_db(transaction=True)

RESULT = {"__out__": {"type": "string", "value": "x"}}


@pytest.fixture(scope="module", autouse=True)
def _connections() -> Iterator[None]:
    yield
    close_pool()


@pytest.fixture(autouse=True)
def _short_polls(settings: Settings) -> None:
    settings.FIN_LONG_POLL_TIMEOUT = timedelta(seconds=0.3)
    settings.FIN_STALE_AFTER_MULTIPLIER = 1000


@pytest.fixture
def token(tenant: Tenant) -> str:
    return let_fins_in(tenant)


@pytest.fixture
def fin(token: str) -> Fin:
    return register(token)


@pytest.fixture
def waits(api: Api, fin: Fin) -> Waiting:
    """An execution that waits for a fin."""
    return start_for_fin(api)


def job_of(fin: Fin) -> Json:
    job = fin.poll()
    assert job is not None
    return job


# -- register


def test_soa_097_a_fin_registers(token: str, settings: Settings) -> None:
    settings.FIN_LONG_POLL_TIMEOUT = timedelta(seconds=25)
    response = Api().post("/fin/register", registration(token))

    assert response.status_code == 201
    body = read(response)
    assert UUID(body.pop("fin_id"))
    assert len(body.pop("fin_token")) > 40
    assert body == {"poll_interval_seconds": 5, "long_poll_timeout_seconds": 25, "job_lease_seconds": 60}


def test_soa_098_a_wrong_token_is_403(token: str) -> None:
    assert_error(Api().post("/fin/register", registration("wrong-token")), 403, original="POST /fin/register")


def test_soa_098_without_any_token_configured_it_is_503(db: None) -> None:
    response = Api().post("/fin/register", registration("whatever"))

    assert_error(response, 503)
    assert int(response["Retry-After"]) > 0


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"capabilities": []}, id="none"),
        pytest.param({"capabilities": None}, id="null"),
        pytest.param({"capabilities": {}}, id="no-list"),
        pytest.param({"capabilities": [{**CAPABILITY, "type": ""}]}, id="empty-type"),
        pytest.param({"capabilities": [{**CAPABILITY, "type": None}]}, id="no-type"),
        pytest.param({"capabilities": [{**CAPABILITY, "type": 7}]}, id="number"),
        pytest.param({"capabilities": [{**CAPABILITY, "type": "x" * 201}]}, id="long"),
        pytest.param({"capabilities": ["echo"]}, id="text"),
        pytest.param({"capabilities": [{**CAPABILITY, "step_examples": {}}]}, id="examples"),
        pytest.param({"registration_token": None}, id="no-token"),
        pytest.param({"registration_token": 7}, id="token-number"),
        pytest.param({"display_name": 7}, id="name-number"),
    ],
)
def test_soa_098_what_is_no_registration_is_400(token: str, changes: Json) -> None:
    assert_error(Api().post("/fin/register", {**registration(token), **changes}), 400)
    assert not FinRow.objects.exists()


def test_the_environments_token_is_for_the_open_tenant(tenant: Tenant, api: Api, settings: Settings) -> None:
    settings.FIN_REGISTRATION_TOKEN = "environment-token"
    assert_error(Api().post("/fin/register", registration("environment-token")), 503)

    settings.SALLYPORT_SOARCA_OPEN_TENANT = tenant.slug
    found = register("environment-token")
    assert [each["fin_id"] for each in read(api.get("/fin"))["fins"]] == [found.fin_id]
    assert_error(Api().post("/fin/register", registration("another-token")), 403)


def test_only_a_digest_of_a_token_is_stored(fin: Fin, token: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT string_agg(f::text, ' ') FROM connectors_fin f) ||"
            " (SELECT string_agg(t::text, ' ') FROM connectors_fintoken t)"
        )
        stored = cursor.fetchone()[0]
    assert fin.token not in stored
    assert token not in stored


# -- poll


def test_soa_099_a_job_has_all_that_a_fin_needs(fin: Fin, waits: Waiting) -> None:
    job = job_of(fin)

    run_ = step_run(waits.execution)
    assert UUID(job["job_id"])
    assert job["execution_id"] == job["run_id"] == waits.execution
    assert job["step_run_id"] == job["step_execution_id"] == str(run_.pk)
    assert (job["playbook_id"], job["step_id"], job["capability_type"]) == (waits.playbook, STEP, ECHO)
    assert job["lease_expires_in_seconds"] == 60
    assert job["step"] == {
        "name": "Echo", "description": "What the fin is to do", "timeout": None, "delay": None,
    }  # fmt: skip
    assert job["commands"] == [
        {"type": "bash", "command": "echo nobody", "content": None, "content_b64": None, "headers": None}
    ]
    assert job["targets"] == []
    assert job["variables"]["__who__"] == {
        "type": "string", "name": "__who__", "description": "", "value": "nobody", "constant": False,
        "external": False,
    }  # fmt: skip
    assert job["variables"].keys() == {"__who__", "__out__"}


def test_arguments_that_are_named_are_sent_and_no_others(api: Api, fin: Fin) -> None:
    start_for_fin(api, in_args=["__token__"])

    assert job_of(fin)["variables"].keys() == {"__token__", "__out__"}


@pytest.mark.parametrize("header", ["Bearer fin_unknown", "Bearer nothing", "Bearer " + "x" * 5000])
def test_soa_101_an_unknown_token_is_401(header: str) -> None:
    response = Api().send("POST", "/fin/poll", Authorization=header)

    assert assert_error(response, 401)["message"] == "Invalid or unknown fin token"
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}])
def test_a_header_that_is_none_is_401(headers: Json) -> None:
    response = Api().send("POST", "/fin/poll", {}, **headers)
    assert assert_error(response, 401)["message"] == "Missing or malformed Authorization header"


def test_a_key_of_a_tenant_is_no_fin_token(api: Api, fin: Fin) -> None:
    assert_error(Api().send("POST", "/fin/poll", Authorization=f"Bearer {api.key}"), 401)
    assert_error(Api().get("/fin", Authorization=f"Bearer {fin.token}"), 401)


@pytest.mark.parametrize(("milliseconds", "seconds"), [(90_000, 90), (90_001, 91)])
def test_soa_102_a_timeout_is_told_in_whole_seconds(api: Api, fin: Fin, milliseconds: int, seconds: int) -> None:
    start_for_fin(api, timeout=milliseconds)

    assert job_of(fin)["step"]["timeout"] == seconds


def test_soa_103_one_job_goes_to_one_fin(token: str, fin: Fin, waits: Waiting) -> None:
    other = register(token)
    fins, found = [fin, other], []
    together = threading.Barrier(2)

    def poll(each: Fin) -> None:
        together.wait()
        try:
            found.append(each.poll({"concurrency_available": 1}))
        finally:
            connection.close()

    threads = [threading.Thread(target=poll, args=(each,)) for each in fins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(job is None for job in found) == [False, True]


def test_a_poll_without_a_job_is_204_after_its_time(fin: Fin, settings: Settings) -> None:
    settings.FIN_LONG_POLL_TIMEOUT = timedelta(seconds=0.5)
    began = time.monotonic()

    response = fin.send("POST", "/fin/poll", {})

    assert (response.status_code, response.content) == (204, b"")
    assert time.monotonic() - began >= 0.5


def test_a_poll_answers_as_soon_as_there_is_a_job(api: Api, fin: Fin, settings: Settings) -> None:
    settings.FIN_LONG_POLL_TIMEOUT = timedelta(seconds=30)
    found: list[Json | None] = []

    def poll() -> None:
        try:
            found.append(fin.poll())
        finally:
            connection.close()

    thread = threading.Thread(target=poll)
    thread.start()
    waiting = start_for_fin(api)
    thread.join(20)

    assert [job and job["execution_id"] for job in found] == [waiting.execution]


@pytest.mark.parametrize("body", [b"[]", b"{", {"concurrency_available": "1"}, {"concurrency_available": True}])
def test_a_poll_takes_an_object_or_nothing(fin: Fin, body: Any) -> None:
    assert_error(fin.send("POST", "/fin/poll", body), 400)


def test_a_fin_of_another_type_or_tenant_gets_nothing(token: str, fin: Fin, waits: Waiting) -> None:
    other_type = register(token, "another-tool")
    stranger = register(let_fins_in(make_tenant()))

    assert other_type.poll() is None
    assert stranger.poll() is None
    assert fin.poll() is not None


def test_the_agents_name_counts_where_its_type_is_nobodys(api: Api, token: str) -> None:
    named = register(token, "the echo fin")
    start_for_fin(api)

    assert job_of(named)["capability_type"] == "the echo fin"


def test_a_step_without_a_live_fin_fails_at_once(api: Api, fin: Fin, settings: Settings) -> None:
    settings.FIN_STALE_AFTER_MULTIPLIER = 0
    waiting = start_for_fin(api)

    report = read(api.get(f"/reporter/{waiting.execution}"))
    assert report["status"] == "failed"
    assert report["step_results"][STEP]["status"] == "client_side_error"
    assert "fin" in report["step_results"][STEP]["status_text"]
    assert stored_jobs() == []


def test_an_agent_that_says_fin_and_is_none_fails(api: Api) -> None:
    document = fin_playbook()
    document["agent_definitions"][AGENT] = {"type": "soarca-fin", "name": "nobody"}
    started = read(api.post("/trigger/playbook", document))

    run(started["execution_id"])
    assert status_of(api, started["execution_id"]) == "client_side_error"


def test_targets_come_with_their_log_on_and_no_secret_is_stored_readable(api: Api, fin: Fin) -> None:
    waiting = start_for_fin(api, targets=[HOST, OTHER_HOST])
    stored = stored_jobs()[0]
    assert SECRET not in f"{stored.body} {stored.sealed_secrets}"

    job = job_of(fin)
    first, second = job["targets"]
    assert first["target"] == {
        "id": HOST, "type": "linux", "name": "web-1", "address": {"ipv4": ["192.0.2.7"], "vlan": ["7"]}, "port": "22",
    }  # fmt: skip
    assert first["authentication"] == {"id": LOGIN, "type": "user-auth", "username": "soar", "password": SECRET}
    assert second["authentication"] is None

    told = {"__out__": {"type": "string", "value": f"logged on with {SECRET}"}}
    assert fin.report(job, variables=told).status_code == 204
    run(waiting.execution)
    assert SECRET not in api.get(f"/reporter/{waiting.execution}").content.decode()
    assert SECRET not in " ".join(str(each.__dict__) for each in stored_jobs())
    assert (stored_jobs()[0].sealed_secrets, stored_jobs()[0].body) == ("gone", {})
    assert fin.report(job, "failure", error=f"after all not, with {SECRET}").status_code == 204
    note = Attempt.objects.get(step_run=step_run(waiting.execution)).late_note
    assert note is not None
    assert note["message"] == ""


def test_a_value_that_could_be_code_is_refused_before_anything_is_sent(api: Api, fin: Fin) -> None:
    document = fin_playbook()
    document["playbook_variables"]["__who__"] = {"type": "string", "value": "x", "external": True}
    document["workflow"][STEP]["commands"] = [{"type": "bash", "command": "echo $(__who__:value)"}]
    assert api.post("/playbook", document).status_code == 201
    given = {"__who__": {"type": "string", "value": "touch x; id"}}
    started = read(api.post(f"/trigger/playbook/{document['id']}", given))

    run(started["execution_id"])
    assert status_of(api, started["execution_id"]) == "client_side_error"
    assert stored_jobs() == []


def test_a_command_type_that_only_a_fin_knows_is_taken_where_one_is_registered(api: Api, token: str) -> None:
    document = fin_playbook(commands=[{"type": "echo-word", "command": "hello"}, {"type": "echo-nothing"}])
    refused = assert_error(api.post("/playbook", document), 400)
    assert "command-type-unknown" in {finding["code"] for finding in refused["findings"]}

    fin = register(token)
    assert api.post("/playbook", document).status_code == 201
    run(read(api.post(f"/trigger/playbook/{document['id']}"))["execution_id"])
    assert [command["command"] for command in job_of(fin)["commands"]] == ["hello", None]


# -- the lease


def test_a_sign_of_life_extends_the_lease(fin: Fin, waits: Waiting) -> None:
    job = job_of(fin)
    before = stored_jobs()[0].lease_until
    assert before is not None

    for body in (None, {}, {"progress": "half way"}, {"progress": None}):
        response = fin.ping(job, body)
        assert (response.status_code, read(response)) == (200, {"action": ""})
    after = stored_jobs()[0]
    assert after.lease_until is not None
    assert after.lease_until > before
    assert after.progress == "half way"


def test_soa_105_after_a_cancel_a_sign_of_life_is_answered_with_cancel(api: Api, fin: Fin, waits: Waiting) -> None:
    job = job_of(fin)
    cancel(waits)

    assert read(fin.ping(job)) == {"action": "cancel"}


def test_soa_106_jobs_of_others_unknown_ones_and_no_uuids(token: str, fin: Fin, waits: Waiting) -> None:
    job, other = job_of(fin), register(token)
    stranger = register(let_fins_in(make_tenant()))

    assert_error(other.ping(job), 403)
    assert_error(other.report(job, variables=RESULT), 403)
    assert_error(stranger.ping(job), 404)
    assert_error(stranger.report(job), 404)
    for call in (fin.ping, fin.report):
        assert_error(call({"job_id": str(uuid4())}), 404)
        assert_error(call({"job_id": "not-a-uuid"}), 400)
    assert step_run(waits.execution).status == "waiting"


def test_a_lost_lease_of_an_unsafe_capability_is_put_to_a_person(api: Api, fin: Fin, waits: Waiting) -> None:
    job = job_of(fin)
    lose_lease(job)

    assert take_back_lost() == 1
    assert take_back_lost() == 0
    found = step_run(waits.execution)
    assert (found.status, found.effect, found.reason) == ("uncertain", "unknown", "no_answer")
    assert Review.objects.filter(step_run=found, status="open").count() == 1
    assert fin.poll() is None
    assert fin.report(job, variables=RESULT).status_code == 204  # late: kept, and moves nothing
    found.refresh_from_db()
    assert found.status == "uncertain"
    assert Attempt.objects.get(step_run=found).late_note == {
        "outcome": "completed", "code": "", "message": "", "sent": True,
    }  # fmt: skip


def test_soa_110_a_repeatable_capability_is_offered_again_and_the_first_fin_is_403(
    api: Api, tenant: Tenant, token: str, fin: Fin, waits: Waiting
) -> None:
    FinRule.objects.create(tenant=tenant, capability=ECHO, effect="idempotent")
    first = start_for_fin(api)
    other = register(token)
    job = next(found for found in (job_of(fin), job_of(fin)) if found["execution_id"] == first.execution)
    lose_lease(job)
    assert take_back_lost() == 1
    run(first.execution)

    again = job_of(other)
    assert again["execution_id"] == first.execution
    assert again["step_run_id"] == job["step_run_id"]
    assert_error(fin.report(job, variables=RESULT), 403)
    assert_error(fin.report(again, variables=RESULT), 403)
    assert step_run(first.execution).status == "waiting"
    assert other.report(again, variables=RESULT).status_code == 204
    run(first.execution)
    assert status_of(api, first.execution) == "successfully_executed"


def test_a_job_that_is_lost_three_times_is_poison(api: Api, tenant: Tenant, fin: Fin) -> None:
    FinRule.objects.create(tenant=tenant, capability=ECHO, effect="idempotent")
    waiting = start_for_fin(api)
    for _ in range(3):
        lose_lease(job_of(fin))
        take_back_lost()
        run(waiting.execution)

    assert status_of(api, waiting.execution) == "server_side_error"
    assert Execution.objects.get(pk=waiting.execution).status == "failed"


def test_the_sweep_takes_back_what_was_lost(fin: Fin, waits: Waiting) -> None:
    lose_lease(job_of(fin))

    Sweeper()._sweep()
    assert step_run(waits.execution).status == "uncertain"


def test_a_job_that_nobody_took_had_no_effect(api: Api, waits: Waiting) -> None:
    pass_deadline(waits.execution)

    found = step_run(waits.execution)
    assert (found.status, found.effect) == ("timed_out", "none")
    assert status_of(api, waits.execution) == "timeout_error"
    assert not Review.objects.exists()


def test_a_job_that_somebody_has_may_have_had_its_effect(fin: Fin, waits: Waiting) -> None:
    job = job_of(fin)
    pass_deadline(waits.execution)

    found = step_run(waits.execution)
    assert (found.status, found.effect) == ("timed_out", "unknown")
    assert Review.objects.filter(step_run=found, status="open").exists()
    assert read(fin.ping(job)) == {"action": "cancel"}


# -- results


def test_soa_107_a_result_completes_the_step(api: Api, fin: Fin, waits: Waiting) -> None:
    response = fin.report(job_of(fin), variables=RESULT)

    assert (response.status_code, response.content) == (204, b"")
    run(waits.execution)
    assert status_of(api, waits.execution) == "successfully_executed"
    assert out(api, waits.execution)["__out__"]["value"] == "x"
    assert read(api.get(f"/reporter/{waits.execution}"))["status"] == "successfully_executed"
    assert step_run(waits.execution).effect == "applied"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"state": "maybe"}, id="SOA-109"),
        pytest.param({"state": None}, id="null"),
        pytest.param({}, id="missing"),
        pytest.param({"state": True}, id="bool"),
        pytest.param({"state": "success", "variables": []}, id="list"),
        pytest.param({"state": "success", "variables": {"__out__": "x"}}, id="text"),
        pytest.param({"state": "success", "variables": {"__out__": {"value": 7}}}, id="number"),
        pytest.param({"state": "success", "target_results": {}}, id="targets"),
        pytest.param({"state": "success", "target_results": [{"state": "so-so"}]}, id="target-state"),
        pytest.param({"state": "success", "target_results": [{"state": "success", "target_index": "1"}]}, id="index"),
        pytest.param({"state": "failure", "error": 7}, id="error"),
        pytest.param(b"[]", id="array"),
        pytest.param(b"{", id="malformed"),
    ],
)
def test_soa_109_what_is_no_result_is_400_and_moves_nothing(fin: Fin, waits: Waiting, body: Any) -> None:
    job = job_of(fin)

    assert_error(fin.send("PUT", f"/fin/jobs/{job['job_id']}", body), 400)
    assert step_run(waits.execution).status == "waiting"


def test_soa_109_the_same_result_twice_is_applied_once(fin: Fin, waits: Waiting) -> None:
    job = job_of(fin)

    assert [fin.report(job, variables=RESULT).status_code for _ in range(2)] == [204, 204]
    found = step_run(waits.execution)
    assert found.status == "completed"
    assert Attempt.objects.get(step_run=found).late_note is None


def test_another_result_after_the_first_is_a_late_note(fin: Fin, waits: Waiting) -> None:
    job = job_of(fin)
    fin.report(job, variables=RESULT)

    assert fin.report(job, "failure", error="after all not").status_code == 204
    found = step_run(waits.execution)
    assert found.status == "completed"
    note = Attempt.objects.get(step_run=found).late_note
    assert note is not None
    assert note["message"] == "after all not"


def test_a_failure_fails_the_step_and_keeps_what_the_good_targets_gave(api: Api, fin: Fin) -> None:
    waiting = start_for_fin(api, targets=[HOST, OTHER_HOST], on_failure=END)
    results = [
        {"target_index": 0, "state": "success", "variables": {"__out__": {"type": "string", "value": "first"}}},
        {"target_index": 1, "state": "failure", "failed_command_index": 0, "error": "no route", "variables": {}},
    ]

    assert fin.report(job_of(fin), "success", target_results=results).status_code == 204
    run(waiting.execution)
    report = read(api.get(f"/reporter/{waiting.execution}"))
    step = report["step_results"][STEP]
    assert (step["status"], report["status"]) == ("failed", "successfully_executed")
    assert step["status_text"].endswith("no route")
    root = Execution.objects.get(pk=waiting.execution).scopes.get(path="")
    assert root.variables["__out__"] == "first"


def test_a_failure_of_a_repeatable_capability_is_tried_again(api: Api, tenant: Tenant, fin: Fin) -> None:
    FinRule.objects.create(tenant=tenant, capability=ECHO, effect="idempotent")
    waiting = start_for_fin(api)

    assert fin.report(job_of(fin), "failure", error="busy").status_code == 204
    assert step_run(waiting.execution).status == "retrying"
    run(waiting.execution)
    assert fin.report(job_of(fin), variables=RESULT).status_code == 204
    run(waiting.execution)
    assert status_of(api, waiting.execution) == "successfully_executed"


def test_a_value_that_does_not_fit_fails_the_step(api: Api, fin: Fin) -> None:
    document = fin_playbook()
    document["playbook_variables"]["__out__"] = {"type": "integer"}
    started = read(api.post("/trigger/playbook", document))["execution_id"]
    run(started)

    assert fin.report(job_of(fin), variables=RESULT).status_code == 204
    assert step_run(started).reason == "output_invalid"


@pytest.mark.parametrize("variables", [None, {}, {"__other__": {"value": "x"}}, {"__out__": {"value": None}}])
def test_what_is_not_asked_for_is_not_taken(api: Api, fin: Fin, waits: Waiting, variables: Any) -> None:
    assert fin.report(job_of(fin), variables=variables).status_code == 204
    run(waits.execution)

    assert status_of(api, waits.execution) == "successfully_executed"
    assert out(api, waits.execution) == {}


def test_soa_111_a_result_after_a_cancel_is_a_late_note(fin: Fin, waits: Waiting) -> None:
    job = job_of(fin)
    cancel(waits)

    assert fin.report(job, variables=RESULT).status_code == 204
    assert Execution.objects.get(pk=waits.execution).status == "cancelled"
    found = step_run(waits.execution)
    assert (found.status, found.effect) == ("cancelled", "unknown")
    assert Attempt.objects.get(step_run=found).late_note is not None


# -- holds and switches


def test_nothing_is_handed_out_while_the_execution_is_held(tenant: Tenant, fin: Fin, waits: Waiting) -> None:
    execution = Execution.objects.get(pk=waits.execution)
    pause_execution(execution=execution, actor=actor(tenant), now=now())
    assert fin.poll() is None

    execution.refresh_from_db()
    resume_execution(execution=execution, actor=actor(tenant), now=now())
    assert fin.poll() is not None


def test_nothing_is_handed_out_under_a_kill_switch(tenant: Tenant, fin: Fin, waits: Waiting) -> None:
    set_switch(kind="connector", value="fin", tenant=tenant, reason="suspicious", actor=actor(tenant), now=now())

    assert fin.poll() is None


# -- unregister and look


def test_soa_113_a_fin_takes_itself_out_only(api: Api, token: str, fin: Fin, tenant: Tenant) -> None:
    other = register(token)

    assert_error(fin.send("DELETE", f"/fin/{other.fin_id}"), 403)
    assert api.delete(f"/fin/{other.fin_id}").status_code == 204
    assert_error(api.delete(f"/fin/{other.fin_id}"), 404)
    assert_error(api.delete(f"/fin/{uuid4()}"), 404)
    assert_error(make_caller(tenant, "viewer").delete(f"/fin/{fin.fin_id}"), 403)
    assert_error(make_caller(make_tenant()).delete(f"/fin/{fin.fin_id}"), 404)
    assert_error(Api().delete(f"/fin/{fin.fin_id}"), 401)
    assert fin.send("DELETE", f"/fin/{fin.fin_id}").status_code == 204
    assert_error(fin.send("POST", "/fin/poll"), 401)
    assert read(api.get("/fin")) == {"fins": []}


def test_a_fin_takes_itself_out_without_its_id(api: Api, fin: Fin) -> None:
    assert_error(Api().delete("/fin"), 401)
    assert_error(api.delete("/fin"), 401)
    assert fin.send("DELETE", "/fin").status_code == 204
    assert read(api.get("/fin")) == {"fins": []}


def test_soa_114_fins_are_listed_without_their_tokens(api: Api, fin: Fin, viewer: Api) -> None:
    response = api.get("/fin/")

    assert response.content == api.get("/fin").content
    assert fin.token not in response.content.decode()
    [found] = read(response)["fins"]
    assert found["fin_id"] == fin.fin_id
    assert found.keys() >= {
        "fin_id", "display_name", "protocol_version", "capabilities", "registered_at", "last_seen", "stale",
    }  # fmt: skip
    assert found["capabilities"][0]["type"] == ECHO
    assert (found["stale"], found["protocol_version"]) == (False, "1")
    assert found["registered_at"].endswith("Z")
    assert viewer.get("/fin").status_code == 200


def test_a_fin_that_was_not_seen_is_stale(api: Api, fin: Fin, settings: Settings) -> None:
    settings.FIN_STALE_AFTER_MULTIPLIER = 0

    assert [found["stale"] for found in read(api.get("/fin"))["fins"]] == [True]


def test_soa_115_one_fin_and_the_paths_beside_it(api: Api, fin: Fin, stranger: Api) -> None:
    assert read(api.get(f"/fin/{fin.fin_id}")) == read(api.get("/fin"))["fins"][0]
    assert_error(api.get(f"/fin/{uuid4()}"), 404)
    assert_error(stranger.get(f"/fin/{fin.fin_id}"), 404)
    assert_error(api.get("/fin/not-a-uuid"), 404)
    for path in ("/fin/poll", "/fin/register"):
        for caller in (api, Api()):
            response = caller.get(path)
            assert_error(response, 405)
            assert response["Allow"] == "POST"
    assert read(stranger.get("/fin")) == {"fins": []}


def test_the_open_tenant_may_look_and_nothing_else(api: Api, fin: Fin, tenant: Tenant, settings: Settings) -> None:
    settings.SALLYPORT_SOARCA_OPEN_TENANT = tenant.slug

    assert Api().get("/fin").status_code == 200
    assert_error(Api().delete(f"/fin/{fin.fin_id}"), 401)
    assert_error(Api().get("/keymanagement"), 401)


def cancel(waits: Waiting) -> None:
    execution = Execution.objects.select_related("tenant").get(pk=waits.execution)
    cancel_execution(execution=execution, actor=actor(execution.tenant), now=now())


def actor(tenant: Tenant) -> Any:
    from core.actors import Actor, ActorKind

    return Actor(ActorKind.USER, "u", "someone", permissions=frozenset({"settings:write", "tenant:write"}))


def now() -> Any:
    from django.utils import timezone

    return timezone.now()
