"""Every connector, one line each; what it can do is read from its ``schema.py``.

The code of a connector is imported when it is first needed: a web process names operations and never calls one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from connectors.base import Connector, OperationSpec
from connectors.dbt.schema import OPERATIONS as DBT
from connectors.fake.schema import OPERATIONS as FAKE
from connectors.fin.schema import OPERATIONS as FIN
from connectors.http.schema import OPERATIONS as HTTP
from connectors.jira.schema import OPERATIONS as JIRA
from connectors.manual.schema import OPERATIONS as MANUAL
from connectors.opensearch.schema import OPERATIONS as OPENSEARCH
from connectors.planner.schema import OPERATIONS as PLANNER
from connectors.slack.schema import OPERATIONS as SLACK
from connectors.ssh.schema import OPERATIONS as SSH
from connectors.toolkits.schema import KINDS as TOOLKIT_KINDS
from connectors.toolkits.schema import OPERATIONS as TOOLKITS


@dataclass(frozen=True)
class Entry:
    """One connector. ``code`` None: known, but nothing here carries it out. ``only_if``: a setting that must be on."""

    operations: tuple[OperationSpec, ...]
    code: str | None
    only_if: str | None = None

    @property
    def is_installed(self) -> bool:
        return self.only_if is None or bool(getattr(settings, self.only_if, False))


def _toolkit(name: str) -> Entry:
    return Entry(
        tuple(spec for spec in TOOLKITS if spec.toolkit == name), "connectors.toolkits.connector.ToolkitConnector"
    )


ENTRIES: Mapping[str, Entry] = {
    "http": Entry(HTTP, "connectors.http.connector.HttpConnector"),
    "ssh": Entry(SSH, "connectors.ssh.connector.SshConnector"),
    "slack": Entry(SLACK, "connectors.slack.connector.SlackConnector"),
    "jira": Entry(JIRA, "connectors.jira.connector.JiraConnector"),
    "fin": Entry(FIN, "connectors.fin.connector.FinConnector"),
    **{name: _toolkit(name) for name in TOOLKIT_KINDS},
    "dbt": Entry(DBT, "connectors.dbt.connector.DbtConnector"),
    "opensearch": Entry(OPENSEARCH, "connectors.opensearch.connector.OpenSearchConnector"),
    "planner": Entry(PLANNER, "connectors.planner.connector.PlannerConnector"),
    "manual": Entry(MANUAL, None),
    "fake": Entry(FAKE, "connectors.fake.connector.FakeConnector", only_if="SALLYPORT_ALLOW_FAKE"),
}

#: kinds of connections: the connectors that need an address
CONNECTION_KINDS = ("http", "ssh", "slack", "jira", "dbt", "opensearch", "planner", *TOOLKIT_KINDS)
#: the kinds of connections that are toolkits (Olorin)
TOOLKITS_OF_CONNECTIONS = ("stripe", "shopify", "okta", "slack", "jira", "square")


def operations() -> Mapping[str, OperationSpec]:
    """Return what is installed here, by operation name."""
    return {spec.name: spec for entry in ENTRIES.values() if entry.is_installed for spec in entry.operations}


def references() -> Mapping[str, OperationSpec]:
    """Return the operations that a step may name, by reference (``act-...``)."""
    return {spec.reference: spec for spec in operations().values() if spec.reference}


def command_types() -> Mapping[str, str]:
    """Return which operation carries out which CACAO command type."""
    return {command_type: spec.name for spec in operations().values() for command_type in spec.command_types}


@cache
def connector_name(operation: str) -> str:
    """Return the name of the connector that an operation belongs to."""
    return next(name for name, entry in ENTRIES.items() if any(spec.name == operation for spec in entry.operations))


def connector_of(operation: str) -> Connector | None:
    """Return the connector that carries out ``operation``; None where nothing here does."""
    for entry in ENTRIES.values():
        if entry.code and entry.is_installed and any(spec.name == operation for spec in entry.operations):
            return _made(entry.code)
    return None


@cache
def _made(code: str) -> Connector:
    return cast(Connector, import_string(code)())
