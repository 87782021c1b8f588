"""What the engine is given: relaxed readings, questions, joins, variables, mappings."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from playbooks.cacao import outputs, start_lines
from playbooks.cacao.types import OutputMapping, QuestionKind, StepType
from tests.cacao.documents import (
    ASK,
    BODY,
    END,
    HOST,
    IF,
    LEFT,
    LEFT_END,
    LOGON,
    MAPPING,
    PARALLEL,
    PERSON,
    RIGHT,
    SHELL,
    START,
    SWITCH,
    TRUE,
    WHILE,
    both,
    changed,
    clean,
    codes,
    drop,
    imported,
    put,
    relaxations,
    workflow_of,
)

W = "workflow"


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


# -- steps as they are


def test_a_clean_playbook_is_compiled_as_it_is_written() -> None:
    workflow = workflow_of(clean())

    assert (workflow.start, workflow.exception, workflow.dialect) == (START, END, "cacao")
    assert list(workflow.steps) == list(clean()[W])
    right = workflow.steps[RIGHT]
    assert (right.delay, right.timeout) == (timedelta(milliseconds=5), timedelta(seconds=1))
    assert (right.commands[0].type, right.commands[0].text, right.agent) == ("ssh", "uptime", SHELL)
    assert workflow.steps[PARALLEL].next_steps == (LEFT, RIGHT)
    assert workflow.steps[PARALLEL].join is None
    assert workflow.steps[SWITCH].switch == "__level__"
    assert workflow.variables["__count__"].value == "2"
    assert workflow.variables["__fixed__"].is_author_text


def test_literal_secrets_are_handed_out_apart_and_never_compiled() -> None:
    result = imported(changed(put("authentication_info_definitions", LOGON, "password", "correct horse")))

    assert result.workflow is not None
    assert result.secrets == {f"/authentication_info_definitions/{LOGON}/password": "correct horse"}
    assert result.workflow.authentication[LOGON] == {"type": "http-basic", "user_id": "scanner"}
    assert "correct horse" not in repr(result.workflow)


def test_a_secret_that_is_a_reference_is_a_template_and_stays() -> None:
    document = changed(put("authentication_info_definitions", LOGON, "password", "__host__:value"))
    result = imported(document)

    assert result.secrets == {}
    assert result.workflow is not None
    assert result.workflow.authentication[LOGON]["password"] == "__host__:value"


def test_properties_of_authentication_that_nobody_knows_count_as_secret() -> None:
    document = changed(put("authentication_info_definitions", LOGON, "keys", {"a/b": ["k1"]}))

    assert imported(document).secrets[f"/authentication_info_definitions/{LOGON}/keys/a~1b/0"] == "k1"


def test_an_agent_keeps_its_properties_but_for_its_log_on() -> None:
    agent = workflow_of(clean()).agents[HOST]

    assert agent.authentication == LOGON
    assert agent.properties == {
        "type": "http-api",
        "name": "Inventory",
        "address": {"url": ["https://inventory.example.org/"]},
    }


# -- commands


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("GET /x HTTP/1.1", "GET /x HTTP/1.1"),
        ("GET /x HTTP/1.0", "GET /x HTTP/1.0"),
        ("PROPFIND /x HTTP/2.0", "PROPFIND /x HTTP/2.0"),
        ("GET http://a.example.org/x HTTP/1.1", "GET http://a.example.org/x HTTP/1.1"),
        ("POST __path__:value HTTP/1.1", "POST __path__:value HTTP/1.1"),
        ("GET /x", "GET /x HTTP/1.1"),
        ("GET x", "GET /x HTTP/1.1"),
        ("GET x HTTP1.1", "GET /x HTTP/1.1"),
        ("GET ?a=1 HTTP/1.1", "GET /?a=1 HTTP/1.1"),
        ("get /x HTTP/2", "GET /x HTTP/1.1"),
        ("GET  /x HTTP/1.1", "GET /x HTTP/1.1"),
        ("PROPFIND /x", None),
        ("Restart server", None),
        ("GET", None),
        ("GET HTTP/1.1", None),
        ("GET /a b HTTP/1.1", None),
        ("GET /x HTTP/1.1\nHost: a", None),
        ("", None),
        ('{"headers": {}}', None),
    ],
)
def test_a_start_line_is_mended_or_is_none(written: str, sent: str | None) -> None:
    line = start_lines.read(written)

    assert (line.text if line else None) == sent
    assert line is None or bool(line.faults) is (written != sent)


def test_commands_are_decoded_and_their_types_are_those_that_are_meant() -> None:
    command = {"type": "openc2", "command": "POST post HTTP1.1", "content_b64": encoded('{"action": "deny"}')}
    found = workflow_of(changed(put(W, TRUE, "commands", 0, command))).steps[TRUE].commands[0]

    assert (found.type, found.text) == ("openc2-http", "POST /post HTTP/1.1")
    assert (found.content, found.content_is_base64, found.content_is_encoded) == ('{"action": "deny"}', True, False)
    assert found.raw == command


def test_content_that_is_no_text_and_base64_with_a_reference_stay_encoded() -> None:
    octets = {"type": "http-api", "command": "PUT /x HTTP/1.1", "content_b64": encoded(b"\xff\x00")}
    template = {"type": "ssh", "command_b64": "bHM___host__:value"}
    workflow = workflow_of(changed(both(put(W, TRUE, "commands", 0, octets), put(W, RIGHT, "commands", 0, template))))

    assert workflow.steps[TRUE].commands[0].content == octets["content_b64"]
    assert workflow.steps[TRUE].commands[0].content_is_encoded
    assert workflow.steps[RIGHT].commands[0].text_is_encoded


def test_a_fin_may_be_given_any_command_and_none() -> None:
    fin = "soarca--00000000-0000-4000-8000-0000000001f1"
    document = changed(
        both(
            put("agent_definitions", fin, {"type": "soarca", "name": "soarca-fin-pong-1"}),
            put(W, TRUE, "agent", fin),
            put(W, TRUE, "commands", 0, {"type": "pong"}),
        )
    )
    workflow = workflow_of(document)

    assert workflow.steps[TRUE].question is None
    assert workflow.steps[TRUE].commands[0].raw == {"type": "pong"}


# -- questions


def test_a_manual_command_is_a_request_that_shows_its_text() -> None:
    question = workflow_of(clean()).steps[ASK].question

    assert question is not None
    assert (question.kind, question.text, question.is_literal) == (
        QuestionKind.INPUT,
        "How bad is __host__:value?",
        False,
    )


def test_people_carry_out_what_is_theirs_whatever_its_type() -> None:
    document = changed(
        both(put(W, RIGHT, "agent", PERSON), put(W, RIGHT, "commands", 1, {"type": "bash", "command": "ls"}))
    )
    step = workflow_of(document).steps[RIGHT]

    assert step.question is not None
    assert step.question.text == "uptime\n\nls"
    assert all(command.for_people for command in step.commands)


def test_a_machine_step_with_a_manual_command_among_others_is_no_question_as_a_whole() -> None:
    document = changed(put(W, RIGHT, "commands", 1, {"type": "manual", "command": "Check the lamp"}))
    step = workflow_of(document).steps[RIGHT]

    assert step.question is None
    assert [command.for_people for command in step.commands] == [False, True]


def test_an_action_without_commands_shows_name_and_description_as_written() -> None:
    document = changed(
        both(
            drop(W, TRUE, "commands"),
            put(W, TRUE, "name", "Isolate"),
            put(W, TRUE, "description", "Isolate __host__:value."),
        )
    )
    question = workflow_of(document).steps[TRUE].question

    assert question is not None
    assert (question.text, question.is_literal) == ("Isolate\n\nIsolate __host__:value.", True)


def test_a_condition_in_prose_is_a_decision_and_a_switch_without_variable_a_choice() -> None:
    document = changed(
        both(
            put(W, IF, "condition", "Is it __host__:value?"),
            put(W, SWITCH, "switch", "how bad"),
            drop(W, SWITCH, "cases", "default"),
        )
    )
    workflow = workflow_of(document)
    decision, choice = workflow.steps[IF].question, workflow.steps[SWITCH].question

    assert decision is not None
    assert choice is not None
    assert (decision.kind, decision.text, decision.is_literal) == (QuestionKind.DECISION, "Is it __host__:value?", True)
    assert (choice.kind, choice.text, choice.choices) == (QuestionKind.CHOICE, "how bad", ("high", "none of these"))
    assert workflow.steps[IF].condition is None
    assert workflow.steps[SWITCH].switch is None


# -- pointers


def test_faulty_pointers_are_read_as_they_are_meant() -> None:
    document = changed(
        both(
            put(W, START, {"type": "start", "on_success": ASK}),
            put(W, IF, "on_true", [TRUE]),
            drop(W, WHILE, "on_completion"),
            put(W, WHILE, "on_false", SWITCH),
            put(W, END, "on_completion", LEFT_END),
            put(W, PARALLEL, "next_steps", [LEFT, RIGHT, LEFT]),
        )
    )
    steps = workflow_of(document).steps

    assert steps[START].on_completion == ASK
    assert steps[START].on_success is None
    assert steps[IF].on_true == TRUE
    assert (steps[WHILE].on_completion, steps[WHILE].on_false) == (SWITCH, None)
    assert steps[END].on_completion is None
    assert steps[PARALLEL].next_steps == (LEFT, RIGHT)


def test_an_if_whose_outcomes_are_its_branches_has_no_other_continuation() -> None:
    document = changed(
        both(
            drop(W, IF, "on_true"),
            drop(W, IF, "on_completion"),
            put(W, IF, "on_success", TRUE),
            put(W, IF, "on_failure", END),
        )
    )
    step = workflow_of(document).steps[IF]

    assert (step.on_true, step.on_false, step.on_success, step.on_failure) == (TRUE, END, None, None)


# -- joins


def _steps(*, left: str, right: str, **more: object) -> dict[str, object]:
    """A parallel without continuation, whose branches lead to the steps given."""
    base = clean()
    base[W][PARALLEL].pop("on_completion")
    base[W][LEFT]["on_completion"] = left
    base[W][RIGHT]["on_completion"] = right
    base[W] |= more
    return base


def test_the_nearest_step_on_all_branches_is_the_join() -> None:
    steps = workflow_of(_steps(left=TRUE, right=IF)).steps

    assert steps[PARALLEL].join is None  # from LEFT a path ends in TRUE_END without reaching the if
    joined = workflow_of(_steps(left=IF, right=IF)).steps[PARALLEL]
    assert (joined.join, joined.on_completion) == (IF, IF)


def test_a_branch_that_may_end_before_has_no_join() -> None:
    document = _steps(left=IF, right=IF)
    document[W][RIGHT] = {"type": "if-condition", "condition": "__count__:value = 1", "on_true": IF}  # type: ignore[index]

    assert workflow_of(_renamed(document, RIGHT, "if-condition")).steps[PARALLEL].join is None


def _renamed(document: dict[str, object], step: str, kind: str) -> dict[str, object]:
    """Give a step the id that its type wants."""
    import json

    return json.loads(json.dumps(document).replace(step, f"{kind}--{step.partition('--')[2]}"))  # type: ignore[no-any-return]


def test_both_ways_of_an_if_without_continuation_lead_to_the_join() -> None:
    document = _steps(left=IF, right=WHILE)
    document[W][IF] = {"type": "if-condition", "condition": "__count__:value = 1", "on_true": TRUE, "on_false": WHILE}  # type: ignore[index]
    document[W][TRUE]["on_completion"] = WHILE  # type: ignore[index]

    assert workflow_of(document).steps[PARALLEL].join == WHILE


def test_end_steps_are_no_join() -> None:
    document = _steps(left=END, right=END)

    assert workflow_of(document).steps[PARALLEL].join is None
    assert "next-missing" in relaxations(imported(document))


# -- variables


def test_a_name_that_nothing_declares_becomes_an_optional_variable_of_the_playbook() -> None:
    document = changed(put(W, RIGHT, "commands", 0, "command", "ping __nowhere__:value"))
    variable = workflow_of(document).variables["__nowhere__"]

    assert (variable.type, variable.external, variable.optional, variable.value) == ("string", True, True, None)


def test_names_are_read_in_conditions_switches_agents_targets_and_log_ons() -> None:
    document = changed(
        both(
            put(W, IF, "condition", "__a__:value = __b__:value"),
            put(W, SWITCH, "switch", "__c__:value"),
            put("agent_definitions", SHELL, "port", "__d__:value"),
            put("target_definitions", SHELL, "address", {"dname": ["__e__:value"]}),
            put("authentication_info_definitions", LOGON, "user_id", "__f__:value"),
            put(W, TRUE, "commands", 0, "headers", {"X": ["__g__:value"]}),
        )
    )

    assert set(workflow_of(document).variables) >= {f"__{letter}__" for letter in "abcdefg"}


def test_names_of_the_engine_need_no_declaration() -> None:
    document = changed(put(W, TRUE, "commands", 0, "content", "__sallyport_failed_step__:value"))

    assert relaxations(imported(document)) == set()


def test_what_a_step_returns_and_others_read_is_also_a_variable_of_the_playbook() -> None:
    workflow = workflow_of(changed(put(W, TRUE, "in_args", ["__own__"])))

    assert workflow.steps[LEFT].promoted == frozenset({"__own__"})
    assert "__own__" in workflow.steps[LEFT].variables
    assert workflow.variables["__own__"].value is None
    assert not workflow.variables["__own__"].external


def test_a_name_declared_again_without_value_is_the_outer_one() -> None:
    step = workflow_of(changed(put(W, LEFT, "step_variables", {"__host__": {"type": "string"}}))).steps[LEFT]

    assert step.variables == {}


def test_a_step_sees_the_variables_of_the_openers_around_it() -> None:
    seen = both(
        put(W, WHILE, "step_variables", {"__round__": {"type": "integer", "value": "1"}}),
        put(W, BODY, "in_args", ["__round__"]),
    )
    unseen = both(seen, put(W, TRUE, "in_args", ["__round__"]))

    assert relaxations(imported(changed(seen))) == set()
    assert relaxations(imported(changed(unseen))) == {"variable-undefined"}


def test_a_constant_of_an_opener_is_not_written_in_its_body() -> None:
    document = changed(
        both(
            put(W, WHILE, "step_variables", {"__round__": {"type": "integer", "value": "1", "constant": True}}),
            put(W, BODY, "out_args", ["__round__"]),
        )
    )

    assert "constant-written" in codes(imported(document))


def test_dollar_names_are_references_where_a_faulty_name_is_declared() -> None:
    document = changed(
        both(
            put("playbook_variables", "$$event$$", {"type": "string"}),
            put(W, RIGHT, "commands", 0, "command", "echo $$event$$ $$other$$"),
        )
    )

    assert relaxations(imported(document)) == {"variable-name"}


def test_values_are_kept_in_the_text_form_of_their_type() -> None:
    document = changed(
        both(
            put("playbook_variables", "__a__", {"type": "bool", "value": "TRUE"}),
            put("playbook_variables", "__b__", {"type": "integer", "value": 7}),
            put("playbook_variables", "__c__", {"type": "dictionary", "value": '{"x": 1}'}),
            put("playbook_variables", "__d__", {"type": "list", "value": [1, "2"]}),
            put("playbook_variables", "__e__", {"type": "string", "value": ""}),
            put("playbook_variables", "__f__", {"type": "integer", "value": "seven"}),
        )
    )
    variables = workflow_of(document).variables

    assert [variables[f"__{letter}__"].value for letter in "abcdef"] == ["true", "7", {"x": 1}, [1, "2"], "", "seven"]


# -- outputs


def test_both_kinds_of_mappings_are_read() -> None:
    assignment = {
        "type": "soarca-assignment",
        "step-result": "__level__",
        "variable": "__host__",
        "expression": {"type": "jq", "expression": '.a["b c"][0]'},
    }
    own = {"type": "sallyport-output", "outputs": {"__count__": {"from": "header:X-Count", "pointer": "/a~1b/0"}}}
    document = changed(put(W, BODY, "step_extensions", {MAPPING: own, "7": assignment}))

    assert workflow_of(document).steps[BODY].outputs == (
        OutputMapping("__count__", "header:X-Count", ("a/b", "0")),
        OutputMapping("__host__", "output", ("a", "b c", 0), variable="__level__"),
    )


@pytest.mark.parametrize(
    ("expression", "path"),
    [
        (".", ()),
        (".a", ("a",)),
        (" .a.b[0] ", ("a", "b", 0)),
        ('.["x y"]', ("x y",)),
        ('.a["\\""]', ("a", '"')),
        (".[3]", (3,)),
        ("a", None),
        ("[0]", None),
        (".a | length", None),
        (".a[]", None),
        (".a[-1]", None),
        ("..", None),
        ("", None),
        (5, None),
    ],
)
def test_jq_is_read_as_far_as_it_is_a_path(expression: object, path: tuple[str | int, ...] | None) -> None:
    assert outputs.jq_path(expression) == path


def test_an_expression_that_is_no_path_is_marked_as_unsupported() -> None:
    assignment = {
        "type": "soarca-assignment",
        "step-result": "__result__",
        "variable": "__host__",
        "expression": {"type": "jq", "expression": ".a | length"},
    }
    mapping = workflow_of(changed(put(W, BODY, "step_extensions", {"x": assignment}))).steps[BODY].outputs[0]

    assert (mapping.supported, mapping.variable) == (False, None)


def test_every_type_of_step_is_there() -> None:
    assert {step.type for step in workflow_of(clean()).steps.values()} == set(StepType) - {StepType.DELAY}
