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
from playbooks.services.triggers import (
    NoSecret,
    SetByDocument,
    TooManyTriggers,
    TriggerInvalid,
    change_trigger,
    create_trigger,
    delete_trigger,
    note_fired,
    note_missed,
    note_refused,
    rotate_secret,
    set_document_trigger,
    set_trigger_enabled,
    switch_off_schedule,
)
from playbooks.services.upkeep import archive_playbook, put_asset, set_enabled

__all__ = [
    "Mode",
    "NameTaken",
    "NameUnusable",
    "NoSecret",
    "PlaybookExists",
    "PlaybookRefused",
    "SetByDocument",
    "TooManyTriggers",
    "TriggerInvalid",
    "VersionConflict",
    "archive_playbook",
    "as_json",
    "change_trigger",
    "copied",
    "create_trigger",
    "delete_trigger",
    "new_cacao_id",
    "note_fired",
    "note_missed",
    "note_refused",
    "put_asset",
    "refuse",
    "rotate_secret",
    "set_document_trigger",
    "set_enabled",
    "set_trigger_enabled",
    "slug_for",
    "store_dialect",
    "store_imported",
    "switch_off_schedule",
]
