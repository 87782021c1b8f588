"""The bodies that come in."""

from __future__ import annotations

from rest_framework import serializers

from api.fields import AnyJSON, Choice, Flag, Input, JSONObject, Text, WholeNumber

MOST_LISTED = 100
YEAR_SECONDS = 366 * 86_400


class SetupInput(Input):
    token = Text(max_length=200)
    tenant = Text(max_length=64)
    tenant_name = Text(max_length=200, required=False)
    email = Text(max_length=254)
    password = Text(max_length=2_000)


class StartInput(Input):
    playbook = Text(max_length=300, help_text="Its UUID, pb-<slug>, or playbook--<uuid>.")
    version = Text(max_length=100, required=False, help_text="Label of a version; else the latest one.")
    variables = JSONObject(required=False, help_text="CACAO: external variables, name to value.")
    parameters = JSONObject(
        required=False, help_text="The playbook's parameters; CACAO variables with or without their underscores."
    )
    dry_run = Flag(default=False, help_text="Walk through the playbook without calling anything.")
    deadline = WholeNumber(
        required=False, min_value=1, max_value=YEAR_SECONDS,
        help_text="Seconds it may take, where that is less than the playbook's own limit.",
    )  # fmt: skip


class CancelInput(Input):
    reason = Text(max_length=64, default="cancelled", help_text="Stored as the execution's `reason`.")


class NothingInput(Input):
    """An empty object."""


class ResolveInput(Input):
    resolution = Choice(choices=["happened", "again", "give_up"])
    reason = Text(max_length=2_000, help_text="What makes you sure; stored with your name.")
    output = AnyJSON(required=False, help_text="With happened: what the call gave, for the step's variables.")


class _ConnectionInput(Input):
    url = Text(max_length=2_000, required=False, help_text="https://host/path, or ssh://host:port.")
    settings = JSONObject(required=False, help_text="Replaces all settings; docs/connectors.md lists them by kind.")
    is_keyed = Flag(required=False, help_text="The far side honours the header Idempotency-Key.")
    allow_networks = serializers.ListField(
        child=Text(max_length=64), max_length=MOST_LISTED, required=False,
        help_text="Private networks it may reach, inside the deployment's ALLOW_NETWORKS.",
    )  # fmt: skip
    hosts = serializers.ListField(
        child=Text(max_length=255), max_length=MOST_LISTED, required=False,
        help_text="Further hosts that its secret may be sent to.",
    )  # fmt: skip
    is_enabled = Flag(required=False)


class ConnectionInput(_ConnectionInput):
    kind = Text(max_length=32)
    name = Text(max_length=128)
    url = Text(max_length=2_000, help_text="https://host/path, or ssh://host:port.")
    secrets = JSONObject(
        required=False, write_only=True, help_text="token, password, private_key, passphrase: name to text."
    )


class ConnectionPatch(_ConnectionInput):
    """Name and kind are what a connection is: they stay."""


class SecretInput(Input):
    value = Text(max_length=20_000, write_only=True)
