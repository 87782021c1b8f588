"""``clear_cache`` and ``refresh_synonyms``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from incidents.actions.base import Action, Param, Plan, Planner

CACHES = ("query", "request", "fielddata")
_INDEX = Param("index_name", "string", required=True, pattern=r"\.?[a-z0-9][a-z0-9._-]{0,198}")


def _clear(params: Mapping[str, Any], _: Planner | None) -> Plan:
    wanted = [name for name in CACHES if name in params["cache_types"]]
    resolved = {"index_name": params["index_name"], "cache_types": wanted}
    return Plan(
        message=f"Clear caches of {params['index_name']}: {', '.join(wanted)}",
        details=resolved,
        changes=tuple(f"Will clear the {name} cache of {params['index_name']}" for name in wanted),
        duration=5,
        cost=0,
        operation="opensearch.clear_cache",
        arguments={"index": params["index_name"], "cache_types": wanted},
        resolved=resolved,
    )


def _clear_done(resolved: Mapping[str, Any], output: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return f"Cleared caches of {resolved['index_name']}", {**resolved, "shards": output["shards"]}


def _refresh(params: Mapping[str, Any], _: Planner | None) -> Plan:
    index, reindex = params["index_name"], params["reindex"]
    optional = {name: params[name] for name in ("synonym_filter",) if name in params}
    again = ("Will index every document anew, in the background",) if reindex else ()
    return Plan(
        message=f"Refresh synonyms of {index}",
        details=params,
        changes=(f"Will reload the search analyzers of {index}", *again),
        duration=21_600 if reindex else 30,
        cost=10 if reindex else 0,
        requires_approval=reindex,
        operation="opensearch.refresh_synonyms",
        arguments={"index": index, "reindex": reindex, **optional},
        resolved=params,
    )


def _refresh_done(resolved: Mapping[str, Any], output: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    task = output["reindex_task"]
    more = f"; every document is indexed anew by the task {task}" if task else ""
    return f"Refreshed synonyms of {resolved['index_name']}{more}", {**resolved, **output}


CLEAR_CACHE = Action(
    action_type="clear_cache",
    display_name="Clear Elasticsearch Cache",
    description="Clear query/request/fielddata caches",
    duration="5 seconds",
    cost="$0",
    params=(
        _INDEX,
        Param("cache_types", "array[string]", default=list(CACHES), shown_default="all", most=3, choices=CACHES),
    ),
    plan=_clear,
    done=_clear_done,
)
REFRESH_SYNONYMS = Action(
    action_type="refresh_synonyms",
    display_name="Refresh Synonyms",
    description="Reload the synonyms of a search index; with reindex, index every document anew",
    duration="30 seconds",
    cost="$0",
    params=(_INDEX, Param("synonym_filter", "string"), Param("reindex", "boolean", default=False)),
    plan=_refresh,
    done=_refresh_done,
)
