"""``opensearch.clear_cache`` and ``opensearch.refresh_synonyms``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.base import Command, Outcome, completed, failed
from connectors.opensearch.client import call
from connectors.opensearch.schema import CACHES


class OpenSearchConnector:
    async def run(self, command: Command) -> Outcome:
        if command.operation == "opensearch.clear_cache":
            return await _clear(command)
        return await _refresh(command)


async def _clear(command: Command) -> Outcome:
    """Source: the reference of ``_cache/clear``. Without flags it clears everything; a named flag means only those."""
    wanted = command.arguments.get("cache_types") or CACHES
    flags = {name: "true" for name in CACHES if name in wanted}
    answer = await call(command, "POST", f"/{command.arguments['index']}/_cache/clear", flags)
    if isinstance(answer, Outcome):
        return answer
    shards = _shards(answer)
    return shards if isinstance(shards, Outcome) else completed({"cache_types": list(flags), "shards": shards})


async def _refresh(command: Command) -> Outcome:
    index, name = command.arguments["index"], command.arguments.get("synonym_filter")
    if name is not None:
        refused = await _check_filter(command, index, name)
        if refused is not None:
            return refused
    is_elastic = command.endpoint is not None and command.endpoint.settings.get("flavour") == "elasticsearch"
    path = f"/{index}/_reload_search_analyzers" if is_elastic else f"/_plugins/_refresh_search_analyzers/{index}"
    answer = await call(command, "POST", path)
    if isinstance(answer, Outcome):
        return answer
    shards = _shards(answer)
    if isinstance(shards, Outcome):
        return shards
    task = await _reindexed(command, index) if command.arguments.get("reindex") else None
    return task if isinstance(task, Outcome) else completed({"analyzers": _analyzers(answer), "reindex_task": task})


async def _check_filter(command: Command, index: str, name: str) -> Outcome | None:
    """A filter that is not there, or is read only once, would be reloaded without a word and without effect."""
    answer = await call(command, "GET", f"/{index}/_settings")
    if isinstance(answer, Outcome):
        return answer
    filters = [_at(found, "settings", "index", "analysis", "filter", name) for found in answer.values()]
    if not filters or not all(isinstance(found, dict) for found in filters):
        return failed("argument_invalid", "The index has no synonym filter of that name.", sent=True, retry=False)
    if not all(str(found.get("updateable")).lower() == "true" for found in filters):
        return failed(
            "argument_invalid", "That filter is not updateable, so no reload reads it.", sent=True, retry=False
        )
    return None


async def _reindexed(command: Command, index: str) -> str | Outcome:
    """Let the far side index every document anew, by itself: that takes hours."""
    flags = {"conflicts": "proceed", "wait_for_completion": "false"}
    answer = await call(command, "POST", f"/{index}/_update_by_query", flags)
    if isinstance(answer, Outcome):
        return answer
    task = answer.get("task")
    if isinstance(task, str) and task:
        return task
    return failed("bad_answer", "The cluster's answer names no task.", sent=True, retry=False)


def _shards(answer: Mapping[str, Any]) -> int | Outcome:
    total, lost = _at(answer, "_shards", "total"), _at(answer, "_shards", "failed")
    if not isinstance(total, int) or not isinstance(lost, int):
        return failed("bad_answer", "The cluster's answer counts no shards.", sent=True, retry=False)
    if lost:
        return failed("server_error", f"{lost} of {total} shards failed.", sent=True)
    return total


def _analyzers(answer: Mapping[str, Any]) -> list[str]:
    """Elasticsearch lists them under ``reload_details``, OpenSearch under ``successful_refresh_details``."""
    details = answer.get("reload_details") or answer.get("successful_refresh_details") or []
    lists = [
        found.get("reloaded_analyzers") or found.get("refreshed_analyzers") or []
        for found in (details if isinstance(details, list) else [])
        if isinstance(found, dict)
    ]
    return sorted({name for names in lists if isinstance(names, list) for name in names if isinstance(name, str)})


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
