"""The conditions of triggers (contracts/s4e.md, trigger)."""

from __future__ import annotations

from typing import Any

import pytest

from executions.engine.triggers import matches, validate_conditions
from executions.matching import check_pattern, re2_search

FINDING: dict[str, Any] = {
    "severity": "critical",
    "cvss": 9.1,
    "count": 1,
    "open": True,
    "owner": None,
    "title": "Weak TLS on web-1",
    "asset": {"tags": ["production", "web"], "site": {"name": "eu"}},
}


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"severity": "critical"},
        {"severity": "critical", "cvss": 9.10},
        {"severity": {"$in": ["high", "critical"]}},
        {"severity": {"$nin": ["low"]}},
        {"severity": {"$eq": "critical", "$ne": "high"}},
        {"cvss": {"$gte": 9, "$lt": 10}},
        {"cvss": {"$gt": 9.0, "$lte": 9.1}},
        {"severity": {"$gt": "a"}},
        {"count": 1.0},
        {"asset.tags": {"$contains": "production"}},
        {"asset.tags": ["production", "web"]},
        {"asset.tags.0": "production"},
        {"asset.site": {"name": "eu"}},
        {"asset.site.name": "eu"},
        {"title": {"$contains": "TLS"}},
        {"title": {"$regex": r"web-\d$"}},
        {"owner": None},
        {"owner": {"$exists": True}},
        {"nothing": {"$exists": False}},
        {"nothing.at.all": {"$ne": "x"}},
        {"nothing": {"$nin": ["x", None]}},
    ],
)
def test_an_event_meets(conditions: dict[str, Any]) -> None:
    assert validate_conditions(conditions, check_pattern) == []
    assert matches(conditions, FINDING, re2_search)


@pytest.mark.parametrize(
    "conditions",
    [
        {"severity": "Critical"},
        {"severity": "critical", "cvss": 5},
        {"severity": {"$in": []}},
        {"severity": {"$in": ["critical"], "$ne": "critical"}},
        {"cvss": {"$gt": "9"}},
        {"cvss": "9.1"},
        {"open": 1},
        {"count": True},
        {"open": {"$gt": 0}},
        {"asset.tags": "production"},
        {"asset.tags": {"$contains": "prod"}},
        {"asset.site": {"$contains": "name"}},
        {"title": {"$contains": 5}},
        {"title": {"$regex": "^TLS"}},
        {"asset.tags": {"$regex": "web"}},
        {"nothing": None},
        {"nothing": {"$eq": None}},
        {"nothing": {"$in": [None]}},
        {"nothing": {"$lt": 5}},
        {"nothing": {"$contains": "x"}},
        {"nothing": {"$regex": ""}},
        {"nothing": {"$exists": True}},
        {"owner": {"$exists": False}},
        {"owner": {"$lt": 5}},
        {"asset.__class__": {"$exists": True}},
        {"nothing": {"$ne": "x", "$in": ["y"]}},
    ],
)
def test_an_event_does_not_meet(conditions: dict[str, Any]) -> None:
    assert validate_conditions(conditions, check_pattern) == []
    assert not matches(conditions, FINDING, re2_search)


def test_a_text_that_is_too_long_to_search_does_not_meet_a_pattern() -> None:
    assert not matches({"title": {"$regex": "a"}}, {"title": "a" * 1_100_000}, re2_search)


@pytest.mark.parametrize(
    ("conditions", "path"),
    [
        ([], ""),
        ("severity", ""),
        ({"$or": []}, "$or"),
        ({"a": {"$bogus": 1}}, "a.$bogus"),
        ({"a": {"$in": "x"}}, "a.$in"),
        ({"a": {"$nin": {}}}, "a.$nin"),
        ({"a": {"$exists": 1}}, "a.$exists"),
        ({"a": {"$gt": True}}, "a.$gt"),
        ({"a": {"$lte": None}}, "a.$lte"),
        ({"a": {"$regex": 5}}, "a.$regex"),
        ({"a": {"$regex": "("}}, "a.$regex"),
        ({"a": {"$regex": "a" * 1001}}, "a.$regex"),
        ({"a": {"$eq": 1, "b": 2}}, "a.b"),
        ({"": 1}, ""),
        ({"a..b": 1}, "a..b"),
    ],
)
def test_faults_are_named_with_what_would_be_right(conditions: Any, path: str) -> None:
    faults = validate_conditions(conditions, check_pattern)
    assert [fault for fault, _ in faults] == [path]
    assert all(message for _, message in faults)


def test_every_fault_is_listed() -> None:
    faults = validate_conditions({"a": {"$x": 1, "$in": 2}, "$y": 3})
    assert [path for path, _ in faults] == ["a.$x", "a.$in", "$y"]
