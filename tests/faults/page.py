"""Writes the generated part of docs/reliability.md from results; figures come from nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from config.home import ROOT

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
#: seconds beyond a lease within which what was lost is to be taken up again, at the 95th percentile
BAR = 5.0
Result = Mapping[str, Any]

COLUMNS = (
    "id", "fault", "faults", "executions", "steps", "lost", "double", "unflagged", "unordered", "uncertain (applied)",
    "resent", "recovery p50 / p95 / p99 (s)", "steps/s", "drain (s)", "verdict",
)  # fmt: skip


def write_page(results: Sequence[Result], *, command: str, path: Path = PAGE) -> None:
    """Put the results between the markers; what stands outside them is left as it is."""
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest or END not in text:
        raise ValueError(f"{path} has no place for the results: {BEGIN} ... {END}")
    path.write_text(f"{before}{BEGIN}\n\n{generated(results, command=command)}\n{END}{after}", encoding="utf-8")


def generated(results: Sequence[Result], *, command: str) -> str:
    measured = [result for result in results if result.get("machine")]
    lines = [f"Made by `{command}`."]
    if not measured:
        lines.append("Nothing has been measured yet.")
    for told in sorted({_measured_on(result) for result in measured}):
        lines.append(f"- {told}")
    lines += ["", _row(COLUMNS), _row(["---"] * len(COLUMNS))]
    lines += [_row(cells(result)) for result in results]
    lines += ["", *_totals(measured)]
    reasons = [result for result in results if result["verdict"] != "proven"]
    if reasons:
        lines += ["", "What is not proven, and why:", ""]
        lines += [
            f"- **{result['id']}** {result['title']}: {result['verdict']}, {result['reason']}" for result in reasons
        ]
    ends = [result for result in measured if result.get("notes", {}).get("ended_by_themselves")]
    if ends:
        lines += ["", "Workers that ended by themselves, and were started again as a process manager does:", ""]
        lines += [f"- {result['id']}: {_counts(result['notes']['ended_by_themselves'])}" for result in ends]
    lines += ["", "Seeds, and the SHA-256 of each ledger file:", ""]
    lines += [f"- {result['id']}: seed {result['seed']}, `{result['ledger_sha256'][:16]}`, "
              f"{_counts(result['by_kind']) or 'no faults'}" for result in measured]  # fmt: skip
    return "\n".join(lines) + "\n"


def cells(result: Result) -> list[str]:
    """One row of the table; a row without figures has its verdict only."""
    if not result.get("machine"):
        return [result["id"], result["title"], *["-"] * (len(COLUMNS) - 3), told(result)]
    recovery = " / ".join(_figure(result[f"recovery_{share}_s"]) for share in ("p50", "p95", "p99"))
    return [
        result["id"],
        result["title"],
        f"{result['faults']} of {result['minimum']}",
        str(result["executions"]),
        str(result["steps"]),
        *(str(result[name]) for name in ("lost", "doubled", "unflagged", "unordered")),
        f"{result['uncertain']} ({result['uncertain_applied']})",
        str(result["resent"]),
        recovery if result["recoveries"] else "-",
        str(result["steps_per_s"]),
        str(result["drain_s"]),
        told(result),
    ]


def told(result: Result) -> str:
    """The verdict in words. A recovery over the bar is said beside it: it is late, and nothing is wrong."""
    if result["verdict"] == "red":
        return f"**red**: {result['reason']}"
    slow = result.get("recovery_p95_s")
    bar = result.get("lease_s", 0) + BAR
    late = f"; recovery over {bar:g} s" if slow is not None and slow > bar else ""
    return f"{result['verdict']}{late}"


def table(results: Sequence[Result]) -> str:
    """The end table for a terminal."""
    wanted = ("id", "fault", "faults", "executions", "steps", "lost", "double", "unflagged", "unordered",
              "uncertain (applied)", "verdict")  # fmt: skip
    rows = [list(wanted)]
    rows += [[cell for name, cell in zip(COLUMNS, cells(result), strict=True) if name in wanted] for result in results]
    widths = [max(len(row[column]) for row in rows) for column in range(len(wanted))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _measured_on(result: Result) -> str:
    machine = result["machine"]
    facts = [
        f"commit {result['commit']}",
        f"PostgreSQL {machine['postgresql']}",
        machine["broker"],
        f"Celery {machine['celery']}",
        f"Python {machine['python']}",
        f"{machine['cores']} cores ({machine['system']})",
        f"lease {result['lease_s']:g} s",
        f"{result['runs']} executions a scenario",
        result["ended"][:10],
    ]
    return ", ".join(facts)


def _totals(measured: Sequence[Result]) -> list[str]:
    if not measured:
        return []
    sums = {name: sum(result[name] for result in measured) for name in
            ("faults", "executions", "steps", "lost", "doubled", "unflagged", "unordered")}  # fmt: skip
    return [
        f"Together: {sums['faults']} faults, {sums['executions']} executions, {sums['steps']} steps; "
        f"{sums['lost']} lost, {sums['doubled']} doubled, {sums['unflagged']} unflagged, {sums['unordered']} unordered."
    ]


def _row(cells_: Sequence[str]) -> str:
    return f"| {' | '.join(cells_)} |"


def _figure(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())
