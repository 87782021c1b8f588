"""What becomes of an answer, and whose answer it may be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts.models import Tenant
from accounts.services import create_user
from core.actors import Actor, ActorKind
from manual import services
from manual.models import ManualRequest
from manual.services import CHOICE, MAX_VALUE, VERDICT, Answer, NotYours, RequestAlreadyOpen, RequestGone, ValueRefused
from playbooks.cacao.values import convert
from tests.manual.asking import NOON, RESPONDER, actor, ask

YES = Answer(success=True, values={"__decision__": "allow"})


def give(request: ManualRequest, answer: Answer = YES, by: Actor = RESPONDER) -> ManualRequest:
    checked = services.check_values(request=request, answer=answer, convert=convert)
    return services.answer(request=request, answer=checked, actor=by, now=NOON)


def ahead(**span: int) -> datetime:
    return datetime.now(UTC) + timedelta(**span)


def test_an_answer_is_stored_with_who_gave_it_and_when(request_waiting: ManualRequest) -> None:
    answered = give(request_waiting)

    assert answered.status == "answered"
    assert answered.answer == {"status": "success", "values": {"__decision__": "allow"}, "comment": ""}
    assert (answered.answered_by, answered.answered_at) == ("ada@example.org", NOON)


def test_whoever_comes_second_is_told_who_was_first(request_waiting: ManualRequest) -> None:
    give(request_waiting)

    with pytest.raises(RequestGone, match=r"answered by ada@example\.org at 2026-03-04T12:00:00Z"):
        give(request_waiting, Answer(success=False), by=actor("manual:respond", name="bob@example.org"))

    request_waiting.refresh_from_db()
    assert request_waiting.answer is not None
    assert request_waiting.answer["status"] == "success"


def test_an_answer_after_the_deadline_is_refused_before_any_sweep(tenant: Tenant) -> None:
    late = ask(tenant, deadline_at=ahead(seconds=-1))

    with pytest.raises(RequestGone, match="time to answer is over"):
        give(late)


def test_an_answer_before_the_deadline_counts(tenant: Tenant) -> None:
    assert give(ask(tenant, deadline_at=ahead(minutes=5))).status == "answered"


def test_an_answer_to_a_stopped_step_is_refused(request_waiting: ManualRequest) -> None:
    assert services.cancel_for_step_runs(step_run_ids=[request_waiting.step_run_id]) == 1

    with pytest.raises(RequestGone, match="stopped"):
        give(request_waiting)


def test_a_step_run_asks_one_question_at_a_time(tenant: Tenant) -> None:
    first = ask(tenant)

    with pytest.raises(RequestAlreadyOpen):
        ask(tenant, step_run=first.step_run)

    give(first)
    assert ask(tenant, step_run=first.step_run).status == "open"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(success=True), "__decision__ is missing"),
        (Answer(success=True, values={"__decision__": "a", "__other__": "b"}), "__other__ is not asked for"),
        (Answer(success=False, values={"__other__": "b"}), "__other__ is not asked for"),
        (Answer(success=True, values={"__decision__": None}), "__decision__ has no value"),
        (Answer(success=True, values={"__decision__": {}}), "__decision__"),
        (Answer(success=True, values={"__decision__": "x" * (MAX_VALUE + 1)}), "longer than"),
        (Answer(success=False, comment="x" * 2001), "comment is longer"),
    ],
)
def test_an_answer_that_does_not_fit_the_form_leaves_the_request_open(
    request_waiting: ManualRequest, answer: Answer, told: str
) -> None:
    with pytest.raises(ValueRefused, match=told):
        give(request_waiting, answer)

    request_waiting.refresh_from_db()
    assert request_waiting.status == "open"


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("integer", "5x"), ("integer", []), ("integer", {}), ("integer", True), ("integer", 5.5),
        ("bool", "yes"), ("bool", 1),
        ("ipv4-addr", "1.2.3"), ("ipv4-addr", "1.2.3.4; id"), ("ipv4-addr", "1.2.3.4 5"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_refused(tenant: Tenant, type_: str, value: Any) -> None:
    asked = ask(tenant, out_args={"__x__": {"type": type_, "name": "__x__"}})

    with pytest.raises(ValueRefused, match="__x__"):
        give(asked, Answer(success=True, values={"__x__": value}))


@pytest.mark.parametrize(
    ("type_", "value", "stored"),
    [("integer", "+07", "7"), ("integer", 5, "5"), ("bool", "TRUE", "true"), ("bool", False, "false")],
)
def test_a_value_is_stored_in_the_form_of_its_type(tenant: Tenant, type_: str, value: Any, stored: str) -> None:
    asked = ask(tenant, out_args={"__x__": {"type": type_, "name": "__x__"}})

    answered = give(asked, Answer(success=True, values={"__x__": value}))

    assert answered.answer is not None
    assert answered.answer["values"] == {"__x__": stored}


def test_a_failure_needs_no_values_and_takes_null_for_none(request_waiting: ManualRequest) -> None:
    answered = give(request_waiting, Answer(success=False, values={"__decision__": None}, comment="no key"))

    assert answered.answer == {"status": "failure", "values": {}, "comment": "no key"}


def test_a_decision_is_answered_by_its_one_field(tenant: Tenant) -> None:
    asked = ask(tenant, kind="decision", text="Is the host isolated?", out_args={})

    assert asked.out_args[VERDICT]["description"] == "Is the host isolated?"
    assert services.verdict_of(give(asked, Answer(success=True, values={VERDICT: "TRUE"}))) is True


def test_a_decision_that_failed_has_no_verdict(tenant: Tenant) -> None:
    asked = ask(tenant, kind="decision", out_args={})

    assert services.verdict_of(give(asked, Answer(success=False))) is None


def test_a_choice_takes_one_of_its_keys_and_nothing_else(tenant: Tenant) -> None:
    asked = ask(tenant, kind="choice", choices=["high", "low"], out_args={})

    with pytest.raises(ValueRefused, match="none of: high, low"):
        give(asked, Answer(success=True, values={CHOICE: "middle"}))
    assert services.verdict_of(give(asked, Answer(success=True, values={CHOICE: "low"}))) == "low"


def test_an_answer_needs_the_permission(request_waiting: ManualRequest) -> None:
    with pytest.raises(NotYours, match="manual:respond"):
        give(request_waiting, by=actor("manual:read"))


def test_an_approval_needs_its_own_permission(tenant: Tenant) -> None:
    asked = ask(tenant, kind="approval", out_args={})

    with pytest.raises(NotYours, match="approvals:decide"):
        give(asked, Answer(success=True), by=RESPONDER)
    assert give(asked, Answer(success=True), by=actor("approvals:decide")).status == "answered"


def test_a_question_put_to_a_role_is_answered_by_that_role_only(tenant: Tenant) -> None:
    asked = ask(tenant, approvers=["soc_lead"])

    with pytest.raises(NotYours, match="other people"):
        give(asked, by=actor("manual:respond", roles=("viewer",)))
    assert give(asked, by=actor("manual:respond", roles=("soc_lead",))).status == "answered"


def test_a_question_put_to_a_person_is_answered_through_their_key_but_not_by_a_key_of_that_name(tenant: Tenant) -> None:
    person = create_user(tenant=tenant, email="carol@example.org", password=None, role="admin", now=NOON)
    asked = ask(tenant, approvers=["Carol@Example.org"])

    with pytest.raises(NotYours):
        give(asked, by=actor("manual:respond", name="carol@example.org"))

    key = Actor(
        kind=ActorKind.KEY, id="k", name="deploy key", person=person.pk, permissions=frozenset({"manual:respond"})
    )
    assert give(asked, by=key).answered_by == "carol@example.org"


def test_what_people_are_shown_may_hold_characters_that_the_database_does_not_know(tenant: Tenant) -> None:
    asked = ask(tenant, text="a\x00b", commands=[{"command": "c\x00"}])

    asked.refresh_from_db()
    assert (asked.text, asked.commands) == ("a\u2400b", [{"command": "c\u2400"}])
