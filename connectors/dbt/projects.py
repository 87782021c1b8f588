"""Which directories dbt may run in, and which program it is: the deployment says so (SEC-15).

A dbt project is code that runs on this machine. A connection therefore only names one, as ``dbt://tenant/project``, and
``SALLYPORT_DBT_PROJECTS`` says where it is; without that setting nothing runs.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from connectors.addresses import read_url
from connectors.base import Endpoint
from core.errors import Invalid


class ProjectUnknown(Invalid):
    code = "no_target"


class NoDbt(Invalid):
    code = "no_connector"


@dataclass(frozen=True)
class Project:
    """``tenant`` is the slug of the tenant that the deployment gave the directory to."""

    tenant: str
    directory: Path


def project_of(endpoint: Endpoint) -> Project:
    """Return the project of a connection. Raises ProjectUnknown."""
    address = read_url(endpoint.url, kind="dbt")
    name = f"{address.host}/{address.path.strip('/')}"
    found = settings.SALLYPORT_DBT_PROJECTS.get(name)
    if found is None:
        raise ProjectUnknown(f"SALLYPORT_DBT_PROJECTS names no project {name!r} on this machine.")
    directory = Path(found)
    if not (directory / "dbt_project.yml").is_file():
        raise ProjectUnknown(f"The directory of the project {name!r} holds no dbt_project.yml.")
    return Project(address.host, directory)


def program() -> str:
    """Return the path of dbt. Raises NoDbt: it is not installed with Sallyport."""
    wanted = settings.SALLYPORT_DBT_PROGRAM
    found = shutil.which(wanted)
    if found is None:
        raise NoDbt(f"There is no program {wanted!r} here. Install dbt-core, or name it in SALLYPORT_DBT_PROGRAM.")
    return found
