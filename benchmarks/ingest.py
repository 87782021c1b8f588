"""W7: incidents reported in lists of a thousand, half of them known already, beside bare inserts of the same rows.

The baseline is psycopg's ``executemany`` (one pipeline and one commit a list) into a table with the columns, indexes
and constraints of incidents. Ours finds what is known, holds the cap, and stores the events as well.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from django.db import connection
from django.utils import timezone

from accounts.models import Tenant
from accounts.services import create_tenant
from benchmarks.table import Figure
from core.actors import SYSTEM
from incidents.engine.finding import Finding
from incidents.services import report_incidents

LIST = 1_000
COPY = "incidents_bench"
RAW = f"""
INSERT INTO {COPY} (tenant_id, kind, key, subject, severity, status, summary, details, playbooks, metadata, made_by,
                    created_at, updated_at)
VALUES (%s, 'budget', %s, %s, 'sev3', 'open', %s, %s::jsonb, '{{rerun_eval}}', %s::jsonb, 'bench', now(), now())
"""


def measure(*, rows: int, rounds: int, say: Callable[[str], None]) -> Figure:
    """``rows`` are reported a round, a multiple of LIST. Django is set up, and its database is ours alone."""
    ours, baseline = [], []
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {COPY} (LIKE incidents_incident INCLUDING ALL)")
    try:
        for number in range(-1, rounds):  # the first warms up and does not count
            raw, reported = _raw(rows), _reported(rows)
            if number >= 0:
                baseline.append(raw)
                ours.append(reported)
            say(f"W7 round {number + 1} of {rounds}: {reported:.0f}/s beside {raw:.0f}/s")
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {COPY}")
    return Figure("W7", f"{rows} incidents in lists of {LIST}, half known, incidents/s", ours, baseline, least=0.2)


def _reported(rows: int) -> float:
    tenant = _tenant()
    keys = [f"k{number:06}" for number in range(rows // 2)] * 2
    random.Random(7).shuffle(keys)
    lists = [[finding(key) for key in keys[start : start + LIST]] for start in range(0, rows, LIST)]
    made = 0

    def report(findings: Sequence[Finding]) -> None:
        nonlocal made
        answers = report_incidents(tenant=tenant, findings=findings, actor=SYSTEM, now=timezone.now())
        made += sum(one.outcome == "created" for one in answers)

    seconds = _timed(report, lists)
    if made != rows // 2:
        raise RuntimeError(f"{made} incidents were made of {rows // 2}")
    return rows / seconds


def _raw(rows: int) -> float:
    tenant = _tenant()
    lists = [[_raw_row(tenant, number) for number in range(start, start + LIST)] for start in range(0, rows, LIST)]

    def insert(batch: Sequence[Any]) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(RAW, batch)

    return rows / _timed(insert, lists)


def _timed(act: Callable[[Any], None], lists: Sequence[Any]) -> float:
    began = time.perf_counter()
    for one in lists:
        act(one)
    return time.perf_counter() - began


def _tenant() -> Tenant:
    slug = f"bench-{uuid4().hex[:12]}"
    return create_tenant(slug=slug, name=slug, now=timezone.now())


def finding(key: str) -> Finding:
    details = {"overage": 50, "overage_pct": 50.0, "context": {"of": key}}
    return Finding("budget", key, "sev3", f"{key} is overrun", details, ("rerun_eval",), {"agent": "bench"})


def _raw_row(tenant: Tenant, number: int) -> tuple[Any, ...]:
    details = f'{{"overage": 50, "overage_pct": 50.0, "context": {{"of": "k{number}"}}}}'
    return (tenant.id, f"k{number:06}", uuid4(), f"k{number:06} is overrun", details, '{"agent": "bench"}')
