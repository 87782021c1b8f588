"""A dbt project over DuckDB in a directory of its own, and the dbt that runs it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from config.home import ROOT

#: what each model does, by name
MODELS = {
    "inbox_emails": "select 1 as id",
    "triage_results": "select * from {{ ref('inbox_emails') }}",
    "broken": "select nonsense from nowhere",
    # Hours of work that is under way within a second: something to be ended.
    "slow": "select count(*) as n from range(1000000000000) a where hash(a.range) % 7 = 3",
}
_PROJECT = """
name: warehouse
version: "1.0"
profile: warehouse
models: {warehouse: {+materialized: table}}
"""
_PROFILE = """
warehouse:
  target: dev
  outputs:
    dev: {type: duckdb, path: "%s"}
"""


def dbt_program() -> str:
    """Return the dbt of ``SALLYPORT_TEST_DBT``, of ``.venv-dbt`` or of the path; skip the test where there is none."""
    named = os.environ.get("SALLYPORT_TEST_DBT") or str(ROOT / ".venv-dbt" / "bin" / "dbt")
    found = shutil.which(named) or shutil.which("dbt")
    if found is None:
        pytest.skip("no dbt: python3.11 -m venv .venv-dbt; pip install -r tests/connectors/dbt/requirements.txt")
    return found


def make_project(directory: Path) -> Path:
    """Write the project; return the DuckDB file that its models are built in."""
    warehouse = directory / "warehouse.duckdb"
    (directory / "models").mkdir(parents=True)
    (directory / "dbt_project.yml").write_text(_PROJECT)
    (directory / "profiles.yml").write_text(_PROFILE % warehouse)
    for name, sql in MODELS.items():
        (directory / "models" / f"{name}.sql").write_text(sql)
    return warehouse
