"""Playbooks made in code, and what is installed around them."""

from __future__ import annotations

from playbooks.cacao.types import Catalogue
from playbooks.cacao.vocabularies import COMMAND_TYPES

CATALOGUE = Catalogue(
    command_types={kind: f"fake.{kind}" for kind in COMMAND_TYPES},
    playbooks=frozenset(
        {"playbook--2f0b6d6e-5a0f-4a57-9d1b-6a4f7a4ec0aa", "playbook--1a2e0f42-6f0c-4c56-8d7d-b1bfb7c2f6a1"}
    ),
)

CHILD = "playbook--2f0b6d6e-5a0f-4a57-9d1b-6a4f7a4ec0aa"
