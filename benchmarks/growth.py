"""How large the tables get, and what a vacuum has to do: sizes with more and more history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from django.db import connection

from accounts.services import create_tenant
from benchmarks.cost import Result
from benchmarks.history import begin
from executions.statements import database_now

SIZES = """
SELECT c.relname, pg_table_size(c.oid), pg_indexes_size(c.oid), c.reltuples::bigint
  FROM pg_class c
 WHERE c.relname IN ('executions_execution', 'executions_scope', 'executions_steprun', 'executions_attempt',
                     'executions_event')
"""


def measure(counts: Sequence[int], *, say: Callable[[str], None]) -> Result:
    """Return KiB an execution in each table, heap and indexes, once there are ``counts`` executions."""
    tenant = create_tenant(slug=f"growth-{uuid4().hex[:8]}", name="Growth", now=database_now())
    history = begin(tenant)
    taken: dict[int, dict[str, tuple[int, int, int]]] = {}
    for count in counts:
        history.grow(count, say=say)
        taken[count] = _sizes()
    return Result(_table(taken), _figures(taken))


def _sizes() -> dict[str, tuple[int, int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(SIZES)
        return {name.removeprefix("executions_"): tuple(sizes) for name, *sizes in cursor.fetchall()}


def _table(taken: dict[int, dict[str, tuple[int, int, int]]]) -> str:
    """MiB for ten thousand executions: the table, and its indexes."""
    heads = [f"{count:,} executions" for count in taken]
    lines = [
        f"| MiB for 10,000 executions: table + indexes | rows an execution | {' | '.join(heads)} |",
        f"|---|---|{'---|' * len(taken)}",
    ]
    last = max(taken)
    for name in sorted(taken[last]):
        cells = [_cell(*sizes[name][:2], count=count) for count, sizes in taken.items()]
        lines.append(f"| {name} | {taken[last][name][2] / last:.1f} | {' | '.join(cells)} |")
    totals = [
        _cell(sum(size[0] for size in sizes.values()), sum(size[1] for size in sizes.values()), count=count)
        for count, sizes in taken.items()
    ]
    lines.append(f"| **all** | {sum(size[2] for size in taken[last].values()) / last:.1f} | {' | '.join(totals)} |")
    return "\n".join(lines)


def _cell(table: int, indexes: int, *, count: int) -> str:
    scale = 10_000 / count / 2**20
    return f"{table * scale:.1f} + {indexes * scale:.1f}"


def _figures(taken: dict[int, dict[str, tuple[int, int, int]]]) -> dict[str, Any]:
    last = max(taken)
    octets = sum(table + indexes for table, indexes, _ in taken[last].values())
    return {"octets_per_execution": octets / last, "sizes": {str(count): sizes for count, sizes in taken.items()}}
