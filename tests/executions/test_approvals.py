"""A step that a policy covers acts once people approved exactly what it is about to do (I15)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from accounts.models import Tenant
from connectors.models import Connection
from connectors.services import save_connection
from core import failpoints, strict_json
from core.actors import SYSTEM, Actor
from executions.importing import catalogue_of
from executions.models import Event, Execution, Scope, StepRun
from executions.services import cancel_execution, pause_execution, resume_execution, start_execution
from executions.services.sweeping import sweep_once
from executions.tasks import run_from
from manual.models import ManualRequest, Vote
from manual.services import NotYours, RequestGone
from manual.voting import FourEyes
from playbooks.cacao.types import AgentTarget, Command, Operation, Question, QuestionKind, Step, StepType, Variable
from tests.connectors.servers import Reply, Server, echo, ledger
from tests.engine.test_decide import condition, end, flow
from tests.executions.acting import (
    advance,
    answer,
    asked,
    attempts,
    connect,
    events,
    one_step,
    open_reviews,
    pass_deadline,
    post,
    run_of,
    state,
)
from tests.executions.approvers import person, policy, run, through_key, vote, waiting
from tests.executions.histories import check_history
from tests.factories import NOON, ConnectionFactory, UserFactory
from tests.flows.starting import Start, store_workflow


@pytest.fixture
def ada(tenant: Tenant) -> Actor:
    return person(tenant, "ada")


@pytest.fixture
def bob(tenant: Tenant) -> Actor:
    return person(tenant, "bob")


@pytest.fixture
def policed(tenant: Tenant, effects: Server) -> Server:
    """The ledger, where every call but a read needs one yes."""
    policy(tenant)
    return effects


def opened(execution: Execution) -> list[dict[str, Any]]:
    return list(
        Event.objects.filter(execution=execution, type="request.opened").order_by("seq").values_list("data", flat=True)
    )


def test_a_covered_step_calls_nothing_and_asks(start: Start, policed: Server) -> None:
    execution = waiting(start)

    assert policed.requests == []
    assert state(execution)[0] == "paused"
    assert run_of(execution, "p").status == "waiting"
    assert attempts(execution, "p") == ["waiting"]
    assert events(execution)[-3:] == ["step.waiting", "request.opened", "execution.paused"]
    check_history(execution)


def test_what_is_shown_is_what_is_hashed(start: Start, policed: Server) -> None:
    request = asked(waiting(start), "p")

    assert request.shown is not None
    assert request.digest == strict_json.digest(request.shown)
    [call] = request.shown["calls"]
    assert (call["operation"], call["effect"], call["target"]) == ("http.request", "keyed", "ledger")
    assert call["arguments"] == {"method": "POST", "path": "/effect/keyed", "body": {"step": "p"}}
    assert [address["url"] for address in call["addresses"]] == [policed.url]
    assert call["connection"]["name"] == "ledger"
    assert json.loads(request.commands[0]["command"])["arguments"] == call["arguments"]


def test_an_approved_step_makes_exactly_one_call(start: Start, policed: Server, ada: Actor) -> None:
    execution = waiting(start)
    request = vote(asked(execution, "p"), ada)

    assert (request.status, request.answered_by) == ("answered", "ada@example.org")
    assert run_of(execution, "p").status == "pending"
    assert run(execution).status == "completed"
    assert len(policed.requests) == 1
    assert state(execution)[0] == "completed"
    check_history(execution)


def test_a_rejected_step_fails_without_a_call(start: Start, policed: Server, ada: Actor) -> None:
    execution = waiting(start)
    vote(asked(execution, "p"), ada, yes=False, comment="not today")

    found = run_of(execution, "p")
    assert (found.status, found.reason, found.message) == ("failed", "rejected", "not today")
    assert policed.requests == []
    assert state(execution)[0] == "failed"
    check_history(execution)


def test_a_step_without_a_policy_asks_nobody(start: Start, tenant: Tenant, effects: Server) -> None:
    policy(tenant, "another operation", operation="slack.post")
    policy(tenant, "off", is_enabled=False)
    execution = start(one_step(post("p")))
    advance(execution, "start")

    assert run(execution).status == "completed"
    assert not ManualRequest.objects.exists()


@pytest.mark.parametrize(("effect_classes", "status"), [((), "completed"), (("read",), "waiting")])
def test_reads_need_approval_only_where_a_policy_names_them(
    start: Start, tenant: Tenant, effects: Server, effect_classes: tuple[str, ...], status: str
) -> None:
    policy(tenant, effects=list(effect_classes))
    read = Operation(
        name="http.request", reference="act-http-request",
        parameters={"connection": "ledger", "method": "GET", "path": "/effect/x"},
    )  # fmt: skip
    effects.answers.append(Reply(200))
    execution = start(one_step(Step(id="p", type=StepType.ACTION, operation=read, on_success="end")))
    advance(execution, "start")

    assert run(execution).status == status
    assert len(effects.requests) == (status == "completed")


@pytest.mark.parametrize(
    ("selector", "covered"),
    [
        ({"operation": "http"}, True),
        ({"operation": "http.request"}, True),
        ({"operation": "act-http-request"}, True),
        ({"operation": "ht"}, False),
        ({"effects": ["keyed", "unsafe"]}, True),
        ({"effects": ["unsafe"]}, False),
    ],
)
def test_a_policy_selects_by_operation_and_effect(
    start: Start, tenant: Tenant, effects: Server, selector: dict[str, Any], covered: bool
) -> None:
    policy(tenant, **selector)
    execution = start(one_step(post("p")))
    advance(execution, "start")

    assert run(execution).status == ("waiting" if covered else "completed")


def test_a_policy_selects_by_playbook_and_connection(start: Start, tenant: Tenant, effects: Server) -> None:
    other = ConnectionFactory(tenant=tenant, name="other")
    execution = start(one_step(post("p")))
    policy(tenant, "another connection", connection=other.pk)
    policy(tenant, "another playbook", playbook=store_workflow(tenant, flow(end(), first="end")).playbook_id)
    advance(execution, "start")
    assert run(execution).status == "completed"

    execution = start(one_step(post("p")))
    ledger_id = Connection.objects.get(tenant=tenant, name="ledger").pk
    policy(tenant, "this", connection=ledger_id, playbook=execution.playbook_id)
    advance(execution, "start")
    assert run(execution).status == "waiting"


def test_a_policy_of_another_tenant_covers_nothing_here(start: Start, effects: Server) -> None:
    policy(UserFactory().tenant)
    execution = start(one_step(post("p")))
    advance(execution, "start")

    assert run(execution).status == "completed"


@pytest.mark.parametrize("options", [{"dry_run": True}, {"script": {}}])
def test_what_calls_nothing_asks_nobody(start: Start, policed: Server, options: dict[str, Any]) -> None:
    execution = start(one_step(post("p")), **options)
    advance(execution, "start")

    assert run(execution).status == "completed"
    assert policed.requests == []
    assert not ManualRequest.objects.exists()


def test_the_checker_is_told_what_a_policy_covers_everywhere(tenant: Tenant) -> None:
    assert catalogue_of(tenant).approved == frozenset()
    policy(tenant, operation="http")

    assert "http.request" in catalogue_of(tenant).approved
    assert not any(name.startswith("ssh") for name in catalogue_of(tenant).approved)


# What may change after the vote ---------------------------------------------------------------------------------------

CHANGES: dict[str, Callable[[Execution, Server], None]] = {}


def change_named(name: str) -> Callable[[Callable[[Execution, Server], None]], None]:
    def keep(change: Callable[[Execution, Server], None]) -> None:
        CHANGES[name] = change

    return keep


def _save(execution: Execution, server: Server, **more: Any) -> None:
    stored = {"kind": "http", "name": "ledger", "url": server.url, "now": NOON}
    save_connection(tenant=execution.tenant, **{**stored, **more})


@change_named("the address")
def _(execution: Execution, server: Server) -> None:
    _save(execution, server, url=f"{server.url}/elsewhere")


@change_named("a setting")
def _(execution: Execution, server: Server) -> None:
    _save(execution, server, settings={"idempotency_header": "X-Key"})


@change_named("the secret")
def _(execution: Execution, server: Server) -> None:
    _save(execution, server, secrets={"token": "another-token"})


@change_named("the hosts")
def _(execution: Execution, server: Server) -> None:
    _save(execution, server, hosts=["other.example.org"])


@change_named("the networks")
def _(execution: Execution, server: Server) -> None:
    _save(execution, server, allow_networks=["127.0.0.0/9"])


@change_named("the effect class")
def _(execution: Execution, server: Server) -> None:
    _save(execution, server, keyed=False)


@change_named("another connection of the same name")
def _(execution: Execution, server: Server) -> None:
    Connection.objects.filter(tenant=execution.tenant, name="ledger").update(name="former")
    connect(execution.tenant, server)


@change_named("a parameter")
def _(execution: Execution, server: Server) -> None:
    Execution.objects.filter(pk=execution.pk).update(inputs={"parameters": {"who": "somebody else", "n": 1}})


@change_named("a parameter from a number to its text")
def _(execution: Execution, server: Server) -> None:
    Execution.objects.filter(pk=execution.pk).update(inputs={"parameters": {"who": "somebody", "n": "1"}})


@change_named("the version")
def _(execution: Execution, server: Server) -> None:
    same = store_workflow(execution.tenant, _templated())
    Execution.objects.filter(pk=execution.pk).update(version=same)


@pytest.mark.parametrize("name", list(CHANGES))
def test_a_change_after_the_vote_makes_a_new_request_and_no_call(
    start: Start, tenant: Tenant, policed: Server, ada: Actor, name: str
) -> None:
    execution = _begun_templated(tenant)
    first = vote(asked(execution, "p"), ada)

    CHANGES[name](execution, policed)
    found = run(execution)

    assert found.status == "waiting"
    assert policed.requests == []
    second = asked(execution, "p")
    assert second.pk != first.pk
    assert (second.reason, second.digest != first.digest) == ("changed", True)
    assert [data.get("reason") for data in opened(execution)] == [None, "changed"]
    assert not Vote.objects.filter(request=second).exists()

    vote(second, ada)
    assert run(execution).status == "completed"
    assert len(policed.requests) == 1
    check_history(execution)


def test_what_does_not_change_is_approved_once(tenant: Tenant, policed: Server, ada: Actor) -> None:
    execution = _begun_templated(tenant)
    vote(asked(execution, "p"), ada)

    run(execution)

    assert len(policed.requests) == 1
    assert policed.requests[0].json == {"step": "p", "who": "somebody", "n": 1}
    assert len(opened(execution)) == 1


def _templated() -> Any:
    step = post("p")
    assert step.operation is not None
    body = {"step": "p", "who": "{{ parameters.who }}", "n": "{{ parameters.n }}"}
    parameters = {**step.operation.parameters, "body": body}
    operation = Operation(step.operation.name, step.operation.reference, parameters)
    return one_step(Step(id="p", type=StepType.ACTION, operation=operation, on_success="end"))


def _begun_templated(tenant: Tenant, parameters: dict[str, Any] | None = None) -> Execution:
    inputs = {"parameters": {"who": "somebody", "n": 1, **(parameters or {})}}
    execution = start_execution(
        tenant=tenant, version=store_workflow(tenant, _templated()), inputs=inputs, actor=SYSTEM, now=NOON
    )
    advance(execution, "start")
    run(execution)
    return execution


@pytest.fixture
def far_side(tenant: Tenant, settings: Any) -> Iterator[Server]:
    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    with echo() as server:
        ConnectionFactory(tenant=tenant, name="far side", url=server.url, hosts=["127.0.0.2"])
        yield server


def _cacao(server: Server, *commands: Command, **more: Any) -> Any:
    variables = {
        "__what__": Variable("__what__", value="one"),
        "__where__": Variable("__where__", value="first"),
        "__password__": Variable("__password__", value="canary-of-a-variable"),
    }
    target = AgentTarget(
        "there", "http-api", "far side", properties={"address": {"url": [f"{server.url}/__where__:value"]}}
    )
    step = Step(id="p", type=StepType.ACTION, commands=commands, targets=("there",), on_success="end", **more)
    return flow(step, end(), first="p", variables=variables, targets={"there": target})


POST = Command(
    "http-api", text="POST /do?what=__what__:value HTTP/1.1", content="pw=__password__:value",
    headers={"X-What": ("__what__:value",), "Authorization": ("Bearer __password__:value",)},
)  # fmt: skip


@pytest.mark.parametrize("name", ["__what__", "__password__"])
def test_a_variable_that_changes_after_the_vote_is_asked_for_anew(
    start: Start, tenant: Tenant, far_side: Server, ada: Actor, name: str
) -> None:
    policy(tenant)
    execution = start(_cacao(far_side, POST))
    advance(execution, "start")
    assert run(execution).status == "waiting"
    vote(asked(execution, "p"), ada)

    scope = Scope.objects.get(execution=execution, path="")
    Scope.objects.filter(pk=scope.pk).update(variables={**scope.variables, name: "something else"})

    assert run(execution).status == "waiting"
    assert far_side.requests == []
    vote(asked(execution, "p"), ada)
    assert run(execution).status == "completed"
    assert len(far_side.requests) == 1


def test_a_value_from_a_variable_is_shown_apart_from_the_authors_text(
    start: Start, tenant: Tenant, far_side: Server
) -> None:
    policy(tenant)
    execution = start(_cacao(far_side, POST))
    advance(execution, "start")
    run(execution)

    shown = asked(execution, "p").shown
    assert shown is not None
    arguments = shown["calls"][0]["arguments"]
    assert arguments["command"] == [
        "POST /do?what=", {"variable": "__what__", "value": "one", "outside": True}, " HTTP/1.1",
    ]  # fmt: skip
    assert arguments["content"][0] == "pw="
    assert arguments["content"][1].startswith("__password__@")


def test_each_phase_of_a_mixed_step_is_approved_by_itself(
    start: Start, tenant: Tenant, far_side: Server, ada: Actor
) -> None:
    policy(tenant)
    commands = (
        Command("http-api", text="POST /one HTTP/1.1"),
        Command("manual", text="Look at it", for_people=True),
        Command("http-api", text="POST /two HTTP/1.1"),
    )
    execution = start(_cacao(far_side, *commands))
    advance(execution, "start")
    run(execution)
    vote(asked(execution, "p"), ada)
    run(execution)
    assert [received.path for received in far_side.requests] == ["/first/one"]
    run(execution)
    answer(asked(execution, "p"))

    assert run(execution).status == "waiting"
    assert asked(execution, "p").reason == ""
    assert len(far_side.requests) == 1
    vote(asked(execution, "p"), ada)
    assert run(execution).status == "completed"
    assert [received.path for received in far_side.requests] == ["/first/one", "/first/two"]
    check_history(execution)


def test_each_visit_of_a_loop_is_approved_by_itself(start: Start, policed: Server, ada: Actor) -> None:
    loop = Step(
        id="while", type=StepType.WHILE, condition=condition("__go__:value = 'yes'", "__go__"), on_true="p",
        on_failure="end",
    )  # fmt: skip
    step = Step(id="p", type=StepType.ACTION, operation=post("p").operation)
    variables = {"__go__": Variable("__go__", value="yes")}
    execution = start(flow(loop, step, end(), first="while", variables=variables), loop_limit=2)
    for _ in range(2):
        while StepRun.objects.filter(execution=execution, status="pending").exists():
            run_from(StepRun.objects.get(execution=execution, status="pending").pk)
        vote(asked(execution, "p"), ada)
    run(execution)

    assert [data["scope"] for data in opened(execution)] == ["while#1", "while#2"]
    assert len(policed.requests) == 2


def test_what_is_called_is_the_very_plan_that_was_compared(
    start: Start, transactional_db: None, tenant: Tenant, policed: Server, ada: Actor
) -> None:
    """The connection changes after the comparison and before the call: the call goes where it was approved."""
    execution = waiting(start)
    vote(asked(execution, "p"), ada)
    with ledger() as other:

        def move(place: str) -> None:
            if place == "after_prepare":
                connect(tenant, other)

        failpoints.install(move)
        try:
            assert run(execution).status == "completed"
        finally:
            failpoints.install(None)

        assert Connection.objects.get(tenant=tenant, name="ledger").url == other.url
        assert other.requests == []
    assert len(policed.requests) == 1


def test_a_retry_of_what_was_approved_asks_no_more(start: Start, policed: Server, ada: Actor) -> None:
    execution = waiting(start)
    vote(asked(execution, "p"), ada)
    policed.answers.append(Reply(500))

    assert run(execution).status == "retrying"
    assert run(execution).status == "completed"
    assert len(opened(execution)) == 1


def test_a_retry_of_something_else_asks_and_its_no_leaves_a_review(
    start: Start, tenant: Tenant, policed: Server, ada: Actor
) -> None:
    execution = waiting(start)
    vote(asked(execution, "p"), ada)
    policed.answers.append(Reply(manner="cut"))
    assert run(execution).status == "retrying"

    _save(execution, policed, settings={"idempotency_header": "X-Key"})
    assert run(execution).status == "waiting"
    vote(asked(execution, "p"), ada, yes=False)

    found = run_of(execution, "p")
    assert (found.status, found.effect) == ("failed", "unknown")
    assert len(open_reviews(execution)) == 1
    assert len(policed.requests) == 1


def test_an_approval_that_nobody_gives_expires(start: Start, policed: Server, ada: Actor) -> None:
    execution = waiting(start)
    request = asked(execution, "p")
    pass_deadline(execution, "p")

    with pytest.raises(RequestGone):
        vote(request, ada)
    sweep_once()

    assert run_of(execution, "p").status == "timed_out"
    request.refresh_from_db()
    assert request.status == "expired"
    with pytest.raises(RequestGone):
        vote(request, ada)
    assert policed.requests == []
    check_history(execution)


def test_a_cancel_closes_the_request(start: Start, policed: Server, ada: Actor) -> None:
    execution = waiting(start)
    request = asked(execution, "p")
    cancel_execution(execution=execution, actor=SYSTEM, now=NOON)

    with pytest.raises(RequestGone, match="stopped"):
        vote(request, ada)
    assert state(execution)[0] == "cancelled"
    check_history(execution)


def test_an_approval_of_a_held_execution_acts_once_it_goes_on(start: Start, policed: Server, ada: Actor) -> None:
    execution = waiting(start)
    pause_execution(execution=execution, actor=SYSTEM, now=NOON)
    vote(asked(execution, "p"), ada)
    assert run(execution).status == "pending"
    assert policed.requests == []

    resume_execution(execution=execution, actor=SYSTEM, now=NOON)

    assert run(execution).status == "completed"
    check_history(execution)


def test_two_of_two_votes_are_needed(start: Start, tenant: Tenant, effects: Server, ada: Actor, bob: Actor) -> None:
    policy(tenant, votes=2)
    execution = waiting(start)

    assert vote(asked(execution, "p"), ada).status == "open"
    assert vote(asked(execution, "p"), through_key(ada)).status == "open"
    assert run_of(execution, "p").status == "waiting"
    assert vote(asked(execution, "p"), bob).status == "answered"

    assert run(execution).status == "completed"
    assert list(Vote.objects.order_by("voted_at").values_list("name", flat=True)) == [
        "ada@example.org",
        "bob@example.org",
    ]
    assert len(effects.requests) == 1


def test_by_four_eyes_neither_starter_nor_editor_votes(tenant: Tenant, effects: Server, ada: Actor, bob: Actor) -> None:
    policy(tenant, four_eyes=True)
    carol = person(tenant, "carol")
    version = store_workflow(tenant, one_step(post("p")), actor=through_key(bob))
    execution = start_execution(tenant=tenant, version=version, inputs={}, actor=through_key(ada), now=NOON)
    advance(execution, "start")
    run(execution)
    request = asked(execution, "p")

    for by, why in (
        (ada, "started"),
        (through_key(ada), "started"),
        (bob, "made the version"),
        (through_key(bob), "made"),
    ):
        with pytest.raises(FourEyes, match=why):
            vote(request, by)
    assert not Vote.objects.exists()
    vote(request, carol)
    assert run(execution).status == "completed"


def test_four_eyes_look_at_who_started_the_execution_around(tenant: Tenant, effects: Server, ada: Actor) -> None:
    policy(tenant, four_eyes=True)
    child = store_workflow(tenant, one_step(post("p")))
    call = Step(id="call", type=StepType.PLAYBOOK_ACTION, playbook_id=child.playbook.cacao_id, on_success="end")
    parent = start_execution(
        tenant=tenant, version=store_workflow(tenant, flow(call, end(), first="call")), inputs={}, actor=ada, now=NOON
    )
    run_from(run_of(parent, "start").pk)
    inner = Execution.objects.get(parent_step_run__execution=parent)
    advance(inner, "start")
    run(inner)

    with pytest.raises(FourEyes, match="started"):
        vote(asked(inner, "p"), ada)


@pytest.mark.parametrize(("flag", "own", "refused"), [(True, None, True), (True, False, False), (False, None, False)])
def test_the_tenant_says_whether_four_eyes_are_usual(
    tenant: Tenant, effects: Server, ada: Actor, flag: bool, own: bool | None, refused: bool
) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(four_eyes=flag)
    policy(tenant, four_eyes=own)
    version = store_workflow(tenant, one_step(post("p")))
    execution = start_execution(tenant=tenant, version=version, inputs={}, actor=ada, now=NOON)
    advance(execution, "start")
    run(execution)

    if refused:
        with pytest.raises(FourEyes):
            vote(asked(execution, "p"), ada)
    else:
        assert vote(asked(execution, "p"), ada).status == "answered"


def test_of_several_policies_the_strictest_of_each_holds(
    start: Start, tenant: Tenant, effects: Server, ada: Actor, bob: Actor
) -> None:
    policy(tenant, "two", votes=2, first_no_decides=False)
    policy(tenant, "one", votes=1, four_eyes=True, approvers=["approver", "soc_lead"])
    policy(tenant, "named", approvers=["ADA@example.org", "dan@example.org"], first_no_decides=False)
    request = asked(waiting(start), "p")

    assert (request.votes_needed, request.noes_needed, request.four_eyes) == (2, 1, True)
    assert request.policies == ["named", "one", "two"]
    with pytest.raises(NotYours):
        vote(request, bob)  # has the role, and is not named
    with pytest.raises(NotYours):
        vote(request, person(tenant, "dan", role="admin"))  # is named, and has not the role
    assert vote(request, ada).status == "open"


def approval_step(**more: Any) -> Step:
    question = Question(QuestionKind.APPROVAL, "Go on?", **more)
    return Step(id="q", type=StepType.ACTION, question=question, on_success="end")


def test_an_approval_step_takes_votes_and_four_eyes_from_its_policy(
    start: Start, tenant: Tenant, ada: Actor, bob: Actor
) -> None:
    policy(tenant, covers="approval_steps", votes=2)
    policy(tenant, "calls only", votes=7)
    execution = start(one_step(approval_step(approvers=("approver",))))
    advance(execution, "start")

    assert vote(asked(execution, "q"), ada).status == "open"
    with pytest.raises(NotYours):
        vote(asked(execution, "q"), person(tenant, "lead", role="soc_lead"))
    vote(asked(execution, "q"), bob)
    assert state(execution)[0] == "completed"
    check_history(execution)


def test_an_approval_step_without_a_policy_follows_the_tenants_four_eyes(tenant: Tenant, ada: Actor) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(four_eyes=True)
    version = store_workflow(tenant, one_step(approval_step()))
    execution = start_execution(tenant=tenant, version=version, inputs={}, actor=ada, now=NOON)
    advance(execution, "start")

    with pytest.raises(FourEyes):
        vote(asked(execution, "q"), ada)


CANARIES = ("canary-of-a-variable", "canary-of-a-connection", "canary-of-a-parameter", "canary-of-a-header")


def test_no_secret_stands_in_what_is_asked(start: Start, tenant: Tenant, far_side: Server, settings: Any) -> None:
    policy(tenant)
    _save_far_side(tenant, far_side)
    execution = start(_cacao(far_side, POST))
    advance(execution, "start")
    run(execution)
    with ledger() as server:
        connect(tenant, server)
        step = post("p")
        assert step.operation is not None
        parameters = {
            **step.operation.parameters,
            "headers": {"Authorization": "Bearer canary-of-a-header"},
            "body": {"text": "log on with {{ parameters.password }}", "password": "canary-of-a-header"},
        }
        operation = Operation(step.operation.name, step.operation.reference, parameters)
        version = store_workflow(
            tenant, one_step(Step(id="p", type=StepType.ACTION, operation=operation, on_success="end"))
        )
        inputs = {"parameters": {"password": "canary-of-a-parameter"}}
        other = start_execution(tenant=tenant, version=version, inputs=inputs, actor=SYSTEM, now=NOON)
        advance(other, "start")
        run(other)

    found = dump("manual_manualrequest", "executions_event", "executions_attempt", "executions_steprun")
    assert "__password__@" in found
    assert "password@" in found
    assert "token@" in found
    for canary in CANARIES:
        assert canary not in found


def _save_far_side(tenant: Tenant, server: Server) -> None:
    secrets = {"token": "canary-of-a-connection"}
    save_connection(tenant=tenant, kind="http", name="far side", url=server.url, secrets=secrets, now=NOON)


def dump(*tables: str) -> str:
    """Every row of the tables as text."""
    found = []
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT row_to_json(t)::text FROM {table} t")
            found += [row[0] for row in cursor.fetchall()]
    return "\n".join(found)
