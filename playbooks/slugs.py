"""Slugs: the part of a playbook's name that goes into addresses."""

from __future__ import annotations

import re
import unicodedata

MAX_SLUG = 120
_OTHER = re.compile(r"[^a-z0-9]+")


def slug_of(name: str) -> str:
    """Return lower-case letters and digits, accents folded, every run of other characters one ``-``; may be empty."""
    folded = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(character for character in folded if not unicodedata.combining(character))
    return _OTHER.sub("-", plain).strip("-")[:MAX_SLUG].rstrip("-")
