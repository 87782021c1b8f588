"""Storing playbooks. A stored version never changes; the columns of its playbook are those of the latest version."""

from playbooks.services.dialects import store_dialect
from playbooks.services.errors import (
    NameTaken,
    NameUnusable,
    PlaybookExists,
    PlaybookRefused,
    VersionConflict,
    as_json,
    refuse,
    slug_for,
)
from playbooks.services.importing import Mode, copied, new_cacao_id, store_imported
from playbooks.services.upkeep import archive_playbook, put_asset, set_enabled

__all__ = [
    "Mode",
    "NameTaken",
    "NameUnusable",
    "PlaybookExists",
    "PlaybookRefused",
    "VersionConflict",
    "archive_playbook",
    "as_json",
    "copied",
    "new_cacao_id",
    "put_asset",
    "refuse",
    "set_enabled",
    "slug_for",
    "store_dialect",
    "store_imported",
]
