"""Canaries: a secret that an attempt used is nowhere in what it gives back (SEC-19, SEC-20)."""

from __future__ import annotations

import base64
import html
import json
import logging
from dataclasses import asdict
from urllib.parse import quote

import pytest

from connectors import registry
from connectors.base import Command, Endpoint, Outcome, OutcomeKind
from connectors.dispatch import Result
from connectors.http.login import login_header
from core.secrets import Secret
from tests.connectors import servers
from tests.connectors.calls import Connect, Run, http_call, operation, parts, target
from tests.connectors.servers import Received, Reply

pytestmark = pytest.mark.django_db

CANARY = 'cAn4ry"/+<&>Zq9\\x=1'
ENCODINGS = {
    "raw": CANARY,
    "json": json.dumps(CANARY),
    "unicode escapes": "".join(f"\\u{ord(character):04x}" for character in CANARY),
    "percent": quote(CANARY, safe=""),
    "percent twice": quote(quote(CANARY, safe=""), safe=""),
    "entities": html.escape(CANARY),
    "numeric entities": "".join(f"&#{ord(character)};" for character in CANARY),
    "base64": base64.b64encode(CANARY.encode()).decode(),
    "base64 urlsafe": base64.urlsafe_b64encode(CANARY.encode()).decode(),
    "base64 without padding": base64.b64encode(CANARY.encode()).decode().rstrip("="),
    "base64 at offset 1": base64.b64encode(b"x" + CANARY.encode() + b"tail").decode(),
    "base64 at offset 2": base64.b64encode(b"xy" + CANARY.encode() + b"tail").decode(),
    "base64 of utf-16": base64.b64encode(CANARY.encode("utf-16-le")).decode(),
    "basic": base64.b64encode(f"me:{CANARY}".encode()).decode(),
    "hex": CANARY.encode().hex(),
    "hex upper": CANARY.encode().hex().upper(),
    "shell": "'" + CANARY.replace("'", "'\\''") + "'",
    "repr": repr(CANARY),
    "broken lines": "\n".join(CANARY[at : at + 7] for at in range(0, len(CANARY), 7)),
    "inside": f"error: bad token {CANARY}, see log",
}


def everything(result: Result) -> str:
    """All that is stored of an attempt, as text, with the escapes of JSON undone once."""
    shown = {**asdict(result.outcome), "calls": [dict(call) for call in result.calls]}
    return json.dumps(shown, default=str, ensure_ascii=False).replace("\\\\", "\\").replace('\\"', '"')


def assert_clean(result: Result) -> None:
    shown = everything(result)
    compact = shown.replace("\\n", "").replace("\n", "")
    for name, form in ENCODINGS.items():
        assert form.strip("'\"") not in shown, name
        assert form.replace("\n", "").strip("'\"") not in compact, name


@pytest.mark.parametrize("status", [200, 400, 401, 500])
@pytest.mark.parametrize("form", ENCODINGS.values(), ids=ENCODINGS)
def test_a_secret_echoed_in_a_body_and_a_header_is_stars(run: Run, connect: Connect, form: str, status: int) -> None:
    def handle(_: Received) -> Reply:
        header = form.replace("\n", "")
        return Reply(status, f"you said: {form} !".encode(), {"X-Echo": header, "Content-Type": "text/plain"})

    with servers.serving(handle) as server:
        connect("http", "echo", server.url, secrets={"token": CANARY})
        for call in (
            operation("http.request", {"path": "/"}),
            http_call("GET / HTTP/1.1", target=target(server.url)),
        ):
            result = run(call)
            assert_clean(result)
            assert result.is_scrubbed
            assert result.outcome.status == status or result.outcome.output["status"] == status


def test_a_secret_in_a_redirect_is_stars(run: Run, connect: Connect) -> None:
    with servers.serving(lambda _: Reply(302, b"", {"Location": f"http://x.example/?t={quote(CANARY)}"})) as server:
        connect("http", "echo", server.url, secrets={"token": CANARY})

        assert_clean(run(operation("http.request", {"path": "/"})))


def test_a_secret_in_the_words_of_a_refusal_is_stars(run: Run, connect: Connect) -> None:
    with servers.serving(lambda _: servers.json_reply({"ok": False, "error": f"bad {CANARY}"})) as server:
        connection = connect("slack", "chat", server.url, secrets={"token": CANARY})

        assert_clean(run(operation("chat.post", {"channel": "c", "message": "x"})))
        connection.refresh_from_db()
        assert CANARY not in connection.last_error


def test_a_secret_of_the_document_is_scrubbed_too(run: Run, connect: Connect) -> None:
    with servers.echo() as server:
        connect("http", "echo", server.url)
        place = target(
            server.url,
            authentication={"type": "http-basic", "user_id": "me"},
            secrets={"password": Secret(CANARY)},
        )
        result = run(http_call("GET / HTTP/1.1", target=place))

    assert result.outcome.kind is OutcomeKind.COMPLETED
    assert_clean(result)


def test_an_earlier_calls_secret_is_scrubbed_from_a_later_answer(run: Run, connect: Connect) -> None:
    said: list[str] = []

    def remember(received: Received) -> Reply:
        said.append(received.headers["authorization"])
        return Reply(200, said[0].encode())

    with servers.serving(remember) as server:
        connect("http", "first", server.url, secrets={"token": CANARY})
        connect("http", "second", server.url, secrets={"token": "another-secret-value"})
        result = run(
            http_call("GET / HTTP/1.1", target=target(name="first")),
            http_call("GET / HTTP/1.1", target=target(name="second")),
        )

    assert said == [f"Bearer {CANARY}", "Bearer another-secret-value"]
    assert_clean(result)


def test_the_output_of_a_secret_too_short_to_be_found_is_masked_whole(run: Run, connect: Connect) -> None:
    with servers.echo() as server:
        connect("http", "echo", server.url, secrets={"token": "abc"})

        outcome = run(operation("http.request", {"path": "/"})).outcome

    assert outcome.kind is OutcomeKind.COMPLETED
    assert outcome.output == "********"


def test_what_was_not_found_is_not_marked(run: Run, connect: Connect) -> None:
    with servers.serving(lambda _: Reply(200, b"nothing here")) as server:
        connect("http", "echo", server.url, secrets={"token": CANARY})

        result = run(operation("http.request", {"path": "/"}))

    assert (result.is_scrubbed, result.outcome.output["body"]) == (False, "nothing here")


class Broken:
    """A connector with a fault, which quotes what it was given."""

    async def run(self, command: Command) -> Outcome:
        if command.before_send is not None and not command.arguments.get("path", "").startswith("/early"):
            command.before_send()
        assert command.endpoint is not None
        raise KeyError(command.endpoint.secrets["token"].reveal())


@pytest.mark.parametrize(
    ("path", "kind", "sent"), [("/late", OutcomeKind.UNKNOWN, True), ("/early", OutcomeKind.FAILED, False)]
)
def test_a_fault_of_a_connector_is_an_outcome_and_its_message_stays_inside(
    run: Run,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    path: str,
    kind: OutcomeKind,
    sent: bool,
) -> None:
    monkeypatch.setattr(registry, "connector_of", lambda _: Broken())
    connect("http", "echo", "https://api.example", secrets={"token": CANARY})

    with caplog.at_level(logging.DEBUG):
        result = run(operation("http.request", {"path": path}))

    assert (result.outcome.kind, result.outcome.sent) == (kind, sent)
    assert_clean(result)
    assert "KeyError" in caplog.text
    assert CANARY not in caplog.text


def test_a_call_and_its_values_do_not_show_secrets(connect: Connect) -> None:
    connection = connect("http", "echo", "https://api.example", secrets={"token": CANARY})
    endpoint = Endpoint(name="x", kind="http", url="https://api.example", secrets={"token": Secret(CANARY)})
    place = target("https://api.example", secrets={"password": Secret(CANARY)})
    call = http_call(*parts("GET / HTTP/1.1"), target=place)

    assert login_header(endpoint) == ("Authorization", f"Bearer {CANARY}")
    for value in (endpoint, place, call, connection, Command("http.request", {}, "key", endpoint)):
        assert CANARY not in repr(value)
        assert CANARY not in str(value)
