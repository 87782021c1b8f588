"""A tenant, and a way to start workflows. Imports stand inside: conftest files are read before Django is set up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from accounts.models import Tenant
    from tests.flows.starting import Start


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    from tests.flows.starting import make_tenant

    return make_tenant()


@pytest.fixture
def start(tenant: Tenant, settings: Any) -> Start:
    """Return ``start_workflow`` for the tenant, with the fake connector allowed."""
    from tests.flows.starting import start_workflow

    settings.SALLYPORT_ALLOW_FAKE = True
    return partial(start_workflow, tenant)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of mutants: what each took away, and what turned red."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    rows = [row for report in reports for name, row in getattr(report, "user_properties", ()) if name == "mutant"]
    if not rows:
        return
    terminalreporter.section("mutants")
    for mutant, guard, scenario, red in sorted(set(rows)):
        terminalreporter.write_line(f"{mutant}  {guard}  |  {scenario}  |  {red or 'GREEN'}")
