"""What the operations on a search index declare (CONNECTORS.md, 4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from connectors.base import EffectClass, OperationSpec

CACHES = ("query", "request", "fielddata")
#: one index or alias: no list, no wildcard, nothing that means every index
INDEX_PATTERN = r"^\.?[a-z0-9][a-z0-9._-]{0,198}$"

_INDEX: Mapping[str, Any] = {
    "connection": {"type": "string"},
    "index": {"type": "string", "pattern": INDEX_PATTERN, "description": "Name of one index or alias."},
}

OPERATIONS = (
    OperationSpec(
        name="opensearch.clear_cache",
        title="Clear the caches of a search index",
        effect=EffectClass.IDEMPOTENT,
        reference="act-opensearch-clear-cache",
        connection_kind="opensearch",
        inputs={
            "type": "object",
            "properties": {
                **_INDEX,
                "cache_types": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 3,
                    "items": {"enum": list(CACHES)},
                    "default": list(CACHES),
                },
            },
            "required": ["index"],
            "additionalProperties": False,
        },
        outputs={
            "type": "object",
            "properties": {
                "cache_types": {"type": "array", "items": {"type": "string"}},
                "shards": {"type": "integer"},
            },
            "required": ["cache_types", "shards"],
        },
        secret_fields=("token", "password"),
    ),
    OperationSpec(
        name="opensearch.refresh_synonyms",
        title="Reload the synonyms of a search index",
        effect=EffectClass.IDEMPOTENT,
        reference="act-opensearch-refresh-synonyms",
        connection_kind="opensearch",
        inputs={
            "type": "object",
            "properties": {
                **_INDEX,
                "synonym_filter": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 200,
                    "description": "Name of the filter that must be there; all of the index's analyzers are reloaded.",
                },
                "reindex": {
                    "type": "boolean",
                    "default": False,
                    "description": "Also index every document anew, in the background of the far side.",
                },
            },
            "required": ["index"],
            "additionalProperties": False,
        },
        outputs={
            "type": "object",
            "properties": {
                "analyzers": {"type": "array", "items": {"type": "string"}},
                "reindex_task": {"type": ["string", "null"]},
            },
            "required": ["analyzers", "reindex_task"],
        },
        call_limit=timedelta(minutes=2),
        secret_fields=("token", "password"),
    ),
)
