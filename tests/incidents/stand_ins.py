"""Stand-ins for the issue trackers, on loopback. ``state.issues`` is what they hold."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.connectors.servers import Received, Reply, Server, json_reply, serving

TOKEN = "stand-in-token-of-a-tracker"
Issue = dict[str, Any]


@dataclass
class State:
    issues: list[Issue] = field(default_factory=list)

    def at(self, received: Received, place: int) -> Issue:
        return self.issues[int(received.path.split("/")[place]) - 1]


@contextmanager
def github() -> Iterator[Server]:
    """Issues of ``org/repo``."""
    state, root = State(), "/repos/org/repo/issues"

    def handle(received: Received) -> Reply:
        if received.headers.get("authorization") != f"Bearer {TOKEN}":
            return json_reply({"message": "Bad credentials"}, 401)
        match received.method, received.path.removeprefix(root).count("/"):
            case "POST", 0:
                url = f"https://github.example/org/repo/issues/{len(state.issues) + 1}"
                state.issues.append({**received.json, "html_url": url, "state": "open", "comments": []})
                return json_reply(state.issues[-1], 201)
            case "GET", 0:
                return json_reply(state.issues)
            case "POST", 2:
                state.at(received, 5)["comments"].append(received.json["body"])
                return json_reply({}, 201)
            case "PATCH", 1:
                state.at(received, 5).update(received.json)
                return json_reply({})
        return json_reply({"message": "Not Found"}, 404)

    with serving(handle, state) as server:
        yield server


@contextmanager
def gitlab() -> Iterator[Server]:
    """Issues of project 42."""
    state, root = State(), "/api/v4/projects/42/issues"

    def handle(received: Received) -> Reply:
        if received.headers.get("private-token") != TOKEN:
            return json_reply({"message": "401 Unauthorized"}, 401)
        match received.method, received.path.removeprefix(root).count("/"):
            case "POST", 0:
                number = len(state.issues) + 1
                url = f"https://gitlab.example/org/repo/-/issues/{number}"
                state.issues.append({**received.json, "iid": number, "web_url": url, "state_event": "", "comments": []})
                return json_reply(state.issues[-1], 201)
            case "GET", 0:
                return json_reply(state.issues)
            case "POST", 2:
                state.at(received, 6)["comments"].append(received.json["body"])
                return json_reply({}, 201)
            case "PUT", 1:
                state.at(received, 6).update(received.json)
                return json_reply({})
        return json_reply({"message": "404 Not Found"}, 404)

    with serving(handle, state) as server:
        yield server


@contextmanager
def jira() -> Iterator[Server]:
    """Issues of project OPS; ``Done`` is one of two ways on."""
    state, login = State(), b64encode(f"bot@example.org:{TOKEN}".encode()).decode()
    ways = [
        {"id": "11", "to": {"statusCategory": {"key": "indeterminate"}}},
        {"id": "31", "to": {"statusCategory": {"key": "done"}}},
    ]

    def issue_of(received: Received) -> Issue:
        return state.issues[int(received.path.split("/")[5].partition("-")[2]) - 1]

    def handle(received: Received) -> Reply:
        if received.headers.get("authorization") != f"Basic {login}":
            return json_reply({"errorMessages": ["not logged on"]}, 401)
        match received.method, received.path.rpartition("/")[2]:
            case "POST", "issue":
                issue = {"key": f"OPS-{len(state.issues) + 1}", **received.json, "comments": [], "transition": None}
                state.issues.append(issue)
                return json_reply({"id": "1", "key": issue["key"]}, 201)
            case "POST", "jql":
                wanted = received.json["jql"].partition('"')[2].rpartition('"')[0]
                found = [issue for issue in state.issues if wanted in issue["fields"]["labels"]]
                return json_reply({"issues": found, "isLast": True})
            case "POST", "comment":
                issue_of(received)["comments"].append(received.json["body"])
                return json_reply({}, 201)
            case "GET", "transitions":
                return json_reply({"transitions": ways})
            case "POST", "transitions":
                issue_of(received).update(received.json)
                return Reply(204)
        return json_reply({"errorMessages": ["no such path"]}, 404)

    with serving(handle, state) as server:
        yield server
