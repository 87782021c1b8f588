"""How the benchmark tells whether a bar holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.table import Figure, table, write_json

OURS, BASELINE = (1.0, 4.0, 9.0), (2.0, 4.0, 10.0)  # ratios 0.5, 1, 0.9


@pytest.mark.parametrize(
    ("bar", "holds"),
    [({"most": 0.9}, True), ({"most": 0.8}, False), ({"least": 0.9}, True), ({"least": 1.0}, False), ({}, None)],
)
def test_the_bar_is_on_the_median_of_the_rounds_ratios(bar: dict[str, Any], holds: bool | None) -> None:
    figure = Figure("W1", "ms/step", OURS, BASELINE, **bar)
    assert (figure.ratio, figure.holds) == (0.9, holds)


def test_what_is_written_says_what_the_table_says(tmp_path: Path) -> None:
    figure = Figure("W1", "ms/step", OURS, BASELINE, most=0.45)
    write_json([figure], str(tmp_path / "figures.json"))

    found = json.loads((tmp_path / "figures.json").read_text())["W1"]
    assert (found["value"], found["baseline"], found["ratio"], found["bar"]) == (4.0, 4.0, 0.9, 0.45)
    assert found["holds"] is False
    assert table([figure]).splitlines()[-1] == "| W1 | ms/step | 4 (1-9) | 4 (2-10) | 0.9 (0.5-1) | <= 0.45 | **no** |"


def test_an_aim_is_shown_and_fails_nothing(tmp_path: Path) -> None:
    figure = Figure("KEYED", "steps/s", OURS, BASELINE, aim=1.3)
    assert (figure.holds, figure.bar, figure.as_json()["aim"]) == (None, "aim >= 1.3", 1.3)
    assert table([figure]).splitlines()[-1].endswith("| aim >= 1.3 |  |")


def test_what_was_not_measured_says_why_and_fails_nothing(tmp_path: Path) -> None:
    figure = Figure("FLUSH", "steps/s", (), (), least=2.0, missing="no delay")
    write_json([figure], str(tmp_path / "figures.json"))

    assert figure.holds is None
    assert json.loads((tmp_path / "figures.json").read_text()) == {"FLUSH": {"not_measured": "no delay"}}
    assert table([figure]).splitlines()[-1] == "| FLUSH | steps/s | not measured: no delay | | | >= 2 | |"
