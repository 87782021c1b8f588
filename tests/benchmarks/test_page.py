"""How measured tables get into the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.cost import PARTS
from benchmarks.page import NoPlace, fill
from config.home import ROOT

PAGE = "before\n<!-- figures: a -->\nold \\1\n<!-- end of a -->\nbetween\n<!-- figures: b -->\nb\n<!-- end of b -->\n"


def test_a_table_takes_the_place_of_the_one_before_with_its_command(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)

    fill(page, "a", "| x |\\1", command="make a")
    fill(page, "a", "| y |\\1", command="make a")

    found = page.read_text()
    assert re.search(r"<!-- figures: a -->\n`make a`; .* UTC, .*, commit \S+\.\n\n\| y \|\\1\n<!-- end of a -->", found)
    assert "old" not in found
    assert "| x |" not in found
    assert found.startswith("before\n")
    assert found.endswith("between\n<!-- figures: b -->\nb\n<!-- end of b -->\n")


def test_a_page_without_the_place_is_left_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)

    with pytest.raises(NoPlace, match="no place for c"):
        fill(page, "c", "", command="make c")
    assert page.read_text() == PAGE


def test_the_page_of_the_project_has_a_place_for_each_result() -> None:
    page = (ROOT / "docs/performance.md").read_text()
    places = re.findall(r"<!-- figures: (\S+) -->", page)

    wanted = {"steps", "incidents", "streams", "reads", "peers", "cost-estimate", *(f"cost-{part}" for part in PARTS)}
    assert set(places) == wanted
    assert re.findall(r"<!-- end of (\S+) -->", page) == places
