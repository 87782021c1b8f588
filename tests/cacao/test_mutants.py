"""Each fault put into a clean playbook gets its code, and the clean one gets none (CACAO.md 13)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from playbooks.cacao.findings import REFUSED, RELAXED
from tests.cacao.documents import (
    ABSENT,
    ASK,
    BODY,
    BODY_END,
    CATALOGUE,
    CHILD,
    END,
    HIGH,
    HOST,
    IF,
    LEFT,
    LEFT_END,
    LOGON,
    MAPPING,
    MARKING,
    PARALLEL,
    PERSON,
    RIGHT,
    RIGHT_END,
    SELF,
    SHELL,
    START,
    SWITCH,
    TRUE,
    TRUE_END,
    WHILE,
    Document,
    both,
    changed,
    clean,
    codes,
    drop,
    errors,
    imported,
    put,
    relaxations,
)

Change = Callable[[Document], object]

W = "workflow"
AGENTS = "agent_definitions"
TARGETS = "target_definitions"
LOGONS = "authentication_info_definitions"
VARIABLES = "playbook_variables"
CATEGORY = "security-category--00000000-0000-4000-8000-000000000105"
EXTENSION = "extension-definition--00000000-0000-4000-8000-000000000301"


def rename(old: str, new: str) -> Change:
    """Give a step another id, in its key and wherever it is named."""

    def renamed(value: object) -> object:
        if isinstance(value, dict):
            return {new if key == old else key: renamed(item) for key, item in value.items()}
        if isinstance(value, list):
            return [renamed(item) for item in value]
        return new if value == old else value

    def change(document: Document) -> None:
        workflow = renamed(document[W])
        document[W] = workflow
        for name in ("workflow_start", "workflow_exception"):
            document[name] = renamed(document[name])

    return change


def shell_command(text: str) -> Change:
    return put(W, RIGHT, "commands", 0, "command", text)


#: code -> faults that are refused with it at both levels
REFUSALS: list[tuple[str, Change]] = [
    ("playbook-type", put("type", "bundle")),
    ("playbook-type", drop("type")),
    ("spec-version", put("spec_version", "cacao-1.1")),
    ("spec-version", put("spec_version", 2)),
    ("spec-version", drop("spec_version")),
    ("id-missing", drop("id")),
    ("id-missing", put("id", "workflow--00000000-0000-4000-8000-000000000001")),
    ("workflow-invalid", drop(W)),
    ("workflow-invalid", put(W, {})),
    ("workflow-invalid", put(W, [])),
    ("workflow-invalid", put(W, END, "end")),
    ("start-unresolved", drop("workflow_start")),
    ("start-unresolved", put("workflow_start", ABSENT)),
    ("start-unresolved", put("workflow_start", [START])),
    ("start-without-next", drop(W, START, "on_completion")),
    ("step-type-unknown", put(W, END, "type", "teleport")),
    ("step-type-unknown", drop(W, END, "type")),
    ("step-type-unknown", put(W, END, "type", "delay")),
    ("command-type-unknown", put(W, RIGHT, "commands", 0, "type", "telnet")),
    ("command-type-unknown", drop(W, RIGHT, "commands", 0, "type")),
    ("step-unresolved", put(W, TRUE, "on_completion", ABSENT)),
    ("step-unresolved", put(W, ASK, "on_failure", ABSENT)),
    ("step-unresolved", put(W, IF, "on_false", ABSENT)),
    ("step-unresolved", put(W, SWITCH, "cases", "high", ABSENT)),
    ("step-unresolved", put(W, PARALLEL, "next_steps", 0, ABSENT)),
    ("agent-unresolved", put(W, RIGHT, "agent", PERSON.replace("103", "1ff"))),
    ("target-unresolved", put(W, RIGHT, "targets", [SHELL, PERSON])),
    ("auth-unresolved", put(TARGETS, SHELL, "authentication_info", LOGON.replace("104", "1ff"))),
    ("branches-none", drop(W, PARALLEL, "next_steps")),
    ("branches-none", put(W, PARALLEL, "next_steps", [])),
    ("branches-none", put(W, PARALLEL, "next_steps", None)),
    ("branches-none", put(W, SWITCH, "cases", {})),
    ("branches-none", drop(W, SWITCH, "cases")),
    ("branches-none", drop(W, WHILE, "on_true")),
    ("branches-none", drop(W, IF, "on_true")),
    ("cycle-without-while", put(W, TRUE, "on_completion", TRUE)),
    ("cycle-without-while", put(W, TRUE, "on_completion", IF)),
    ("cycle-without-while", put(W, SWITCH, "on_completion", ASK)),
    ("cycle-without-while", put(W, WHILE, "on_true", WHILE)),
    ("cycle-without-while", put(W, WHILE, "on_completion", WHILE)),
    ("cycle-without-while", put(W, BODY, "on_completion", IF)),
    ("constant-written", put(W, ASK, "out_args", ["__fixed__"])),
    ("constant-written", put(W, BODY, "step_extensions", MAPPING, "outputs", {"__fixed__": {}})),
    ("variable-reserved", put(VARIABLES, "__sallyport_mine__", {"type": "string"})),
    ("variable-reserved", put(W, ASK, "out_args", ["__sallyport_failed_step__"])),
    ("playbook-recursion", put(W, HIGH, "playbook_id", SELF)),
    ("property-type", put(VARIABLES, ["__x__"])),
    ("property-type", put(VARIABLES, "__host__", "text")),
    ("property-type", put(VARIABLES, "__host__", "external", "yes")),
    ("property-type", put(W, RIGHT, "delay", -1)),
    ("property-type", put(W, RIGHT, "timeout", "10")),
    ("property-type", put(W, RIGHT, "timeout", True)),
    ("property-type", put(W, RIGHT, "delay", 1.5)),
    ("property-type", put(W, RIGHT, "delay", 10**30)),
    ("property-type", put(W, TRUE, "on_completion", [END, LEFT_END])),
    ("property-type", put(W, TRUE, "on_completion", 7)),
    ("property-type", put(W, RIGHT, "commands", "uptime")),
    ("property-type", put(W, RIGHT, "commands", ["uptime"])),
    ("property-type", shell_command(5)),  # type: ignore[arg-type]
    ("property-type", put(W, LEFT, "commands", 0, "headers", {"Accept": "text/html"})),
    ("property-type", put(W, RIGHT, "targets", SHELL)),
    ("property-type", put(W, RIGHT, "agent", 5)),
    ("property-type", put(W, IF, "condition", {"a": 1})),
    ("property-type", put(W, SWITCH, "switch", True)),
    ("property-type", put(W, ASK, "out_args", "__level__")),
    ("property-type", put(W, HIGH, "playbook_id", 5)),
    ("property-type", put(AGENTS, [])),
    ("property-type", put(AGENTS, SHELL, "port", 22)),
    ("property-type", put(AGENTS, SHELL, "address", "192.0.2.7")),
    ("property-type", put(LOGONS, LOGON, "password", 5)),
    ("property-type", put("revoked", "no")),
    ("property-type", put("workflow_exception", 5)),
]

#: code -> faults that are an error at strict level and a warning at lenient level, and nothing else beside it
FAULTS: list[tuple[str, Change]] = [
    ("schema", put("priority", 101)),
    ("schema", put("labels", "one")),
    ("schema", put("created", "yesterday")),
    ("schema", put("valid_from", "2026-02-31T00:00:00.000Z")),
    ("schema", put("name", 5)),
    ("schema", put("signatures", [{"type": "jss"}])),
    ("schema", put("external_references", [{"url": "https://example.org/"}])),
    ("schema", put(W, END, "name", 5)),
    ("schema", put(W, ASK, "on_failure", None)),
    ("schema", drop(W, HIGH, "playbook_id")),
    ("schema", drop(VARIABLES, "__host__", "type")),
    ("schema", drop(AGENTS, SHELL, "name")),
    ("schema", drop(AGENTS, SHELL, "type")),
    ("schema", put(AGENTS, SHELL, "location", {"region": "atlantis"})),
    ("schema", put(LOGONS, LOGON.replace("http-basic", "oauth2"), {"type": "oauth2", "token": "t"})),
    ("required-missing", drop("name")),
    ("required-missing", drop("created_by")),
    ("required-missing", drop("created")),
    ("required-missing", drop("modified")),
    ("identifier-format", put("id", "playbook--1")),
    ("identifier-format", put("created_by", "somebody")),
    ("identifier-format", rename(TRUE, "action--isolate")),
    ("identifier-format", put(W, END, "owner", "me")),
    ("identifier-format", put("derived_from", ["playbook--old"])),
    ("identifier-format", put(AGENTS, "ssh", {"type": "ssh", "name": "Odd", "address": {"ipv4": ["192.0.2.1"]}})),
    ("identifier-prefix", rename(TRUE, TRUE.replace("action", "step"))),
    ("identifier-prefix", put(AGENTS, SHELL, "type", "linux")),
    ("identifier-prefix", put(LOGONS, LOGON, "type", "user-auth")),
    ("time-order", put("modified", "2025-12-31T00:00:00.000Z")),
    ("time-order", put("valid_until", "2026-01-01T00:00:00.000000000Z")),
    ("empty-collection", put("labels", [])),
    ("empty-collection", put(AGENTS, SHELL, "location", {})),
    ("empty-collection", put(AGENTS, PERSON, "contact", {})),
    ("empty-collection", put(W, TRUE, "targets", [])),
    ("empty-collection", put(W, END, "step_variables", {})),
    ("empty-collection", put("extension_definitions", {})),
    ("start-type", put("workflow_start", ASK)),
    ("exception-unresolved", put("workflow_exception", ABSENT)),
    ("next-missing", drop(W, TRUE, "on_completion")),
    ("next-missing", drop(W, SWITCH, "on_completion")),
    ("next-missing", drop(W, PARALLEL, "on_completion")),
    ("next-conflict", put(W, ASK, "on_completion", PARALLEL)),
    ("next-on-start", both(put(W, START, "on_success", ASK), drop(W, START, "on_completion"))),
    ("next-on-start", put(W, START, "on_failure", END)),
    ("next-on-end", put(W, END, "on_completion", LEFT_END)),
    ("shared-end", put(W, RIGHT, "on_completion", LEFT_END)),
    ("shared-end", put(W, IF, "on_false", END)),
    ("loop-back", put(W, BODY, "on_completion", WHILE)),
    ("while-on-false", put(W, WHILE, "on_false", BODY_END)),
    ("while-on-false", both(drop(W, WHILE, "on_completion"), put(W, WHILE, "on_false", SWITCH))),
    ("branches-too-few", put(W, PARALLEL, "next_steps", [LEFT])),
    ("branches-duplicate", put(W, PARALLEL, "next_steps", [LEFT, RIGHT, LEFT])),
    ("branch-as-list", put(W, IF, "on_true", [TRUE])),
    ("branch-as-list", put(W, SWITCH, "cases", "high", [HIGH])),
    ("branch-as-list", put(W, TRUE, "on_completion", [TRUE_END])),
    ("condition-missing", drop(W, IF, "condition")),
    ("condition-missing", put(W, WHILE, "condition", " ")),
    ("condition-prose", put(W, IF, "condition", "Is it bad?")),
    ("condition-lenient", put(W, IF, "condition", "__level__ == 'high'")),
    ("switch-missing", drop(W, SWITCH, "switch")),
    ("switch-missing", put(W, SWITCH, "switch", "how bad is it")),
    ("switch-lenient", put(W, SWITCH, "switch", "__level__")),
    ("switch-lenient", put(W, SWITCH, "switch", "level")),
    ("commands-missing", drop(W, TRUE, "commands")),
    ("command-incomplete", drop(W, RIGHT, "commands", 0, "command")),
    ("command-incomplete", shell_command("")),
    ("command-incomplete", put(W, RIGHT, "commands", 0, {"type": "ssh", "command_b64": "!!!"})),
    ("command-incomplete", put(W, TRUE, "commands", 0, "command", "Ask the server nicely")),
    ("command-incomplete", put(W, TRUE, "commands", 0, {"type": "openc2-http", "command": "POST / HTTP/1.1"})),
    ("command-type-alias", put(W, RIGHT, "commands", 0, {"type": "attack-cmd", "command": "id: 1"})),
    ("start-line", put(W, TRUE, "commands", 0, "command", "GET /true")),
    ("start-line", put(W, TRUE, "commands", 0, "command", "GET true HTTP/1.1")),
    ("start-line", put(W, TRUE, "commands", 0, "command", "GET /true HTTP1.1")),
    ("start-line", put(W, TRUE, "commands", 0, "command", "get /true HTTP/1.1")),
    ("agent-missing", drop(W, TRUE, "agent")),
    ("address-missing", drop(AGENTS, SHELL, "address")),
    ("address-format", put(AGENTS, SHELL, "address", {"ipv4": ["192.0.2"]})),
    ("address-format", put(AGENTS, SHELL, "address", {"vlan": [4096]})),
    ("address-format", put(AGENTS, SHELL, "address", {"url": ["localhost"]})),
    ("category-missing", put(TARGETS, CATEGORY, {"type": "security-category", "name": "Wall"})),
    ("contact-format", put(AGENTS, PERSON, "contact", "email", "work", "analyst@example.org; rm -rf /")),
    ("variable-name", put(VARIABLES, "__a.b__", {"type": "string"})),
    ("variable-name", put(VARIABLES, "$$event$$", {"type": "string"})),
    ("variable-name", put(VARIABLES, f"__{'x' * 247}__", {"type": "string"})),
    ("variable-value", put(VARIABLES, "__count__", "value", 2)),
    ("variable-value", put(VARIABLES, "__count__", "value", [1])),
    ("variable-redeclared", put(W, LEFT, "step_variables", {"__host__": {"type": "string"}})),
    ("variable-promoted", put(W, TRUE, "in_args", ["__own__"])),
    ("variable-undefined", shell_command("ping __nowhere__:value")),
    ("variable-undefined", put(W, ASK, "out_args", ["__nowhere__"])),
]

#: code -> what is told of at both levels and refuses nothing
WARNINGS: list[tuple[str, Change]] = [
    ("timestamp-precision", put("created", "2026-01-01T00:00:00.000000001Z")),
    ("identifier-version", rename(TRUE, "action--00000000-0000-1000-8000-000000000009")),
    ("vocabulary", put("playbook_types", ["investigation", "juggling"])),
    ("vocabulary", put("industry_sectors", ["juggling"])),
    ("vocabulary", put(AGENTS, SHELL, "category", ["juggling"])),
    ("property-unknown", put("colour", "red")),
    ("property-unknown", put(W, TRUE, "condition", "x")),
    ("property-unknown", put(W, RIGHT, "commands", 0, "content", "x")),
    ("property-unknown", put(AGENTS, PERSON, "address", {})),
    ("property-unknown", put(VARIABLES, "__host__", "default", "x")),
    ("activities-missing", drop("playbook_activities")),
    ("activities-missing", put(W, RIGHT, "commands", 0, "playbook_activity", "revert-system")),
    ("activity-unused", put("playbook_activities", ["scan-system", "revert-system"])),
    ("summary-mismatch", put("playbook_processing_summary", {"manual_playbook": True})),
    ("summary-mismatch", put("playbook_processing_summary", {"while_logic": True})),
    ("external-reference-thin", put("external_references", [{"name": "Bare"}])),
    ("agent-type-unknown", put(AGENTS, "robot--00000000-0000-4000-8000-000000000106", {"type": "robot", "name": "R"})),
    (
        "target-type-unknown",
        put(TARGETS, "robot--00000000-0000-4000-8000-000000000106", {"type": "robot", "name": "R"}),
    ),
    ("auth-type-unknown", put(LOGONS, "private-key--00000000-0000-4000-8000-000000000107", {"type": "private-key"})),
    ("variable-type-unknown", put(VARIABLES, "__host__", "type", "boolean")),
    ("variable-value-type", put(VARIABLES, "__count__", "value", "two")),
    ("external-in-step", put(W, LEFT, "step_variables", "__own__", "external", True)),
    ("extension-key", put("playbook_extensions", {"7": {"type": "x"}})),
    ("extension-undefined", put("playbook_extensions", {EXTENSION: {"type": "x"}})),
    (
        "extension-unused",
        put(
            "extension_definitions",
            {
                EXTENSION: {
                    "type": "extension-definition",
                    "name": "x",
                    "created_by": START.replace("start", "identity"),
                    "schema": "x",
                    "version": "1",
                }
            },
        ),
    ),
    ("marking-undefined", put("markings", [MARKING.replace("bab4", "0ab4")])),
    ("reference-without-value", shell_command("ping __host__")),
    ("playbook-unknown", put(W, HIGH, "playbook_id", CHILD.replace("2f0b", "2f0c"))),
    ("revoked", put("revoked", True)),
    ("outside-validity", put("valid_until", "2026-02-01T00:00:00.000Z")),
    ("outside-validity", put("valid_from", "2026-04-01T00:00:00.000Z")),
    ("command-both-forms", put(W, RIGHT, "commands", 0, "command_b64", "bHM=")),
    ("kms-secret-ignored", put(LOGONS, LOGON, "kms", True)),
]


def _named(cases: list[tuple[str, Change]]) -> list[object]:
    return [pytest.param(code, change, id=f"{code}-{number}") for number, (code, change) in enumerate(cases)]


@pytest.mark.parametrize("level", ["strict", "lenient"])
def test_a_clean_playbook_has_no_finding(level: str) -> None:
    result = imported(clean(), level=level)

    assert result.findings == ()
    assert (result.accepted, result.strict) == (True, True)


@pytest.mark.parametrize(("code", "change"), _named(REFUSALS))
@pytest.mark.parametrize("level", ["strict", "lenient"])
def test_what_cannot_be_read_is_refused_at_both_levels(code: str, change: Change, level: str) -> None:
    result = imported(changed(change), level=level)

    assert not result.accepted
    assert result.workflow is None
    assert code in errors(result)
    assert errors(result) <= REFUSED | RELAXED


@pytest.mark.parametrize(("code", "change"), _named(FAULTS))
def test_a_fault_is_an_error_at_strict_level_and_relaxed_at_lenient_level(code: str, change: Change) -> None:
    strict, lenient = imported(changed(change), level="strict"), imported(changed(change), level="lenient")

    assert not strict.accepted
    assert code in errors(strict)
    assert lenient.accepted, [finding.message for finding in lenient.findings]
    assert not lenient.strict
    assert relaxations(lenient) == errors(strict)
    assert code in relaxations(lenient)
    assert all(finding.relaxed for finding in lenient.findings if finding.code in RELAXED)


@pytest.mark.parametrize(("code", "change"), _named([case for case in FAULTS if case[0] not in ("schema",)]))
def test_a_fault_that_has_a_name_is_not_reported_as_schema_too(code: str, change: Change) -> None:
    assert "schema" not in codes(imported(changed(change)))


@pytest.mark.parametrize(("code", "change"), _named(WARNINGS))
@pytest.mark.parametrize("level", ["strict", "lenient"])
def test_what_is_odd_is_told_and_refuses_nothing(code: str, change: Change, level: str) -> None:
    result = imported(changed(change), level=level)

    assert code in codes(result)
    assert result.accepted, errors(result)
    assert result.strict


def test_a_connector_that_is_not_installed_is_told() -> None:
    bare = replace(CATALOGUE, command_types={"http-api": "http.request"})

    result = imported(clean(), catalogue=bare)

    assert codes(result) == {"connector-missing"}
    assert result.accepted


def test_a_chain_of_stored_playbooks_that_leads_back_is_refused() -> None:
    other = CHILD.replace("2f0b", "2f0d")
    catalogue = replace(CATALOGUE, children={CHILD: frozenset({other}), other: frozenset({SELF, CHILD})})

    assert errors(imported(clean(), catalogue=catalogue)) == {"playbook-recursion"}


def test_branches_that_meet_in_one_step_are_joined() -> None:
    change = both(
        drop(W, PARALLEL, "on_completion"), put(W, LEFT, "on_completion", IF), put(W, RIGHT, "on_completion", IF)
    )

    assert relaxations(imported(changed(change))) >= {"join-missing"}
    assert "next-missing" not in relaxations(imported(changed(change)))


def test_an_if_whose_outcomes_are_its_branches_is_read_so() -> None:
    change = both(drop(W, IF, "on_true"), drop(W, IF, "on_completion"), put(W, IF, "on_success", TRUE))

    assert relaxations(imported(changed(change))) == {"if-outcome-branches"}


def test_a_playbook_without_action_or_end_is_told() -> None:
    document = changed(put(W, {START: {"type": "start", "on_completion": IF}, IF: clean()[W][IF]}))
    document[W][IF] |= {"on_true": PARALLEL, "on_completion": PARALLEL}
    document[W][PARALLEL] = {"type": "switch-condition", "switch": "__level__:value", "cases": {"x": END}}
    document[W][END] = {"type": "end"}
    without_end = changed(put(W, {START: {"type": "start", "on_completion": TRUE}, TRUE: clean()[W][TRUE]}))
    del without_end[W][TRUE]["on_completion"]
    del without_end["workflow_exception"]

    assert "action-missing" in relaxations(imported(document))
    assert relaxations(imported(without_end)) == {"end-missing", "next-missing"}


def test_every_code_of_the_import_has_a_test() -> None:
    tested = {code for code, _ in (*REFUSALS, *FAULTS)}
    elsewhere = {"json-invalid", "document-too-large", "join-missing", "if-outcome-branches", "action-missing"}

    # A conflict with a stored version is found where the versions are stored.
    assert tested | elsewhere | {"end-missing", "version-conflict"} == REFUSED | RELAXED


def test_end_steps_of_their_own_are_not_shared() -> None:
    assert "shared-end" not in codes(imported(changed(put(W, RIGHT, "on_completion", RIGHT_END))))


def test_an_agent_is_looked_up_among_agents_only() -> None:
    only_target = "http-api--00000000-0000-4000-8000-000000000110"
    change = both(put(TARGETS, only_target, clean()[TARGETS][HOST]), put(W, TRUE, "agent", only_target))

    assert errors(imported(changed(change))) == {"agent-unresolved"}
