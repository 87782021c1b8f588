"""Large values are stored apart, are whole where they are read, and cost nothing where they are not."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from api.s4e.progress import Progress
from connectors.base import completed
from core.actors import SYSTEM
from executions import payloads
from executions.engine.apart import Apart, Damaged, whole
from executions.models import Event, Execution, Payload, Scope, StepRun
from executions.performed import Performed
from executions.preparing import calls_of
from executions.selectors import final_variables, list_executions, result_of, values_of
from executions.services import StartRefused, resolve_review, start_execution
from executions.services.resolving import OutputRefused
from playbooks.cacao.types import Command, Step, StepType, Variable
from tests.connectors.servers import Server
from tests.engine.test_decide import act, condition, end, flow
from tests.executions.acting import (
    advance,
    answer,
    asked,
    change,
    claim,
    lose,
    open_reviews,
    post,
    record,
    run_of,
    state,
)
from tests.executions.histories import check_history
from tests.executions.test_answering import ask
from tests.executions.test_template_context import context, s4e, say
from tests.factories import NOON
from tests.flows.starting import Start, store_workflow

KIB, MIB = 1024, 1024 * 1024
O = {"__o__": Variable("__o__")}  # noqa: E741
TWO = flow(
    act("a", on_success="b", out_args=("__o__",)),
    Step(id="b", type=StepType.ACTION, commands=(Command("bash", text="echo __o__:value"),), on_success="end"),
    end(),
    first="a",
    variables=O,
)


def text(size: float) -> str:
    return "0123456789abcdef" * int(size / 16)


def come_to(execution: Execution, step: str, output: Any, *, effect: str = "read") -> None:
    is_intended = effect != "read"
    record(claim(execution, step), Performed(completed(output), effect_class=effect, is_intended=is_intended))


def sizes(execution: Execution) -> list[int]:
    return sorted(Payload.objects.filter(execution=execution).values_list("size", flat=True))


@pytest.mark.parametrize(("size", "is_apart"), [(127 * KIB, False), (129 * KIB, True), (MIB, True), (15.9 * MIB, True)])
def test_an_output_over_128_kib_is_stored_apart_once_and_read_whole(start: Start, size: float, is_apart: bool) -> None:
    execution = start(TWO)
    advance(execution, "start")
    come_to(execution, "a", text(size))

    run = run_of(execution, "a")
    # It is the step's output, what the step wrote, and a variable's value: one content.
    assert len(sizes(execution)) == (1 if is_apart else 0)
    assert isinstance(result_of(run)["output"], Apart) is is_apart
    assert whole(result_of(run)["output"]) == text(size)
    assert final_variables(execution) == {"__o__": text(size)}
    written = values_of(run)
    assert written is not None
    assert whole(written["__o__"]) == text(size)


def test_an_output_over_16_mib_fails_the_step_whose_effect_took_place(start: Start) -> None:
    execution = start(TWO)
    advance(execution, "start")
    come_to(execution, "a", text(16.1 * MIB), effect="unsafe")

    run = run_of(execution, "a")
    assert state(execution) == ("failed", "limit")
    assert (run.status, run.reason, run.effect, run.result) == ("failed", "limit", "applied", None)
    assert "at most 16777216 are kept" in run.message
    assert sizes(execution) == []
    assert final_variables(execution) == {"__o__": None}
    check_history(execution)


def test_a_large_value_reaches_the_commands_of_the_next_step_through_a_variable(start: Start) -> None:
    execution = start(TWO)
    advance(execution, "start")
    come_to(execution, "a", text(MIB))

    [call] = calls_of(claim(execution, "b"))
    assert "".join(part.text for part in call.arguments["command"]) == f"echo {text(MIB)}"


def test_a_large_output_reaches_the_parameters_of_the_next_step_through_a_template(start: Start) -> None:
    parameters = {"path": "/", "body": {"all": "{{ steps.a }}", "some": "{{ steps.a.output.text }}"}}
    execution = start(s4e(say("a", on_success="b"), say("b", on_success="end", parameters=parameters)))
    advance(execution, "start")
    come_to(execution, "a", {"text": text(MIB)})

    [call] = calls_of(claim(execution, "b"))
    body = call.arguments["body"]
    assert body["some"] == text(MIB)
    assert body["all"] == {"status": "completed", "output": {"text": text(MIB)}}


def test_a_large_output_is_sent_on_whole(start: Start, effects: Server) -> None:
    from executions.tasks import run_from

    sending = post("p")
    assert sending.operation is not None
    parameters = {**sending.operation.parameters, "body": {"found": "{{ steps.a.output }}"}}
    sending = replace(sending, operation=replace(sending.operation, parameters=parameters))
    execution = start(s4e(say("a", on_success="p"), sending))
    advance(execution, "start")
    come_to(execution, "a", {"text": text(MIB)})
    run_from(run_of(execution, "p").pk)

    assert state(execution)[0] == "completed"
    [sent] = effects.requests
    assert sent.json == {"found": {"text": text(MIB)}}


def test_a_condition_reads_a_large_value(start: Start) -> None:
    if_step = Step(
        id="if", type=StepType.IF, condition=condition("__o__:value LIKE '%xxy'", "__o__"), on_true="yes",
        on_success="end",
    )  # fmt: skip
    execution = start(
        flow(act("a", on_success="if", out_args=("__o__",)), if_step, act("yes"), end(), first="a", variables=O)
    )
    advance(execution, "start")
    come_to(execution, "a", "x" * 200_000 + "y")

    assert run_of(execution, "yes").status == "pending"


def test_steps_that_do_not_read_a_large_variable_neither_read_nor_write_it(start: Start) -> None:
    steps = [act(f"s{n}", on_success=f"s{n + 1}" if n < 3 else "end", out_args=("__p__",)) for n in range(1, 4)]
    variables = {**O, "__p__": Variable("__p__")}
    execution = start(
        flow(act("a", on_success="s1", out_args=("__o__",)), *steps, end(), first="a", variables=variables)
    )
    advance(execution, "start")
    come_to(execution, "a", text(MIB))

    with CaptureQueriesContext(
        connection,
    ) as queries:
        for n in range(1, 4):
            come_to(execution, f"s{n}", f"value {n}")
        list(list_executions(execution.tenant))
        Progress(execution).execution_shown()

    assert state(execution)[0] == "completed"
    assert [query["sql"] for query in queries if "executions_payload" in query["sql"]] == []
    assert max(len(query["sql"]) for query in queries) < 10 * KIB
    stored = Scope.objects.get(execution=execution, path="")
    assert len(str(stored.variables)) < KIB
    assert final_variables(execution) == {"__o__": text(MIB), "__p__": "value 3"}


def test_a_large_value_is_merged_at_a_join_without_being_read(start: Start) -> None:
    fork = Step(id="fork", type=StepType.PARALLEL, next_steps=("a", "b"), on_success="end")
    execution = start(flow(fork, act("a", out_args=("__o__",)), act("b"), end(), first="fork", variables=O))
    advance(execution, "start")
    come_to(execution, "a", text(MIB))
    with CaptureQueriesContext(connection) as queries:
        come_to(execution, "b", "small")

    assert not any("executions_payload" in query["sql"] for query in queries)
    assert final_variables(execution) == {"__o__": text(MIB)}


def test_many_values_that_are_large_together_leave_their_row_too(start: Start) -> None:
    names = [f"__v{n}__" for n in range(8)]
    step = act("a", on_success="end", out_args=tuple(names))
    execution = start(flow(step, end(), first="a", variables={name: Variable(name) for name in names}))
    advance(execution, "start")
    come_to(execution, "a", {name: f"{n}{text(60 * KIB)}" for n, name in enumerate(names)})

    with connection.cursor() as cursor:
        cursor.execute("SELECT length(variables::text) FROM executions_scope WHERE execution_id = %s", [execution.pk])
        assert cursor.fetchone()[0] <= payloads.INLINE
    assert final_variables(execution) == {name: f"{n}{text(60 * KIB)}" for n, name in enumerate(names)}


@pytest.mark.parametrize(
    "value",
    [
        {payloads.MARK: {"digest": "0" * 64, "size": 1}},
        {payloads.MARK: {"inline": 1}},
        {payloads.MARK: None},
        {payloads.MARK: 1, "more": 2},
        {"inside": {payloads.MARK: {"digest": "0" * 64, "size": 1}}},
    ],
)
def test_a_value_that_looks_like_a_marker_is_a_value(start: Start, value: Any) -> None:
    variables = {"__o__": Variable("__o__", type="dictionary")}
    execution = start(flow(act("a", on_success="end", out_args=("__o__",)), end(), first="a", variables=variables))
    advance(execution, "start")
    come_to(execution, "a", {"__o__": value})

    assert whole(result_of(run_of(execution, "a"))["output"]) == {"__o__": value}
    assert final_variables(execution) == {"__o__": value}


@pytest.mark.parametrize("harm", ["changed", "lost"])
def test_a_stored_value_that_is_damaged_fails_the_step_that_needs_it_and_nobody_else(start: Start, harm: str) -> None:
    execution = start(TWO)
    advance(execution, "start")
    come_to(execution, "a", text(MIB))
    found = Payload.objects.filter(execution=execution)
    found.delete() if harm == "lost" else found.update(content=b'"something else"')

    from executions.tasks import run_from

    run_from(run_of(execution, "b").pk)
    run = run_of(execution, "b")
    assert (run.status, run.reason, run.effect, run.tries) == ("failed", "integrity", "none", 1)
    with pytest.raises(Damaged):
        final_variables(execution)
    shown = {line["step_id"]: line for line in Progress(execution).steps_shown()}
    assert (shown["a"]["output"], shown["a"]["error"]["code"]) == (None, "integrity")


def test_inputs_of_a_start_are_stored_apart_and_read_by_templates(tenant: Any) -> None:
    parameters = {"path": "{{ finding.id }}", "body": "{{ finding.raw }}"}
    version = store_workflow(tenant, s4e(say("a", on_success="end", parameters=parameters)))
    inputs = {"parameters": {}, "inputs": {}, "asset": None, "finding": {"id": "f-1", "raw": text(MIB)}}
    execution = start_execution(tenant=tenant, version=version, inputs=inputs, actor=SYSTEM, now=NOON)
    advance(execution, "start")

    assert len(str(Execution.objects.get(pk=execution.pk).inputs)) < KIB
    assert context(execution)["finding"]["id"] == "f-1"
    [call] = calls_of(claim(execution, "a"))
    assert call.arguments == {"path": "f-1", "body": text(MIB)}


def test_inputs_with_very_many_small_values_are_stored_apart_as_a_whole(tenant: Any) -> None:
    version = store_workflow(tenant, s4e(say("a", on_success="end", parameters={"path": "{{ finding.k7 }}"})))
    finding = {f"k{n}": n for n in range(50_000)}
    execution = start_execution(tenant=tenant, version=version, inputs={"finding": finding}, actor=SYSTEM, now=NOON)
    advance(execution, "start")

    assert len(sizes(execution)) == 1
    [call] = calls_of(claim(execution, "a"))
    assert call.arguments == {"path": 7}


def test_a_start_with_more_than_16_mib_is_refused_and_stores_nothing(tenant: Any) -> None:
    version = store_workflow(tenant, s4e(say("a", on_success="end")))
    inputs = {"finding": {"raw": text(16.1 * MIB)}}
    with pytest.raises(StartRefused) as refused:
        start_execution(tenant=tenant, version=version, inputs=inputs, actor=SYSTEM, now=NOON)

    assert refused.value.code == "inputs_too_large"
    assert not Execution.objects.exists()
    assert not Payload.objects.exists()


def test_the_same_start_again_stores_nothing_more(tenant: Any) -> None:
    version = store_workflow(tenant, s4e(say("a", on_success="end")))
    starts = [
        start_execution(
            tenant=tenant, version=version, inputs={"finding": {"raw": text(MIB)}}, actor=SYSTEM, now=NOON,
            start_key="k", start_digest="d",
        )
        for _ in range(2)
    ]  # fmt: skip

    assert starts[0].pk == starts[1].pk
    assert Payload.objects.count() == 1


def test_an_answer_of_a_person_may_be_large_together_and_is_read_whole(start: Start) -> None:
    names = ("__p__", "__q__")
    workflow = flow(
        ask("q", on_success="end", out_args=names), end(), first="q", variables={n: Variable(n) for n in names}
    )
    execution = start(workflow)
    advance(execution, "start")
    values = {name: f"{name}{text(100 * KIB)}" for name in names}
    answer(asked(execution, "q"), values)

    assert final_variables(execution) == values
    written = values_of(run_of(execution, "q"))
    assert written is not None
    assert {name: whole(value) for name, value in written.items()} == values


def test_a_question_shows_no_value_that_is_stored_apart(start: Start) -> None:
    workflow = flow(
        act("a", on_success="q", out_args=("__o__",)), ask("q", on_success="end", out_args=("__o__",)), end(),
        first="a", variables=O,
    )  # fmt: skip
    execution = start(workflow)
    advance(execution, "start")
    come_to(execution, "a", text(MIB))

    assert asked(execution, "q").out_args["__o__"]["value"] is None


def test_a_question_with_a_text_that_nobody_can_read_fails(start: Start) -> None:
    question = ask("q", on_success="end")
    assert question.question is not None
    long = replace(question, question=replace(question.question, text="Is this right: __o__:value"))
    workflow = flow(act("a", on_success="q", out_args=("__o__",)), long, end(), first="a", variables=O)
    execution = start(workflow)
    advance(execution, "start")
    come_to(execution, "a", text(MIB))

    assert state(execution) == ("failed", "limit")


def test_an_output_typed_into_a_review_has_the_same_bounds(start: Start) -> None:
    execution = start(TWO)
    advance(execution, "start")
    work = claim(execution, "a")
    change(work.run.id, "intent_fence = fence, effect = 'intended', effective_class = 'unsafe'")
    lose(work)
    from executions.services.sweeping import sweep_once

    sweep_once()
    [review] = open_reviews(execution)
    given: dict[str, Any] = {
        "review": review, "resolution": "happened", "reason": "", "actor": SYSTEM, "now": timezone.now()
    }  # fmt: skip
    with pytest.raises(OutputRefused):
        resolve_review(output=text(16.1 * MIB), **given)
    assert run_of(execution, "a").status == "uncertain"
    resolve_review(output=text(MIB), **given)

    assert final_variables(execution) == {"__o__": text(MIB)}


def test_a_child_gets_large_values_and_gives_them_back(tenant: Any, settings: Any, run_to_end: Any) -> None:
    from tests.flows.starting import make_tenant

    settings.SALLYPORT_ALLOW_FAKE = True
    tenant = make_tenant()
    external = {"__o__": Variable("__o__", external=True)}
    child = flow(act("c", on_success="end"), end(), first="c", variables=external)
    store_workflow(tenant, child, cacao_id="playbook--00000000-0000-4000-8000-000000000001")
    call = Step(
        id="call", type=StepType.PLAYBOOK_ACTION, playbook_id="playbook--00000000-0000-4000-8000-000000000001",
        in_args=("__o__",), out_args=("__o__",), on_success="end",
    )  # fmt: skip
    parent = store_workflow(
        tenant, flow(act("a", on_success="call", out_args=("__o__",)), call, end(), first="a", variables=O)
    )
    script = {"steps": {"a": [{"result": "success", "output": text(MIB)}]}}
    execution = run_to_end(
        start_execution(
            tenant=tenant, version=parent, inputs={"variables": {}}, options={"script": script}, actor=SYSTEM, now=NOON
        )
    )

    assert state(execution)[0] == "completed"
    assert final_variables(execution) == {"__o__": text(MIB)}
    [made] = Execution.objects.exclude(pk=execution.pk)
    assert final_variables(made) == {"__o__": text(MIB)}
    assert len(sizes(made)) == len(sizes(execution)) == 1


def test_messages_are_cut_in_rows_and_events(start: Start) -> None:
    from connectors.base import failed

    execution = start(TWO)
    advance(execution, "start")
    record(claim(execution, "a"), Performed(failed("client_error", "m" * MIB, sent=True, retry=False)))

    assert len(run_of(execution, "a").message) <= 4_000
    assert all(len(str(event.data)) < 10 * KIB for event in Event.objects.filter(execution=execution))


def test_what_is_stored_apart_goes_with_its_execution(start: Start) -> None:
    execution, other = start(TWO), start(TWO)
    for each in (execution, other):
        advance(each, "start")
        come_to(each, "a", text(MIB))
    execution.delete()

    assert list(Payload.objects.values_list("execution_id", flat=True)) == [other.pk]
    assert not StepRun.objects.filter(execution_id=execution.pk).exists()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_packed_comes_back(start: Start, seed: int) -> None:
    execution, random = start(TWO), Random(seed)

    def value(nesting: int) -> Any:
        match random.randrange(8):
            case 0:
                return "x" * random.choice((10, 2_000, 90_000, 140_000))
            case 1:
                return {payloads.MARK: value(nesting + 1)} if nesting < 4 else None
            case 2:
                return {payloads.MARK: {"digest": "0" * 64, "size": 7}}
            case 3 | 4 if nesting < 4:
                return {f"k{n}": value(nesting + 1) for n in range(random.randrange(5))}
            case 5 if nesting < 4:
                return [value(nesting + 1) for _ in range(random.randrange(4))]
        return random.choice((None, 0, 1.5, True, "", "é☃"))

    for depth in (1, 2):
        document = {f"m{n}": value(0) for n in range(5)}
        stored = payloads.write(execution.pk, document, depth=depth)
        assert payloads.whole_document(execution.pk, stored, depth=depth) == document
        # What was read lazily is written again without being read, and for another execution whole.
        again = payloads.write(execution.pk, payloads.unpack(execution.pk, stored, depth=depth), depth=depth)
        assert payloads.whole_document(execution.pk, again, depth=depth) == document
        other = start(TWO)
        moved = payloads.write(other.pk, payloads.unpack(execution.pk, stored, depth=depth), depth=depth)
        assert payloads.whole_document(other.pk, moved, depth=depth) == document
