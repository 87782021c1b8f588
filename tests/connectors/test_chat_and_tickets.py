"""``chat.post`` and ``ticket.create`` against stand-ins for Slack and Jira, and how they are found again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import Tenant
from connectors.base import EffectClass, OutcomeKind, ProbeAnswer
from connectors.dispatch import Plan, plan
from connectors.dispatch import probe as probe_plan
from tests.connectors import servers
from tests.connectors.calls import KEY, Connect, Run, carry, http_call, operation, target
from tests.connectors.servers import Reply, Server, json_reply

pytestmark = pytest.mark.django_db

SLACK_TOKEN = "xoxb-stand-in-token"
JIRA_TOKEN = "stand-in-token-of-jira"
AGES_AGO = timedelta(minutes=10)
TICKET = {"project": "SEC", "summary": "Log4Shell on web-01", "description": "line one\n\nline <b>", "priority": "High"}


@pytest.fixture
def slack(connect: Connect) -> Iterator[Server]:
    with servers.slack(SLACK_TOKEN) as server:
        connect("slack", "chat", f"{server.url}/api", secrets={"token": SLACK_TOKEN})
        yield server


@pytest.fixture
def jira(connect: Connect) -> Iterator[Server]:
    with servers.jira(f"Bearer {JIRA_TOKEN}") as server:
        connect("jira", "tickets", server.url, secrets={"token": JIRA_TOKEN})
        yield server


def post(channel: str = "#security-alerts", message: Any = "Critical finding", *, key: str = KEY) -> Any:
    return operation("chat.post", {"channel": channel, "message": message}, key=key)


def create(*, key: str = KEY, **more: Any) -> Any:
    return operation("ticket.create", {**TICKET, **more}, key=key)


def ask(planned: Plan, *, since: timedelta = AGES_AGO) -> tuple[ProbeAnswer, Any]:
    answer, outcome = probe_plan(planned, fence=2, headers={}, since=since, time_limit=timedelta(seconds=10))
    return answer, outcome.output if outcome else None


def test_a_message_is_posted_with_our_key_in_its_metadata(run: Run, slack: Server) -> None:
    outcome = run(post(message="Critical: <!channel> & co")).outcome

    assert outcome.kind is OutcomeKind.COMPLETED
    assert outcome.output == {"message_ts": slack.state.messages[0]["ts"], "channel": "C0SECALERT"}
    stored = slack.state.messages[0]
    assert stored["text"] == "Critical: &lt;!channel&gt; &amp; co"
    assert stored["metadata"]["event_payload"] == {"key": KEY}


@pytest.mark.parametrize(("message", "text"), [(7, "7"), ({"a": [1, None]}, '{"a":[1,null]}'), (True, "true")])
def test_a_message_that_is_no_text_is_posted_as_json(run: Run, slack: Server, message: Any, text: str) -> None:
    run(post(message=message))

    assert slack.state.messages[0]["text"] == text


def test_the_api_is_found_from_the_hosts_address_too(run: Run, connect: Connect) -> None:
    with servers.slack(SLACK_TOKEN) as server:
        connect("slack", "by host", server.url, secrets={"token": SLACK_TOKEN})

        assert run(post()).outcome.kind is OutcomeKind.COMPLETED
        assert server.requests[0].path == "/api/chat.postMessage"


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"message": "x"}, "arguments"),
        ({"channel": "c"}, "arguments"),
        ({"channel": "c", "message": None}, "message"),
        ({"channel": "c", "message": ""}, "message"),
        ({"channel": "c", "message": "x" * 40_001}, "message"),
        ({"channel": "", "message": "x"}, "channel"),
        ({"channel": "a b", "message": "x"}, "channel"),
        ({"channel": 7, "message": "x"}, "channel"),
        ({"channel": "c", "message": "x", "blocks": []}, "arguments"),
    ],
)
def test_a_wrong_message_is_refused_before_a_socket_opens(
    run: Run, slack: Server, arguments: dict[str, Any], where: str
) -> None:
    outcome = run(operation("chat.post", arguments)).outcome

    assert (outcome.code, outcome.sent) == ("argument_invalid", False)
    assert f"act-slack-notify: {where}" in outcome.message
    assert slack.connections == 0


@pytest.mark.parametrize(
    ("reply", "code", "retry"),
    [
        (json_reply({"ok": False, "error": "channel_not_found"}), "client_error", False),
        (json_reply({"ok": False, "error": "invalid_auth"}), "unauthorized", False),
        (json_reply({"ok": False, "error": "internal_error"}), "server_error", None),
        (json_reply({"ok": False}), "client_error", False),
        (json_reply({"ok": True}), "bad_answer", False),
        (json_reply([]), "bad_answer", False),
        (Reply(200, b"<html>"), "bad_answer", False),
        (json_reply({"ok": False, "error": "ratelimited"}, 429, **{"Retry-After": "30"}), "rate_limited", None),
        (json_reply({}, 500), "server_error", None),
    ],
)
def test_what_slack_refuses(run: Run, slack: Server, reply: Reply, code: str, retry: bool | None) -> None:
    slack.answers.append(reply)

    outcome = run(post()).outcome

    assert (outcome.kind, outcome.code, outcome.retry, outcome.sent) == (OutcomeKind.FAILED, code, retry, True)


def test_a_message_is_found_again_by_its_key_and_no_other(tenant: Tenant, run: Run, slack: Server) -> None:
    run(post(key="other-key"))
    run(post())
    run(post(key="third-key"))

    assert ask(plan(tenant_id=tenant.id, calls=[post()])) == (
        ProbeAnswer.THERE,
        {"message_ts": slack.state.messages[1]["ts"], "channel": "C0SECALERT"},
    )
    assert ask(plan(tenant_id=tenant.id, calls=[post("C0SECALERT")]))[0] is ProbeAnswer.THERE
    assert ask(plan(tenant_id=tenant.id, calls=[post(key="unknown")])) == (ProbeAnswer.NOT_THERE, None)


def test_history_is_read_page_by_page_and_given_up_after_ten(tenant: Tenant, run: Run, connect: Connect) -> None:
    with servers.slack(SLACK_TOKEN, page=2) as server:
        connect("slack", "paged", server.url, secrets={"token": SLACK_TOKEN})
        run(post(key="oldest"))
        for number in range(19):
            run(post(key=f"key-{number}"))

        assert ask(plan(tenant_id=tenant.id, calls=[post(key="oldest")]))[0] is ProbeAnswer.THERE
        run(post(key="one-more"))
        assert ask(plan(tenant_id=tenant.id, calls=[post(key="oldest")]))[0] is ProbeAnswer.CANNOT_TELL


@pytest.mark.parametrize(
    "reply",
    [
        json_reply({}, 500),
        json_reply({"ok": False, "error": "invalid_auth"}),
        json_reply({"ok": True}),
        Reply(manner="cut"),
        Reply(200, b"x"),
    ],
)
def test_a_probe_that_is_not_answered_cannot_tell(tenant: Tenant, slack: Server, reply: Reply) -> None:
    slack.answers.append(reply)

    assert ask(plan(tenant_id=tenant.id, calls=[post("C0SECALERT")])) == (ProbeAnswer.CANNOT_TELL, None)


def test_a_look_alike_of_somebody_else_is_not_ours(tenant: Tenant, slack: Server) -> None:
    for metadata in ({"event_type": "other", "event_payload": {"key": KEY}}, {"event_payload": KEY}, None, "x"):
        slack.state.messages.append({"channel": "C0SECALERT", "ts": "1.0", "text": KEY, "metadata": metadata})

    assert ask(plan(tenant_id=tenant.id, calls=[post()]))[0] is ProbeAnswer.NOT_THERE


def test_an_issue_is_created_with_our_key_as_its_label(run: Run, jira: Server) -> None:
    outcome = run(create()).outcome

    assert outcome.kind is OutcomeKind.COMPLETED
    assert outcome.output == {"issue_key": "SEC-1234", "url": f"{jira.url}/browse/SEC-1234"}
    fields = jira.state.issues[0]["fields"]
    assert fields["labels"] == [f"sallyport-{KEY}"]
    assert (fields["project"], fields["issuetype"]) == ({"key": "SEC"}, {"name": "Task"})
    assert (fields["summary"], fields["priority"]) == ("Log4Shell on web-01", {"name": "High"})
    lines = ["".join(text["text"] for text in line["content"]) for line in fields["description"]["content"]]
    assert lines == ["line one", "", "line <b>"]


def test_what_is_not_given_is_not_sent(run: Run, jira: Server) -> None:
    run(operation("ticket.create", {"project": "SEC", "summary": "x", "issue_type": "Bug"}))

    fields = jira.state.issues[0]["fields"]
    assert fields["issuetype"] == {"name": "Bug"}
    assert not {"description", "priority"} & set(fields)


def test_a_user_makes_it_basic_authentication(run: Run, connect: Connect) -> None:
    with servers.jira("Basic bWVAZXhhbXBsZS5vcmc6c3RhbmQtaW4tdG9rZW4=") as server:
        settings = {"user": "me@example.org"}
        connect("jira", "cloud", f"{server.url}/rest/api/3", secrets={"token": "stand-in-token"}, settings=settings)

        outcome = run(create()).outcome

    assert outcome.output["url"] == f"{server.url}/browse/SEC-1234"


@pytest.mark.parametrize(
    "wrong",
    [
        {"project": 'SEC" OR project = "X'},
        {"project": ""},
        {"project": None},
        {"summary": ""},
        {"summary": "two\nlines"},
        {"summary": "x" * 256},
        {"summary": None},
        {"priority": 1},
        {"assignee": "me"},
        {"issue_type": ""},
    ],
)
def test_a_wrong_issue_is_refused_before_a_socket_opens(run: Run, jira: Server, wrong: dict[str, Any]) -> None:
    outcome = run(create(**wrong)).outcome

    assert (outcome.code, outcome.sent) == ("argument_invalid", False)
    assert jira.connections == 0


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (json_reply({"errors": {"priority": "unknown"}}, 400), "client_error"),
        (json_reply({}, 401), "unauthorized"),
        (json_reply({"id": "1"}, 201), "bad_answer"),
        (json_reply({"key": "not a key"}, 201), "bad_answer"),
        (Reply(201, b"<html>"), "bad_answer"),
        (json_reply({}, 503), "server_error"),
    ],
)
def test_what_jira_refuses(run: Run, jira: Server, reply: Reply, code: str) -> None:
    jira.answers.append(reply)

    outcome = run(create()).outcome

    assert (outcome.kind, outcome.code, outcome.sent) == (OutcomeKind.FAILED, code, True)


def test_an_issue_is_found_again_by_its_label(tenant: Tenant, run: Run, jira: Server) -> None:
    run(create())
    found = {"issue_key": "SEC-1234", "url": f"{jira.url}/browse/SEC-1234"}

    assert ask(plan(tenant_id=tenant.id, calls=[create()])) == (ProbeAnswer.THERE, found)
    assert ask(plan(tenant_id=tenant.id, calls=[create(key="unknown")])) == (ProbeAnswer.NOT_THERE, None)


def test_not_there_is_only_said_once_the_index_has_settled(tenant: Tenant, run: Run, jira: Server) -> None:
    run(create())
    jira.state.is_indexed = False
    planned = plan(tenant_id=tenant.id, calls=[create()])

    assert planned.settle == timedelta(seconds=60)
    assert ask(planned, since=timedelta(seconds=59))[0] is ProbeAnswer.CANNOT_TELL
    jira.state.is_indexed = True
    assert ask(planned, since=timedelta(seconds=5))[0] is ProbeAnswer.THERE


def test_two_issues_with_one_key_are_for_a_person_to_judge(tenant: Tenant, run: Run, jira: Server) -> None:
    run(create())
    run(create())

    assert ask(plan(tenant_id=tenant.id, calls=[create()]))[0] is ProbeAnswer.CANNOT_TELL


def test_a_search_that_finds_something_else_cannot_tell(tenant: Tenant, jira: Server) -> None:
    jira.answers.append(json_reply({"issues": [{"key": "SEC-1", "fields": {"labels": ["other"]}}]}))

    assert ask(plan(tenant_id=tenant.id, calls=[create()]))[0] is ProbeAnswer.CANNOT_TELL


def test_an_effect_that_was_cut_off_is_found_by_the_probe(tenant: Tenant, connect: Connect) -> None:
    """A message that was posted although the answer never came: the probe finds it, nothing is posted twice."""
    with servers.slack(SLACK_TOKEN) as inner:
        state = inner.state

        def post_and_cut(received: servers.Received) -> Reply:
            if received.path.endswith("postMessage"):
                state.messages.append({**received.json, "channel": "C0SECALERT", "ts": "9.9"})
                return Reply(manner="cut")
            return inner.answer(received)

        with servers.serving(post_and_cut) as server:
            connect("slack", "cutting", server.url, secrets={"token": SLACK_TOKEN})
            planned = plan(tenant_id=tenant.id, calls=[post()])
            first = carry(planned).outcome

            assert planned.effect is EffectClass.PROBE
            assert (first.kind, first.sent) == (OutcomeKind.UNKNOWN, True)
            assert ask(planned) == (ProbeAnswer.THERE, {"message_ts": "9.9", "channel": "C0SECALERT"})


def test_a_probe_speaks_for_the_calls_before_it_and_not_for_those_behind(
    tenant: Tenant, run: Run, connect: Connect, slack: Server
) -> None:
    run(post())
    connect("http", "api", slack.url, keyed=True)
    write = http_call("POST / HTTP/1.1", target=target(name="api"))

    assert ask(plan(tenant_id=tenant.id, calls=[write, post()]))[0] is ProbeAnswer.THERE
    assert ask(plan(tenant_id=tenant.id, calls=[post(), write]))[0] is ProbeAnswer.CANNOT_TELL
    assert ask(plan(tenant_id=tenant.id, calls=[post(), post(key="second")]))[0] is ProbeAnswer.CANNOT_TELL
    assert ask(plan(tenant_id=tenant.id, calls=[write]))[0] is ProbeAnswer.CANNOT_TELL
