"""``clear_cache`` against a server that answers as OpenSearch does; ``refresh_synonyms`` by the shapes of both
references, since that server has no analyzers to reload."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.base import OutcomeKind
from tests.connectors.calls import Connect, Run, operation
from tests.connectors.opensearch.cluster import ask, cluster
from tests.connectors.servers import Received, Reply, Server, json_reply, serving

pytestmark = pytest.mark.django_db

TOKEN = "stand-in-token-of-cluster"
SHARDS = {"_shards": {"total": 2, "successful": 2, "failed": 0}}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with cluster() as address:
        yield address


@pytest.fixture
def real(connect: Connect, url: str) -> str:
    connect("opensearch", "search", url)
    return url


@pytest.fixture
def stand_in(connect: Connect) -> Iterator[Server]:
    with serving(_answer) as server:
        connect("opensearch", "search", server.url, secrets={"token": TOKEN})
        yield server


def _answer(received: Received) -> Reply:
    """Source of the shapes: OpenSearch 3 "Refresh search analyzer", Elasticsearch 8 "Reload search analyzers"."""
    if received.headers.get("authorization") != f"Bearer {TOKEN}":
        return json_reply({"error": "no"}, 401)
    match received.method, received.path:
        case "GET", "/emails/_settings":
            filters = {
                "words": {"type": "synonym_graph", "updateable": "true", "synonyms_path": "words.txt"},
                "fixed": {"type": "synonym", "synonyms_path": "fixed.txt"},
            }
            return json_reply({"emails": {"settings": {"index": {"analysis": {"filter": filters}}}}})
        case "POST", "/_plugins/_refresh_search_analyzers/emails":
            refreshed = [{"index": "emails", "refreshed_analyzers": ["searching"]}]
            return json_reply({**SHARDS, "successful_refresh_details": refreshed})
        case "POST", "/emails/_reload_search_analyzers":
            reloaded = [{"index": "emails", "reloaded_analyzers": ["searching"], "reloaded_node_ids": ["n1"]}]
            return json_reply({**SHARDS, "reload_details": reloaded})
        case "POST", "/emails/_update_by_query":
            return json_reply({"task": "oTUltX4IQMOUUVeiohTt8A:12345"})
    return json_reply({"error": "no such path"}, 404)


def clear(**more: Any) -> Any:
    return operation("opensearch.clear_cache", {"index": "emails", **more})


def refresh(**more: Any) -> Any:
    return operation("opensearch.refresh_synonyms", {"index": "emails", **more})


@pytest.mark.parametrize(
    ("more", "cleared"),
    [({}, ["query", "request", "fielddata"]), ({"cache_types": ["request", "query"]}, ["query", "request"])],
)
def test_caches_of_an_index_are_cleared(run: Run, real: str, more: Any, cleared: list[str]) -> None:
    outcome = run(clear(**more)).outcome

    assert outcome.kind is OutcomeKind.COMPLETED
    assert outcome.output["cache_types"] == cleared
    assert outcome.output["shards"] >= 1
    assert ask("GET", f"{real}/emails/_doc/1")["found"] is True


def test_an_index_that_is_not_there_is_refused_by_the_cluster(run: Run, real: str) -> None:
    outcome = run(operation("opensearch.clear_cache", {"index": "nobody"})).outcome

    assert (outcome.code, outcome.status, outcome.retry) == ("client_error", 404, False)


@pytest.mark.parametrize(
    "index", ["", "..", ".", "_all", "*", "a,b", "a/b", "A", "a?b", "a%2fb", "-a", "x" * 201, 7, None]
)
def test_only_one_index_may_be_named(run: Run, stand_in: Server, index: Any) -> None:
    outcome = run(operation("opensearch.clear_cache", {"index": index})).outcome

    assert (outcome.code, outcome.sent) == ("argument_invalid", False)
    assert stand_in.connections == 0


def test_flags_name_exactly_the_caches_that_are_wanted(run: Run, stand_in: Server) -> None:
    stand_in.answers.append(json_reply(SHARDS))

    run(clear(cache_types=["fielddata"]))

    assert (stand_in.requests[0].method, stand_in.requests[0].path) == ("POST", "/emails/_cache/clear")
    assert stand_in.requests[0].query == {"fielddata": "true"}


@pytest.mark.parametrize(
    ("reply", "code", "retry"),
    [
        (json_reply({"_shards": {"total": 2, "successful": 1, "failed": 1}}), "server_error", None),
        (json_reply({"acknowledged": True}), "bad_answer", False),
        (Reply(200, b"<html>"), "bad_answer", False),
        (json_reply({}, 403), "unauthorized", False),
        (json_reply({}, 502), "server_error", None),
        (json_reply({}, 429, **{"Retry-After": "7"}), "rate_limited", None),
    ],
)
def test_what_the_cluster_refuses(run: Run, stand_in: Server, reply: Reply, code: str, retry: bool | None) -> None:
    stand_in.answers.append(reply)

    outcome = run(clear()).outcome

    assert (outcome.kind, outcome.code, outcome.retry) == (OutcomeKind.FAILED, code, retry)


@pytest.mark.parametrize(
    ("flavour", "path"),
    [
        ("opensearch", "/_plugins/_refresh_search_analyzers/emails"),
        ("elasticsearch", "/emails/_reload_search_analyzers"),
    ],
)
def test_search_analyzers_are_reloaded_as_each_flavour_does(
    run: Run, connect: Connect, stand_in: Server, flavour: str, path: str
) -> None:
    connect("opensearch", "search", stand_in.url, settings={"flavour": flavour})

    outcome = run(refresh()).outcome

    assert outcome.output == {"analyzers": ["searching"], "reindex_task": None}
    assert [request.path for request in stand_in.requests] == [path]


def test_a_reindex_goes_on_at_the_cluster(run: Run, stand_in: Server) -> None:
    outcome = run(refresh(reindex=True)).outcome

    assert outcome.output["reindex_task"] == "oTUltX4IQMOUUVeiohTt8A:12345"
    assert stand_in.requests[-1].query == {"conflicts": "proceed", "wait_for_completion": "false"}


@pytest.mark.parametrize(("name", "code"), [("words", ""), ("fixed", "argument_invalid"), ("none", "argument_invalid")])
def test_a_named_filter_must_be_one_that_a_reload_reads(run: Run, stand_in: Server, name: str, code: str) -> None:
    outcome = run(refresh(synonym_filter=name)).outcome

    assert outcome.code == code
    assert any(request.method == "POST" for request in stand_in.requests) == (code == "")
