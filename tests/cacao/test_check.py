"""Each fault that the checker knows, put into a clean playbook, gets its code, and the clean one none (CACAO.md 15)."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from playbooks.cacao import check
from playbooks.cacao.check_findings import SEVERITIES
from playbooks.cacao.types import Catalogue, Finding, OperationInfo, Severity
from playbooks.cacao.vocabularies import CHECK_EXTENSION_ID
from tests.cacao.check_cases import (
    AGENTS,
    DESTRUCTIVE,
    FAULTS,
    FINE,
    HARMLESS,
    LOGONS,
    NEW,
    NEW_END,
    TARGETS,
    WALL,
    Change,
    W,
    command,
    shell,
    variable,
)
from tests.cacao.documents import (
    ASK,
    BODY,
    BODY_END,
    CATALOGUE,
    END,
    HOST,
    IF,
    LEFT,
    LOGON,
    MAPPING,
    PARALLEL,
    RIGHT,
    RIGHT_END,
    SHELL,
    START,
    TRUE,
    TRUE_END,
    WHILE,
    Document,
    both,
    changed,
    clean,
    drop,
    imported,
    put,
)


def checked(document: Document, *, catalogue: Catalogue = CATALOGUE) -> dict[str, Finding]:
    """Return what the checker says of a document, by code; of several the last."""
    result = imported(document, catalogue=catalogue)
    assert result.workflow is not None, [finding.message for finding in result.findings]
    return {finding.code: finding for finding in check.check(result.document, result.workflow, catalogue)}


def codes(change: Change, *, catalogue: Catalogue = CATALOGUE) -> set[str]:
    return set(checked(changed(change), catalogue=catalogue))


def _named(cases: list[tuple[str, Change]]) -> list[object]:
    return [pytest.param(code, change, id=f"{code}-{number}") for number, (code, change) in enumerate(cases)]


def test_a_clean_playbook_has_no_finding() -> None:
    assert checked(clean()) == {}


@pytest.mark.parametrize(("code", "change"), _named(FAULTS))
def test_a_fault_gets_its_code_severity_and_advice(code: str, change: Change) -> None:
    found = checked(changed(change))

    assert code in found
    assert found[code].severity == SEVERITIES[code]
    assert found[code].severity != Severity.ERROR
    assert len(found[code].message) > 40
    assert not found[code].suppressed


@pytest.mark.parametrize(("code", "change"), _named(FINE))
def test_what_only_looks_like_a_fault_is_not_told(code: str, change: Change) -> None:
    assert code not in codes(change)


@pytest.mark.parametrize(("code", "change"), _named(FAULTS))
@pytest.mark.parametrize("level", ["strict", "lenient"])
def test_a_finding_is_in_the_answer_of_an_import_and_refuses_nothing(level: str, code: str, change: Change) -> None:
    result = imported(changed(change), level=level)

    assert code in {finding.code for finding in result.findings}
    errors = {finding.code for finding in result.findings if finding.severity == Severity.ERROR}
    assert errors & check.CODES == set()
    assert result.accepted or level == "strict"


def test_every_code_has_a_fault() -> None:
    assert {code for code, _ in FAULTS} == check.CODES


def test_the_page_lists_every_code_with_its_severity() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "checker.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (\w+) \| ", page, re.MULTILINE))

    assert rows == {code: str(severity) for code, severity in SEVERITIES.items()}


@pytest.mark.parametrize("given", DESTRUCTIVE, ids=lambda given: given["command"][:30])
def test_commands_that_take_something_away_want_a_person_before_them(given: Document) -> None:
    unasked = both(put(W, START, "on_completion", PARALLEL), put(W, RIGHT, "commands", [given]))

    assert "destructive-without-approval" in codes(unasked)
    assert "destructive-without-approval" not in codes(put(W, RIGHT, "commands", [given]))


@pytest.mark.parametrize("given", HARMLESS, ids=lambda given: given["command"][:30])
def test_commands_that_take_nothing_away_want_nobody(given: Document) -> None:
    unasked = both(put(W, START, "on_completion", PARALLEL), put(W, RIGHT, "commands", [given]))

    assert "destructive-without-approval" not in codes(unasked)


def test_what_an_approval_policy_covers_everywhere_wants_nobody_before_it() -> None:
    delete = put(W, TRUE, "commands", 0, "command", "DELETE /true HTTP/1.1")
    unasked = both(put(W, START, "on_completion", PARALLEL), delete)
    covered = replace(CATALOGUE, approved=frozenset({CATALOGUE.command_types["http-api"]}))

    assert "destructive-without-approval" in codes(unasked)
    assert "destructive-without-approval" not in codes(unasked, catalogue=covered)
    other = replace(CATALOGUE, approved=frozenset({"another.operation"}))
    assert "destructive-without-approval" in codes(unasked, catalogue=other)


def test_a_destructive_operation_of_a_connector_counts_whatever_its_text() -> None:
    operation = OperationInfo("fake.ssh", effect="unsafe", destructive=True)
    catalogue = replace(CATALOGUE, operations={"fake.ssh": operation})

    assert "destructive-without-approval" in codes(put(W, START, "on_completion", PARALLEL), catalogue=catalogue)


def test_a_person_who_said_no_has_approved_nothing() -> None:
    wipe = {**clean()[W][TRUE], "commands": [command("DELETE /all HTTP/1.1", "http-api")], "on_completion": NEW_END}
    refused = both(put(W, NEW, wipe), put(W, NEW_END, {"type": "end"}), put(W, ASK, "on_failure", NEW))

    assert "destructive-without-approval" in codes(refused)


def test_a_person_in_one_branch_of_a_decision_does_not_speak_for_the_other() -> None:
    ask = {**clean()[W][ASK], "on_success": TRUE_END}
    del ask["on_failure"]
    wipe = put(W, BODY, "commands", 0, "command", "DELETE /all HTTP/1.1")
    in_a_branch = both(put(W, START, "on_completion", IF), put(W, IF, "on_true", NEW), put(W, NEW, ask), wipe)

    assert "destructive-without-approval" in codes(in_a_branch)
    in_both = both(in_a_branch, put(W, IF, "on_false", NEW))
    assert "destructive-without-approval" not in codes(in_both)


def test_every_branch_of_a_parallel_step_is_run_so_a_person_in_one_is_asked() -> None:
    ask = {**clean()[W][ASK], "on_success": RIGHT_END}
    del ask["on_failure"]
    wipe = put(W, TRUE, "commands", 0, "command", "DELETE /all HTTP/1.1")
    in_a_branch = both(put(W, START, "on_completion", PARALLEL), put(W, RIGHT, ask), wipe)

    assert "destructive-without-approval" not in codes(in_a_branch)


def test_a_value_that_is_missing_only_after_a_failure_is_told_with_that_reason() -> None:
    late = both(variable("__x__"), put(W, TRUE, "out_args", ["__x__"]), put(W, TRUE, "on_completion", NEW))
    late = both(late, put(W, NEW, {**clean()[W][TRUE], "commands": [command("id __x__:value")], "agent": SHELL}))
    late = both(late, put(W, NEW, "targets", [SHELL]))

    assert "When an earlier step fails" in checked(changed(late))["variable-maybe-unset"].message
    sure = both(late, drop(W, TRUE, "on_completion"), put(W, TRUE, "on_success", NEW))
    assert "variable-maybe-unset" not in codes(sure)


def test_a_variable_of_an_opener_is_another_than_the_playbooks_of_the_same_name() -> None:
    own = put(W, PARALLEL, "step_variables", {"__level__": {"type": "string"}})
    read = both(own, shell("id __level__:value"))

    assert checked(changed(read))["variable-maybe-unset"].pointer == f"/workflow/{RIGHT}/commands/0/command"


def test_what_is_bound_to_a_connection_has_address_and_log_on() -> None:
    unbound = both(drop(AGENTS, SHELL, "authentication_info"))
    bound = replace(CATALOGUE, connections=frozenset({"Host"}))

    assert "auth-missing" in codes(unbound)
    assert "auth-missing" not in codes(unbound, catalogue=bound)


def test_where_nobody_knows_the_connections_a_security_system_is_not_called_unbound() -> None:
    wall = {"type": "security-category", "name": "Wall", "category": ["firewall"]}
    change = both(put(TARGETS, WALL, wall), put(W, TRUE, "targets", [WALL]))

    assert "target-missing" in codes(change)
    assert "target-missing" not in codes(change, catalogue=replace(CATALOGUE, connections=frozenset({"Wall"})))
    assert "target-missing" not in codes(change, catalogue=replace(CATALOGUE, connections=None))


def test_what_is_computed_from_a_secret_is_one() -> None:
    assign = {
        "type": "soarca-assignment",
        "step-result": "__password__",
        "variable": "__copy__",
        "expression": {"type": "jq", "expression": "."},
    }
    copied = both(variable("__copy__", value=""), put(W, BODY, "step_extensions", {MAPPING: assign}))
    copied = both(copied, shell("echo __copy__:value"))

    assert "secret-to-log" in codes(copied)


def test_a_secret_that_no_log_on_names_goes_to_one_system() -> None:
    second = put(TARGETS, WALL, {"type": "http-api", "name": "Other", "address": {"dname": ["other.example.org"]}})
    header = {"X-Token": ["__my_token__:value"]}
    change = both(
        variable("__my_token__", external=True),
        second,
        put(W, TRUE, "commands", 0, "headers", header),
        put(W, BODY, "commands", 0, "headers", header),
    )

    assert "secret-to-other-target" not in codes(change)
    assert "secret-to-other-target" in codes(both(change, put(W, BODY, "targets", [WALL])))


@pytest.mark.parametrize(
    "change",
    [
        put(LOGONS, LOGON, "password", "tiger-lily-7"),
        variable("__api_key__", value="tiger-lily-7"),
        put(W, TRUE, "commands", 0, "headers", {"Authorization": ["Bearer tiger-lily-7"]}),
        shell("mysqldump --password=tiger-lily-7 all"),
        put(AGENTS, HOST, "address", {"url": ["https://bob:tiger-lily-7@inventory.example.org/"]}),
    ],
)
def test_no_finding_repeats_a_secret(change: Change) -> None:
    findings = imported(changed(change)).findings

    assert "secret-in-document" in {finding.code for finding in findings}
    assert "tiger-lily-7" not in repr(findings)


def test_an_unwritten_join_and_a_loop_led_back_to_are_ends_of_branches() -> None:
    into = both(put(W, LEFT, "on_completion", IF), put(W, RIGHT, "on_completion", IF))
    joined = both(into, drop(W, PARALLEL, "on_completion"))
    back = put(W, BODY, "on_completion", WHILE)

    assert codes(joined) - {"step-unreachable"} == set()
    assert codes(back) == {"step-unreachable"}  # the end steps that the branches had
    assert BODY_END in checked(changed(back))["step-unreachable"].pointer


# -- silencing


def silence(*names: str) -> Document:
    return {CHECK_EXTENSION_ID: {"type": "sallyport-check", "ignore": list(names)}}


def test_a_silenced_finding_is_listed_and_marked() -> None:
    fault = put(W, RIGHT, "timeout", 8 * 86_400_000)
    in_step = both(fault, put(W, RIGHT, "step_extensions", silence("timeout-over-ceiling")))
    in_playbook = both(fault, put("playbook_extensions", silence("timeout-over-ceiling")))

    for change in (in_step, in_playbook):
        assert checked(changed(change))["timeout-over-ceiling"].suppressed
        assert {finding.code for finding in imported(changed(change)).findings} == {"timeout-over-ceiling"}


def test_silence_reaches_neither_other_codes_nor_other_steps() -> None:
    fault = put(W, RIGHT, "timeout", 8 * 86_400_000)

    for change in (
        both(fault, put(W, RIGHT, "step_extensions", silence("step-shared"))),
        both(fault, put(W, LEFT, "step_extensions", silence("timeout-over-ceiling"))),
    ):
        assert not checked(changed(change))["timeout-over-ceiling"].suppressed


@pytest.mark.parametrize("ignore", [None, "timeout-over-ceiling", {"a": 1}, [1, None, ["x"]]])
def test_silence_that_is_no_list_of_codes_silences_nothing(ignore: object) -> None:
    extension = {CHECK_EXTENSION_ID: {"type": "sallyport-check", "ignore": ignore}}
    change = both(put(W, RIGHT, "timeout", 8 * 86_400_000), put("playbook_extensions", extension))

    assert not checked(changed(change))["timeout-over-ceiling"].suppressed


# -- size


def long(count: int) -> Document:
    """Return a playbook of one path with many steps, each of which has something to be looked at."""
    document = clean()
    steps: Document = {START: {"type": "start", "on_completion": _step(1)}}
    for number in range(1, count - 1):
        steps[_step(number)] = {
            **clean()[W][RIGHT],
            "commands": [command("echo $(id __host__:value) '__count__:value'")],
            "out_args": ["__level__"],
            "on_completion": _step(number + 1) if number < count - 2 else END,
        }
    document[W] = steps | {END: {"type": "end"}}
    return document


def _step(number: int) -> str:
    return f"action--{number:08x}-0000-4000-8000-000000000000"


def nested(count: int) -> Document:
    """Return a playbook whose loops stand inside each other."""
    document = clean()
    steps: Document = {START: {"type": "start", "on_completion": _loop(0)}, END: {"type": "end"}}
    for number in range(count):
        inner = _loop(number + 1) if number < count - 1 else BODY
        steps[_loop(number)] = {**clean()[W][WHILE], "on_true": inner, "on_completion": f"{END[:-4]}{number:04x}"}
        steps[f"{END[:-4]}{number:04x}"] = {"type": "end"}
    document[W] = {**steps, BODY: clean()[W][BODY], BODY_END: {"type": "end"}}
    return document


def _loop(number: int) -> str:
    return f"while-condition--{number:08x}-0000-4000-8000-000000000000"


def bursting(count: int) -> Document:
    """Return a playbook in which both branches of each decision lead to the next: more paths than atoms."""
    document = clean()
    key = "if-condition--{:08x}-0000-4000-8000-000000000000".format
    steps: Document = {START: {"type": "start", "on_completion": key(0)}}
    steps |= {TRUE: clean()[W][TRUE], TRUE_END: {"type": "end"}}
    for number in range(count):
        following = key(number + 1) if number < count - 1 else TRUE
        steps[key(number)] = {**clean()[W][IF], "on_true": following, "on_false": following, "on_completion": END}
    document[W] = {**steps, END: {"type": "end"}}
    return document


@pytest.mark.parametrize(
    ("document", "most"),
    [(long(500), 1.0), (nested(240), 1.0), (bursting(490), 1.5), (long(3000), 10.0), (nested(2400), 10.0)],
    ids=["long-500", "nested-240", "bursting-490", "long-3000", "nested-2400"],
)
def test_large_playbooks_are_checked_in_time(document: Document, most: float) -> None:
    result = imported(document)
    assert result.workflow is not None
    started = time.process_time()
    found = check.check(result.document, result.workflow, CATALOGUE)

    assert time.process_time() - started < most
    assert found


def test_a_playbook_with_too_many_paths_says_so() -> None:
    found = checked(bursting(490))

    assert found["findings-omitted"].severity == Severity.NOTE
    assert "step-shared" in found


def test_of_each_code_a_thousand_are_listed() -> None:
    result = imported(long(1200))
    assert result.workflow is not None
    found = check.check(result.document, result.workflow, CATALOGUE)

    assert sum(finding.code == "injection-risk" for finding in found) == 1_000
    assert "findings-omitted" in {finding.code for finding in found}


def test_a_workflow_of_another_dialect_is_left_alone() -> None:
    result = imported(clean())
    assert result.workflow is not None

    assert check.check({"steps": []}, replace(result.workflow, dialect="s4e"), CATALOGUE) == []


def test_findings_are_plain_values() -> None:
    told = [finding.__dict__ for finding in checked(changed(FAULTS[0][1])).values()]

    assert json.loads(json.dumps(told)) == told
