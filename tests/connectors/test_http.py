"""``http.request`` against real servers on loopback."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import Tenant
from connectors.base import OCTETS, EffectClass, OutcomeKind, Part
from connectors.dispatch import plan
from tests.connectors import servers
from tests.connectors.calls import KEY, Connect, Run, carry, http_call, operation, outside, parts, target
from tests.connectors.servers import Reply, Server, json_reply

pytestmark = pytest.mark.django_db

TRACE = {"X-Execution": "e", "X-Step-Run": "s", "X-Attempt": "2", "X-Fence": "2"}


@pytest.fixture
def echo() -> Iterator[Server]:
    with servers.echo() as server:
        yield server


def request(**arguments: Any) -> Any:
    return operation("http.request", {"path": "/", **arguments})


def test_an_operation_gives_back_status_headers_and_the_parsed_body(run: Run, connect: Connect, echo: Server) -> None:
    connect("http", "echo", f"{echo.url}/base")

    outcome = run(
        request(method="POST", path="/a b?c=d", headers={"X-One": "1", "X-Two": 2}, body={"n": [1, 1.5, None]})
    ).outcome

    assert outcome.kind is OutcomeKind.COMPLETED
    assert outcome.output["status"] == 200
    assert outcome.output["headers"]["content-type"] == "application/json"
    seen = outcome.output["body"]
    assert (seen["method"], seen["target"]) == ("POST", "/base/a%20b?c=d")
    assert (seen["headers"]["x-one"], seen["headers"]["x-two"]) == ("1", "2")
    assert seen["headers"]["content-type"] == "application/json"
    assert json.loads(seen["body"]) == {"n": [1, 1.5, None]}


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (Reply(200, b"", {}), None),
        (Reply(204, b"", {}), None),
        (Reply(200, b"plain \xff text", {"Content-Type": "text/plain"}), "plain \ufffd text"),
        (Reply(200, b"{broken", {"Content-Type": "application/json"}), "{broken"),
        (Reply(200, b'{"a":1,"a":2}', {"Content-Type": "application/json"}), '{"a":1,"a":2}'),
        (Reply(200, b"[" * 10_000, {"Content-Type": "application/json"}), "[" * 10_000),
        (Reply(200, b'{"a":1}', {"Content-Type": "application/problem+json"}), {"a": 1}),
        (Reply(200, b'{"a":1}', {}), {"a": 1}),
        (Reply(200, b"<html>", {}), "<html>"),
        (Reply(200, gzip.compress(b"packed"), {"Content-Encoding": "gzip", "Content-Type": "text/plain"}), "packed"),
    ],
)
def test_a_body_is_json_where_it_is_and_text_otherwise(
    run: Run, connect: Connect, echo: Server, reply: Reply, body: Any
) -> None:
    connect("http", "echo", echo.url)
    echo.answers.append(reply)

    outcome = run(request()).outcome

    assert outcome.kind is OutcomeKind.COMPLETED
    assert outcome.output["body"] == body


def test_a_cacao_command_sends_line_headers_and_content_with_each_value_in_its_place(
    run: Run, connect: Connect, echo: Server
) -> None:
    connect("http", "echo", echo.url)
    content = parts('{"text": "', outside('say "hi"\n'), '", "n": ', outside("7", "integer"), "}")
    call = http_call(
        "POST /u/",
        outside("a/b"),
        "?q=",
        outside("x&y=z"),
        " HTTP/1.1",
        target=target(echo.url),
        content=content,
        headers={"X-Note": (parts("for ", outside("you")), parts("second")), "Host": (parts(echo.url[7:]),)},
    )

    outcome = run(call).outcome

    assert outcome.kind is OutcomeKind.COMPLETED
    assert outcome.status == 200
    seen = json.loads(outcome.output)
    assert (seen["method"], seen["target"]) == ("POST", "/u/a%2Fb?q=x%26y%3Dz")
    assert json.loads(seen["body"]) == {"text": 'say "hi"\n', "n": 7}
    notes = [value for name, value in echo.requests[0].header_list if name.lower() == "x-note"]
    assert notes == ["for you", "second"]


@pytest.mark.parametrize(
    ("content_type", "content", "sent"),
    [
        ("application/x-www-form-urlencoded", parts("a=", outside("b&c=d e")), "a=b%26c%3Dd+e"),
        ("text/plain", parts("a=", outside("b&c")), "a=b&c"),
        (None, parts("[", outside("x"), "]"), '["x"]'),
        (None, parts("plain ", outside("{x}")), "plain {x}"),
    ],
)
def test_content_is_written_in_the_language_of_its_type(
    run: Run, connect: Connect, echo: Server, content_type: str | None, content: Any, sent: str
) -> None:
    connect("http", "echo", echo.url)
    headers = {"Content-Type": (parts(content_type),)} if content_type else {}

    run(http_call("POST / HTTP/1.1", target=target(echo.url), content=content, headers=headers))

    assert echo.requests[0].body.decode() == sent


def test_octets_that_are_no_text_are_sent_as_they_are(run: Run, connect: Connect, echo: Server) -> None:
    connect("http", "echo", echo.url)
    content = (Part("/wABAg==", type=OCTETS),)

    run(http_call("PUT /file HTTP/1.1", target=target(echo.url), content=content))

    assert echo.requests[0].body == b"\xff\x00\x01\x02"
    assert echo.requests[0].headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (http_call("POST / HTTP/1.1", headers={"X": (parts(outside("a\r\nB: c")),)}), "unsafe_placeholder"),
        (http_call("POST / HTTP/1.1", content=parts('{"a": ', outside("1}"), "")), "unsafe_placeholder"),
        (http_call(outside("GET"), " / HTTP/1.1"), "command_invalid"),
        (http_call("GET / x HTTP/1.1"), "command_invalid"),
        (http_call("GET //other.example/ HTTP/1.1"), "destination_refused"),
        (http_call("GET / HTTP/1.1", headers={"Host": (parts("other.example"),)}), "destination_refused"),
    ],
)
def test_what_cannot_be_sent_safely_is_refused_before_a_socket_opens(
    run: Run, connect: Connect, echo: Server, call: Any, code: str
) -> None:
    connect("http", "target", echo.url)
    bound = type(call)(**{**call.__dict__, "target": target()})

    outcome = run(bound).outcome

    assert (outcome.kind, outcome.code, outcome.sent, outcome.retry) == (OutcomeKind.FAILED, code, False, False)
    assert echo.connections == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": None},
        {"path": 7},
        {"path": "/", "method": "BREW"},
        {"path": "/", "headers": []},
        {"path": "/", "headers": {"X": None}},
        {"path": "/", "headers": {"X": "a\r\nb"}},
        {"path": "/", "headers": {"X Y": "a"}},
        {"path": "/", "unknown": 1},
        {"path": "/" + "x" * 8000},
        {"path": "/a/../b"},
        {"method": "GET"},
    ],
)
def test_wrong_arguments_are_refused_before_a_socket_opens(
    run: Run, connect: Connect, echo: Server, arguments: dict[str, Any]
) -> None:
    connect("http", "echo", echo.url)

    outcome = run(operation("http.request", arguments)).outcome

    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.code in ("argument_invalid", "command_invalid")
    assert outcome.sent is False
    assert echo.connections == 0


@pytest.mark.parametrize(
    ("reply", "method", "kind", "code"),
    [
        (json_reply({}, 201), "POST", OutcomeKind.COMPLETED, ""),
        (json_reply({}, 202), "POST", OutcomeKind.COMPLETED, ""),
        (json_reply({}, 302, Location="/elsewhere"), "GET", OutcomeKind.FAILED, "redirected"),
        (json_reply({}, 400), "POST", OutcomeKind.FAILED, "client_error"),
        (json_reply({}, 401), "POST", OutcomeKind.FAILED, "unauthorized"),
        (json_reply({}, 403), "GET", OutcomeKind.FAILED, "unauthorized"),
        (json_reply({}, 404), "GET", OutcomeKind.FAILED, "client_error"),
        (json_reply({}, 404), "DELETE", OutcomeKind.COMPLETED, ""),
        (json_reply({}, 409), "POST", OutcomeKind.FAILED, "client_error"),
        (json_reply({}, 429), "GET", OutcomeKind.FAILED, "rate_limited"),
        (json_reply({}, 503, **{"Retry-After": "2"}), "GET", OutcomeKind.FAILED, "rate_limited"),
        (json_reply({}, 503), "GET", OutcomeKind.FAILED, "server_error"),
        (json_reply({}, 500), "POST", OutcomeKind.FAILED, "server_error"),
        (Reply(manner="cut"), "GET", OutcomeKind.UNKNOWN, "no_answer"),
        (Reply(200, b"half of it", manner="half"), "POST", OutcomeKind.UNKNOWN, "no_answer"),
        (Reply(200, manner="endless"), "POST", OutcomeKind.FAILED, "bad_answer"),
        (Reply(500, manner="endless"), "POST", OutcomeKind.FAILED, "server_error"),
        (Reply(200, b"x" * (5 * 2**20)), "GET", OutcomeKind.FAILED, "bad_answer"),
        (
            Reply(200, gzip.compress(bytes(3 * 2**20)), {"Content-Encoding": "gzip"}),
            "GET",
            OutcomeKind.FAILED,
            "bad_answer",
        ),
        (Reply(200, b"x", {"X-Long": "y" * 200_000}), "GET", OutcomeKind.UNKNOWN, "no_answer"),
    ],
)
def test_the_table_of_outcomes(
    run: Run, connect: Connect, echo: Server, reply: Reply, method: str, kind: OutcomeKind, code: str
) -> None:
    connect("http", "echo", echo.url)
    echo.answers.append(reply)

    outcome = run(request(method=method)).outcome

    assert (outcome.kind, outcome.code) == (kind, code)
    assert outcome.sent is True
    assert len(echo.requests) == 1


def test_a_port_that_nobody_listens_on_is_a_refusal_before_sending_and_may_be_tried_again(
    run: Run, connect: Connect
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        connect("http", "nobody", f"http://127.0.0.1:{taken.getsockname()[1]}")

        outcome = run(request(method="POST")).outcome

    assert (outcome.kind, outcome.code, outcome.sent, outcome.retry) == (
        OutcomeKind.FAILED,
        "connect_failed",
        False,
        None,
    )


@pytest.mark.parametrize("manner", ["silent", "drip"])
def test_a_call_ends_at_its_own_limit_however_slowly_it_is_answered(
    run: Run, connect: Connect, echo: Server, manner: str
) -> None:
    connect("http", "slow", echo.url, settings={"call_limit": 0.5})
    echo.answers.append(Reply(200, b"x" * 1000, manner=manner))

    began = time.monotonic()
    outcome = run(request(method="POST")).outcome

    assert (outcome.kind, outcome.sent) == (OutcomeKind.UNKNOWN, True)
    assert time.monotonic() - began < 15


def test_the_end_of_the_steps_time_during_a_call_is_an_expiry(run: Run, connect: Connect, echo: Server) -> None:
    connect("http", "slow", echo.url)
    echo.answers.append(Reply(manner="silent"))

    outcome = run(request(method="POST"), time_limit=timedelta(milliseconds=300)).outcome

    assert (outcome.kind, outcome.code, outcome.sent) == (OutcomeKind.EXPIRED, "timed_out", True)


def test_a_stop_during_a_call_leaves_the_effect_unknown(tenant: Tenant, connect: Connect) -> None:
    stop = threading.Event()

    def stop_and_stay_silent(_: servers.Received) -> Reply:
        stop.set()
        return Reply(manner="silent")

    with servers.serving(stop_and_stay_silent) as server:
        connect("http", "slow", server.url)
        result = carry(plan(tenant_id=tenant.id, calls=[request(method="POST")]), cancelled=stop)

    assert (result.outcome.kind, result.outcome.sent, result.was_stopped) == (OutcomeKind.UNKNOWN, True, True)


def test_a_lease_that_is_over_keeps_the_request_from_being_sent(run: Run, connect: Connect, echo: Server) -> None:
    connect("http", "echo", echo.url)

    outcome = run(request(method="POST"), before_send=lambda: False).outcome

    assert (outcome.kind, outcome.code, outcome.sent) == (OutcomeKind.FAILED, "lease_lost", False)
    assert echo.requests == []


def test_a_redirect_is_shown_and_not_followed(run: Run, connect: Connect, echo: Server) -> None:
    connect("http", "echo", echo.url, secrets={"token": "canary-token-1234"})
    with servers.echo() as other:
        for status in (301, 302, 303, 307, 308):
            echo.answers.append(Reply(status, b"", {"Location": f"{other.url}/taken"}))
            outcome = run(request()).outcome
            assert (outcome.code, outcome.headers["location"]) == ("redirected", f"{other.url}/taken")

        assert other.connections == 0
    assert len(echo.requests) == 5


def test_the_key_is_the_same_in_every_attempt_and_goes_only_where_it_is_honoured(
    tenant: Tenant, connect: Connect
) -> None:
    with servers.ledger() as ledger:
        connect("http", "keyed", ledger.url, keyed=True)
        connect("http", "plain", ledger.url)
        planned = plan(
            tenant_id=tenant.id,
            calls=[operation("http.request", {"connection": "keyed", "method": "POST", "path": "/effect/keyed"})],
        )
        for fence in (1, 2, 3):
            assert carry(planned, fence=fence).outcome.kind is OutcomeKind.COMPLETED
        for connection, method in (("keyed", "GET"), ("plain", "POST")):
            call = operation("http.request", {"connection": connection, "method": method, "path": "/effect/unkeyed"})
            carry(plan(tenant_id=tenant.id, calls=[call]))

        assert [received.headers.get("idempotency-key") for received in ledger.requests] == [KEY, KEY, KEY, None, None]
        assert ledger.state.applied[KEY] == 1


def test_the_author_cannot_replace_the_key_or_the_log_on(run: Run, connect: Connect, echo: Server) -> None:
    connect("http", "echo", echo.url, keyed=True, secrets={"token": "canary-token-1234"})

    run(request(method="POST", headers={"idempotency-KEY": "mine", "authorization": "mine", "X-Else": "kept"}))

    pairs = [(name.lower(), value) for name, value in echo.requests[0].header_list]
    assert [value for name, value in pairs if name == "idempotency-key"] == [KEY]
    assert [value for name, value in pairs if name == "authorization"] == ["Bearer canary-token-1234"]
    assert ("x-else", "kept") in pairs


@pytest.mark.parametrize(("settings_given", "is_traced"), [({"trace_headers": True}, True), ({}, False)])
def test_tracing_headers_go_only_to_connections_that_ask_for_them(
    run: Run, connect: Connect, echo: Server, settings_given: dict[str, Any], is_traced: bool
) -> None:
    connect("http", "echo", echo.url, settings=settings_given)

    run(request(), headers=TRACE)

    received = echo.requests[0].headers
    assert {name: received.get(name.lower()) for name in TRACE} == (TRACE if is_traced else dict.fromkeys(TRACE))


@pytest.mark.parametrize(
    ("settings_given", "secrets", "header", "value"),
    [
        ({}, {"token": "canary-token-1234"}, "authorization", "Bearer canary-token-1234"),
        ({"user": "me"}, {"password": "canary-word-1234"}, "authorization", "Basic bWU6Y2FuYXJ5LXdvcmQtMTIzNA=="),
        ({"auth_header": "X-Api-Key"}, {"token": "canary-token-1234"}, "x-api-key", "canary-token-1234"),
        ({"auth_scheme": "GenieKey"}, {"token": "canary-token-1234"}, "authorization", "GenieKey canary-token-1234"),
    ],
)
def test_a_connection_logs_on_as_it_says(
    run: Run,
    connect: Connect,
    echo: Server,
    settings_given: dict[str, Any],
    secrets: dict[str, str],
    header: str,
    value: str,
) -> None:
    connect("http", "echo", echo.url, settings=settings_given, secrets=secrets)

    run(request())

    assert echo.requests[0].headers[header] == value


@pytest.mark.parametrize(
    ("method", "keyed", "given", "effect"),
    [
        ("GET", False, {}, EffectClass.READ),
        ("HEAD", True, {}, EffectClass.READ),
        ("OPTIONS", False, {}, EffectClass.READ),
        ("POST", False, {}, EffectClass.UNSAFE),
        ("POST", True, {}, EffectClass.KEYED),
        ("PATCH", True, {}, EffectClass.KEYED),
        ("POST", False, {"idempotent": True}, EffectClass.UNSAFE),
        ("PUT", False, {}, EffectClass.UNSAFE),
        ("PUT", False, {"idempotent": True}, EffectClass.IDEMPOTENT),
        ("DELETE", True, {"idempotent": True}, EffectClass.IDEMPOTENT),
        ("DELETE", True, {}, EffectClass.KEYED),
    ],
)
def test_the_effect_class_follows_the_method_and_what_the_connection_says(
    tenant: Tenant, connect: Connect, method: str, keyed: bool, given: dict[str, Any], effect: EffectClass
) -> None:
    connect("http", "any", "https://a.example", keyed=keyed, settings=given)

    planned = plan(tenant_id=tenant.id, calls=[request(method=method)])

    assert planned.effect is effect
    assert planned.key_valid_for == (timedelta(hours=24) if effect is EffectClass.KEYED else None)


def test_the_mark_of_a_refused_credential_is_set_and_taken_away(run: Run, connect: Connect, echo: Server) -> None:
    connection = connect("http", "echo", echo.url, secrets={"token": "canary-token-1234"})

    echo.answers.append(json_reply({}, 401))
    run(request())
    connection.refresh_from_db()
    assert "401" in connection.last_error

    run(request())
    connection.refresh_from_db()
    assert connection.last_error == ""


def test_connections_are_pooled_and_do_not_grow(run: Run, connect: Connect, echo: Server) -> None:
    connect("http", "echo", echo.url)

    for _ in range(50):
        assert run(request()).outcome.kind is OutcomeKind.COMPLETED

    assert echo.connections == 1


def test_a_server_that_was_restarted_between_two_calls_is_simply_called_again(run: Run, connect: Connect) -> None:
    with servers.serving(lambda _: json_reply({"n": 1})) as first:
        connect("http", "api", first.url)
        assert run(request(method="POST")).outcome.output["body"] == {"n": 1}
        port = first.port
    with servers.serving(lambda _: json_reply({"n": 2}), port=port) as second:
        assert run(request(method="POST")).outcome.output["body"] == {"n": 2}
        assert len(second.requests) == 1


def test_eight_workers_with_one_key_have_one_effect(tenant: Tenant, connect: Connect) -> None:
    with servers.ledger() as ledger:
        connect("http", "keyed", ledger.url, keyed=True)
        planned = plan(
            tenant_id=tenant.id, calls=[operation("http.request", {"method": "POST", "path": "/effect/keyed"})]
        )
        kinds: list[OutcomeKind] = []
        workers = [threading.Thread(target=lambda: kinds.append(carry(planned).outcome.kind)) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

        assert kinds == [OutcomeKind.COMPLETED] * 8
        assert ledger.state.applied == {KEY: 1}
        assert len(ledger.requests) == 8
