"""A planner service made from ``connectors/planner/openapi.yaml``: it keeps versions, and holds each request and answer
against that document. What does not fit is a fault, which the fixture's end reports."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from connectors import planner
from tests.connectors.servers import Received, Reply, Server, json_reply, serving

DOCUMENT: Mapping[str, Any] = yaml.safe_load((Path(planner.__file__).with_name("openapi.yaml")).read_text())
TOKEN = "stand-in-token-of-planner"


@dataclass
class Planner:
    """``percents``: version -> what it serves. ``order``: the stable versions, the present one last."""

    percents: dict[str, int] = field(default_factory=lambda: {"v0": 0, "v1": 90, "v2": 10})
    order: list[str] = field(default_factory=lambda: ["v0", "v1"])
    faults: list[str] = field(default_factory=list)
    writes: list[tuple[str, Any]] = field(default_factory=list)

    def shown(self, version: str) -> dict[str, Any]:
        percent = self.percents[version]
        return {"version": version, "percent": percent, "target_percent": percent}

    def listed(self) -> dict[str, Any]:
        before = self.order[-2] if len(self.order) > 1 else None
        stable = self.order[-1] if self.order else None
        return {"stable": stable, "previous": before, "versions": [self.shown(each) for each in self.percents]}


@contextmanager
def planner_service(state: Planner | None = None) -> Iterator[Server]:
    kept = state or Planner()
    with serving(lambda received: _handle(kept, received), kept) as server:
        yield server
    assert kept.faults == []


def _handle(state: Planner, received: Received) -> Reply:
    found = _route(received)
    if found is None:
        state.faults.append(f"no such path: {received.method} {received.path}")
        return json_reply({"message": "no such path"}, 404)
    operation, named = found
    if received.headers.get("authorization") != f"Bearer {TOKEN}":
        status, body = 401, {"message": "who are you?"}
    else:
        given = received.json if received.body else None
        _hold(state, operation.get("requestBody"), given)
        status, body = _carried_out(state, operation["operationId"], {**named, **(given or {})})
    _hold(state, _answer_of(operation, status), body)
    return json_reply(body, status)


def _route(received: Received) -> tuple[Mapping[str, Any], dict[str, str]] | None:
    for path, item in DOCUMENT["paths"].items():
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
        matched = re.fullmatch(pattern, received.path)
        if matched and received.method.lower() in item:
            return item[received.method.lower()], matched.groupdict()
    return None


def _answer_of(operation: Mapping[str, Any], status: int) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = operation["responses"][str(status)]
    if "$ref" in answer:
        answer = DOCUMENT["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return answer


def _hold(state: Planner, described: Mapping[str, Any] | None, value: Any) -> None:
    """Note where a body does not fit its description. References resolve inside the document's components."""
    if described is None:
        if value is not None:
            state.faults.append("a body where none is described")
        return
    schema = {**described["content"]["application/json"]["schema"], "components": DOCUMENT["components"]}
    state.faults += [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(value)]


def _carried_out(state: Planner, operation: str, given: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    if operation == "listVersions":
        return 200, state.listed()
    state.writes.append((operation, dict(given)))
    match operation:
        case "deploy":
            state.percents[given["version"]] = given["canary_percent"]
            return 200, state.shown(given["version"])
        case "rollback":
            return _roll_back(state, given["from_version"], given["to_version"])
    if given["version"] not in state.percents:
        return 404, {"message": "no such version"}
    state.percents[given["version"]] = given["percent"]
    return 200, state.shown(given["version"])


def _roll_back(state: Planner, left: str, goal: str) -> tuple[int, dict[str, Any]]:
    if goal not in state.percents or left not in state.percents:
        return 404, {"message": "no such version"}
    state.percents[left] = 0
    state.percents[goal] = 100
    state.order = [*(each for each in state.order if each != goal), goal]
    return 200, state.shown(goal)
