"""One server that stands in for Stripe, Shopify, Okta, Square, Slack, Jira and a token endpoint."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.connectors.servers import Received, Reply, Server, json_reply, serving

TOKEN = "vendors-access-token-0001"
RENEWED = "vendors-access-token-0002"
REFRESH = "vendors-refresh-token-001"
CODE = "good-code"


@dataclass
class Vendors:
    """``tokens`` are taken now. ``failing``: so many calls to come answer 503. ``held``: calls wait for ``may_go``."""

    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    failing: int = 0
    done: list[str] = field(default_factory=list)
    grants: list[dict[str, str]] = field(default_factory=list)
    tags: str = "old"
    held: bool = False
    has_come: threading.Event = field(default_factory=threading.Event)
    may_go: threading.Event = field(default_factory=threading.Event)

    def answer(self, received: Received) -> Reply:
        if received.path == "/oauth/token":
            return self._token(received)
        if self.held:
            self.has_come.set()
            self.may_go.wait(30)
        if self.failing > 0:
            self.failing -= 1
            return json_reply({"error": {"message": "out of order"}}, 503)
        if not self._is_known(received):
            return json_reply({"error": {"message": "no such token"}}, 401)
        self.done.append(f"{received.method} {received.path}")
        return self._api(received)

    def _is_known(self, received: Received) -> bool:
        given = (
            received.headers.get("x-shopify-access-token")
            or received.headers.get("authorization", "").rpartition(" ")[2]
        )
        return given in self.tokens

    def _api(self, received: Received) -> Reply:
        match received.method, received.path:
            case "POST", "/api/chat.postMessage":
                return json_reply({"ok": True, "channel": received.json["channel"], "ts": "1714305660.000001"})
            case "POST", "/api/auth.test":
                return json_reply({"ok": True, "team": "T1"})
            case "POST", "/rest/api/3/issue":
                return json_reply({"id": "1", "key": "FRAUD-1"}, 201)
            case "GET", "/admin/api/2025-01/orders/7.json":
                return json_reply({"order": {"id": 7, "tags": self.tags, "cancelled_at": None}})
            case "PUT", "/admin/api/2025-01/orders/7.json":
                self.tags = received.json["order"]["tags"]
                return json_reply({"order": {"id": 7, "tags": self.tags}})
        return json_reply({"id": "x", "status": "ok", "user": {"id": "u"}})

    def _token(self, received: Received) -> Reply:
        form = {name: values[0] for name, values in parse_qs(received.body.decode()).items()}
        self.grants.append(form)
        if form["grant_type"] == "refresh_token" and form["refresh_token"] == REFRESH:
            self.tokens.add(RENEWED)
            return json_reply({"access_token": RENEWED, "expires_in": 3600})
        if form["grant_type"] == "authorization_code" and form["code"] == CODE:
            granted = {"access_token": TOKEN, "refresh_token": REFRESH, "expires_in": 3600, "account_id": "acct_1"}
            return json_reply(granted)
        return json_reply({"error": "invalid_grant"}, 400)


@contextmanager
def vendors() -> Iterator[tuple[Server, Vendors]]:
    state = Vendors()
    with serving(state.answer, state) as server:
        yield server, state
        state.may_go.set()


def sent(server: Server, path: str) -> list[Any]:
    """Bodies of the requests to a path, in order."""
    return [json.loads(each.body) if each.body else None for each in server.requests if each.path == path]
