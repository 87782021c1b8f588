"""Votes on approvals: one a person, by whoever may, until enough say the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.models import Tenant
from core.actors import Actor, ActorKind
from manual.models import ApprovalPolicy, ManualRequest, Vote
from manual.policies import Deed, Rules, always_asked, rules_for_calls, rules_for_step
from manual.selectors import get_approval, list_open
from manual.services import Answer, Approval, NotYours, RequestGone
from manual.voting import FourEyes, VotedOtherwise, noes_that_decide, vote, voter_of
from tests.executions.approvers import person, policy, through_key
from tests.manual.asking import NOON, actor, ask

YES, NO = Answer(success=True), Answer(success=False)


def approval(tenant: Tenant, **given: Any) -> ManualRequest:
    more = {name: given.pop(name) for name in ("approvers", "deadline_at") if name in given}
    also = given.pop("also", ())
    return ask(tenant, kind="approval", out_args={}, approval=Approval(approvers=also, **given), **more)


def said(request: ManualRequest, by: Actor, answer: Answer = YES) -> str:
    """Cast a vote; return what the request is then."""
    found = vote(request=request, answer=answer, actor=by, now=NOON).request
    return str(found.answer["status"]) if found.answer else found.status


@pytest.fixture
def three(tenant: Tenant) -> list[Actor]:
    return [person(tenant, name) for name in ("ada", "bob", "carol")]


def test_enough_yeses_approve(tenant: Tenant, three: list[Actor]) -> None:
    request = approval(tenant, votes_needed=3)

    assert [said(request, by) for by in three] == ["open", "open", "success"]
    request.refresh_from_db()
    assert (request.answered_by, request.answered_at) == ("carol@example.org", NOON)


def test_the_first_no_rejects(tenant: Tenant, three: list[Actor]) -> None:
    request = approval(tenant, votes_needed=2)

    assert [said(request, three[0]), said(request, three[1], NO)] == ["open", "failure"]
    with pytest.raises(RequestGone, match=r"answered by bob@example\.org"):
        said(request, three[2])


def test_where_a_no_is_only_a_vote_so_many_reject_as_are_needed(tenant: Tenant, three: list[Actor]) -> None:
    request = approval(tenant, votes_needed=2, noes_needed=2)

    assert [said(request, three[0], NO), said(request, three[1]), said(request, three[2], NO)] == [
        "open", "open", "failure",
    ]  # fmt: skip


def test_a_person_votes_once_whichever_key_they_use(tenant: Tenant, three: list[Actor]) -> None:
    request = approval(tenant, votes_needed=2)
    ada = three[0]

    assert [said(request, ada), said(request, through_key(ada)), said(request, ada)] == ["open"] * 3
    with pytest.raises(VotedOtherwise, match="voted yes already"):
        said(request, through_key(ada), NO)

    [only] = Vote.objects.all()
    assert (only.name, only.approves, only.actor_id) == ("ada@example.org", True, ada.id)


def test_the_same_vote_again_gets_the_end_also_when_it_is_over(tenant: Tenant, three: list[Actor]) -> None:
    request = approval(tenant)

    assert [said(request, three[0]), said(request, three[0])] == ["success", "success"]


def test_the_database_refuses_a_second_vote(tenant: Tenant, three: list[Actor]) -> None:
    request = approval(tenant, votes_needed=2)
    said(request, three[0])
    again = Vote(request=request, tenant=tenant, voter=voter_of(three[0]), approves=False, voted_at=NOON)

    with pytest.raises(IntegrityError, match="one_vote_per_person_and_request"), transaction.atomic():
        again.save()


def test_a_caller_who_is_no_person_counts_once(tenant: Tenant) -> None:
    request = approval(tenant, votes_needed=2)
    nobody = Actor(ActorKind.SYSTEM, id="anonymous", name="anonymous", permissions=frozenset({"approvals:decide"}))

    assert [said(request, nobody), said(request, nobody)] == ["open", "open"]
    assert Vote.objects.count() == 1


def test_by_four_eyes_a_person_has_to_vote(tenant: Tenant, three: list[Actor]) -> None:
    request = approval(tenant, four_eyes=True, excluded={str(three[0].person): "started the execution"})
    nobody = Actor(ActorKind.SYSTEM, id="anonymous", name="anonymous", permissions=frozenset({"approvals:decide"}))

    with pytest.raises(FourEyes, match="nobody knows"):
        said(request, nobody)
    for by in (three[0], through_key(three[0])):
        for answer in (YES, NO):
            with pytest.raises(FourEyes, match="you started the execution"):
                said(request, by, answer)
    assert not Vote.objects.exists()
    assert said(request, three[1]) == "success"


def test_without_four_eyes_nobody_is_left_out(tenant: Tenant, three: list[Actor]) -> None:
    assert said(approval(tenant, excluded={str(three[0].person): "started the execution"}), three[0]) == "success"


def test_a_vote_needs_the_right_to_decide(tenant: Tenant) -> None:
    with pytest.raises(NotYours, match="approvals:decide"):
        said(approval(tenant), actor("manual:respond"))


def test_whoever_votes_stands_on_every_list(tenant: Tenant, three: list[Actor]) -> None:
    ada, bob, _ = three
    request = approval(tenant, approvers=["approver"], also=[["ada@example.org", "soc_lead"], ["ada@example.org"]])
    lead = person(tenant, "lead", role="soc_lead")

    for by in (bob, lead):
        assert not list_open(tenant, by).exists()
        with pytest.raises(NotYours, match="other people"):
            said(request, by)
    assert list(list_open(tenant, ada)) == [request]
    assert get_approval(tenant, request.pk, actor=ada) == request
    assert said(request, ada) == "success"


def test_a_vote_after_the_deadline_is_refused_and_leaves_no_row(tenant: Tenant, three: list[Actor]) -> None:
    request = approval(tenant, votes_needed=2, deadline_at=datetime.now(UTC) - timedelta(seconds=1))

    with pytest.raises(RequestGone, match="time to answer is over"):
        said(request, three[0])
    assert not Vote.objects.exists()


# How many noes -------------------------------------------------------------------------------------------------------


ADA, BOB, CAROL = "ada@example.org", "bob@example.org", "carol@example.org"


@pytest.mark.parametrize(
    ("rules", "noes"),
    [
        (Rules(votes=3), 3),
        (Rules(votes=2, approvers=(("approver",),)), 2),
        (Rules(votes=2, approvers=((ADA, BOB, CAROL),)), 2),
        (Rules(votes=1, approvers=((ADA, BOB, "nobody@example.org"),)), 2),
        (Rules(votes=1, approvers=(("approver",), (ADA, BOB))), 2),
        (Rules(votes=2, approvers=((ADA, BOB, CAROL),), four_eyes=True), 1),
    ],
)
def test_no_is_final_once_yes_cannot_be_reached(tenant: Tenant, three: list[Actor], rules: Rules, noes: int) -> None:
    excluded = {str(three[0].person): "started the execution"}
    patient = replace(rules, first_no_decides=False)

    assert noes_that_decide(tenant_id=tenant.pk, rules=patient, excluded=excluded) == noes
    assert noes_that_decide(tenant_id=tenant.pk, rules=rules, excluded=excluded) == 1


# Policies ------------------------------------------------------------------------------------------------------------

BLOCK = Deed("http.request", "unsafe", "act-http-request")
LOOK = Deed("http.request", "read", "act-http-request")


def rules_of(tenant: Tenant, *deeds: Deed) -> Rules | None:
    return rules_for_calls(tenant_id=tenant.pk, playbook_id=tenant.pk, deeds=deeds)


def test_one_covered_call_among_several_is_enough(tenant: Tenant) -> None:
    policy(tenant)

    assert rules_of(tenant, LOOK) is None
    assert rules_of(tenant, LOOK, BLOCK) is not None


def test_a_selector_has_to_fit_one_call_wholly(tenant: Tenant) -> None:
    """One call of that class and another of that operation do not make a match."""
    policy(tenant, operation="ssh", effects=["unsafe"])

    assert rules_of(tenant, BLOCK, Deed("ssh.run", "read")) is None
    assert rules_of(tenant, Deed("ssh.run", "unsafe")) is not None


def test_the_shortest_time_and_the_authors_own_hold(tenant: Tenant) -> None:
    policy(tenant, "one", covers="approval_steps", deadline=timedelta(hours=2))
    policy(tenant, "two", covers="approval_steps", deadline=timedelta(hours=1), approvers=["approver"])

    def asked(minutes: int) -> Rules:
        return rules_for_step(
            tenant=tenant, playbook_id=tenant.pk, approvers=["ADA@example.org"], deadline=timedelta(minutes=minutes)
        )

    assert asked(5).deadline == timedelta(minutes=5)
    assert asked(500).deadline == timedelta(hours=1)
    assert asked(5).approvers == (("ada@example.org",), ("approver",))


def test_what_a_policy_covers_everywhere_is_known_to_the_checker(tenant: Tenant) -> None:
    operations = [("http.request", "act-http-request"), ("ssh.run", None), ("slack.post", "act-slack-notify")]
    policy(tenant, "some effects", operation="ssh", effects=["unsafe"])
    policy(tenant, "off", operation="slack", is_enabled=False)
    policy(tenant, "all of http", operation="http")

    assert always_asked(tenant_id=tenant.pk, operations=operations) == {"http.request"}


def test_a_policy_without_votes_cannot_be_stored(tenant: Tenant) -> None:
    with pytest.raises(IntegrityError, match="approval_policy_has_votes"), transaction.atomic():
        ApprovalPolicy.objects.create(tenant=tenant, name="none", votes=0, created_at=NOON, updated_at=NOON)
