"""The part of a name that goes into addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbooks.slugs import MAX_SLUG, slug_of


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Critical Finding Alert", "critical-finding-alert"),
        ("  --Ünïcode  &  Straße-- ", "unicode-strasse"),
        ("\uff26\uff35\uff2c\uff2c width", "full-width"),
        ("***", ""),
        ("日本", ""),
        ("", ""),
        ("a" * 119 + " b", "a" * 119),
    ],
)
def test_a_name_makes_a_slug(name: str, slug: str) -> None:
    assert slug_of(name) == slug


@given(st.text(max_size=300))
def test_a_slug_is_plain_short_and_its_own_slug(name: str) -> None:
    slug = slug_of(name)

    assert len(slug) <= MAX_SLUG
    assert not slug or (slug[0] != "-" and slug[-1] != "-" and "--" not in slug)
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert slug_of(slug) == slug
