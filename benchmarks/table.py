"""How figures are told: beside their baseline, with the bar and whether it holds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """``ours`` and ``baseline``: one value a round, measured in turn. The bar is on the median of their ratios:
    ``most`` or ``least``; without one the figure is only told, beside its ``aim`` where it has one (at least so much).

    ``missing``: why it was not measured; then there are no values.
    """

    id: str
    name: str
    ours: Sequence[float]
    baseline: Sequence[float]
    most: float | None = None
    least: float | None = None
    aim: float | None = None
    missing: str = ""

    @property
    def ratios(self) -> list[float]:
        return [own / base for own, base in zip(self.ours, self.baseline, strict=True)]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def holds(self) -> bool | None:
        if self.missing:
            return None
        if self.most is not None:
            return self.ratio <= self.most
        return None if self.least is None else self.ratio >= self.least

    @property
    def bar(self) -> str:
        if self.most is not None:
            return f"<= {self.most:g}"
        if self.least is not None:
            return f">= {self.least:g}"
        return "" if self.aim is None else f"aim >= {self.aim:g}"

    def as_json(self) -> dict[str, Any]:
        if self.missing:
            return {"not_measured": self.missing}
        return {
            "value": rounded(statistics.median(self.ours)),
            "baseline": rounded(statistics.median(self.baseline)),
            "ratio": rounded(self.ratio),
            "ratios": [rounded(ratio) for ratio in self.ratios],
            "bar": self.most if self.most is not None else self.least,
            "aim": self.aim,
            "holds": self.holds,
        }


def table(figures: Sequence[Figure]) -> str:
    """Return a table in Markdown: medians, and the least and the greatest of the rounds."""
    lines = ["| | measured | Sallyport | baseline | ratio | bar | holds |", "|---|---|---|---|---|---|---|"]
    for figure in figures:
        if figure.missing:
            lines.append(f"| {figure.id} | {figure.name} | not measured: {figure.missing} | | | {figure.bar} | |")
            continue
        holds = {True: "yes", False: "**no**", None: ""}[figure.holds]
        cells = (
            figure.id,
            figure.name,
            _spread(figure.ours),
            _spread(figure.baseline),
            _spread(figure.ratios),
            figure.bar,
            holds,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_json(figures: Sequence[Figure], path: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump({figure.id: figure.as_json() for figure in figures}, file, indent=2)
        file.write("\n")


def _spread(values: Sequence[float]) -> str:
    middle = _short(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({_short(min(values))}-{_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def rounded(value: float) -> float:
    return float(f"{value:.4g}")
