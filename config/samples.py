"""What a development start shows: the sample playbooks that the project ships, and an asset to run them on."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from core.actors import SYSTEM
from core.errors import Conflict, DomainError
from playbooks.services import put_asset

if TYPE_CHECKING:
    from accounts.models import Tenant

DIRECTORY = Path(__file__).resolve().parent.parent / "playbooks" / "samples"
ASSETS = {
    "a-1001": {
        "id": "a-1001",
        "name": "web-frontend-01",
        "type": "server",
        "ip": "203.0.113.24",
        "criticality": "critical",
        "owner": "platform",
    }
}


class SampleBroken(Exception):
    """A file that the project ships cannot be loaded."""


def load(tenant: Tenant, *, now: datetime, directory: Path = DIRECTORY) -> list[str]:
    """Store every sample that is not there, in the order of their names; return the names of those stored."""
    for reference, data in ASSETS.items():
        put_asset(tenant=tenant, reference=reference, data=data)
    loaded = []
    for path in sorted(directory.glob("*.json")):
        octets = path.read_bytes()
        store = _store_cacao if json.loads(octets).get("type") == "playbook" else _store_s4e
        try:
            store(tenant, octets, now)
        except Conflict:
            continue  # it is there already, perhaps changed by people: it stays as it is
        except DomainError as error:
            raise SampleBroken(f"{path}: {error}") from error
        loaded.append(path.stem)
    return loaded


def _store_cacao(tenant: Tenant, octets: bytes, now: datetime) -> None:
    from executions.importing import import_playbook

    import_playbook(tenant=tenant, octets=octets, mode="version", actor=SYSTEM, now=now)


def _store_s4e(tenant: Tenant, octets: bytes, now: datetime) -> None:
    from api.s4e.dialect import storing

    storing.store(tenant=tenant, octets=octets, actor=SYSTEM, now=now, keeps_id=True)
