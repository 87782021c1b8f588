"""The web process, a worker and the sweep as processes of their own, and a dbt project for the worker to run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accounts.models import Tenant
from tests.api.applylens.acting import connect
from tests.api.stream.serving import StreamServer
from tests.connectors.dbt.projects import dbt_program, make_project
from tests.faults.fleet import fleet


@contextmanager
def deployed(log: Path, **environ: str) -> Iterator[str]:
    """Run all of them on the test's own database and broker until the block ends; yield the web process's address."""
    server = StreamServer(log, **environ)
    try:
        server.wait_ready()
        with fleet(workers=1, lease="60", **environ):
            yield f"http://127.0.0.1:{server.port}"
    finally:
        server.stop()


def with_dbt(tenant: Tenant, project: Path) -> dict[str, str]:
    """Make a dbt project and the tenant's connection to it; return the variables that let dbt run there."""
    make_project(project)
    connect(tenant, "dbt", f"dbt://{tenant.slug}/warehouse")
    return {
        "SALLYPORT_DBT_PROGRAM": dbt_program(),
        "SALLYPORT_DBT_PROJECTS": f"{tenant.slug}/warehouse={project}",
        "ALLOW_NETWORKS": "127.0.0.0/8",
    }
