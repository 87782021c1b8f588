"""Secret values and their form at rest (SEC-17 to SEC-19)."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import secrets
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import strict_json
from core.secrets import (
    MASK,
    Keyring,
    MasterKeyMissing,
    Secret,
    SecretContext,
    SecretUnreadable,
    is_masked,
    key_id_of,
    mask,
    open_sealed,
    rewrap,
    seal,
)

VALUE = "canary-8f3a-\u00e9-$(x)"
PLACE = SecretContext(tenant="t1", table="connections", row="c1", field="token")
FIRST = Keyring(primary_id="2026-01", keys={"2026-01": secrets.token_bytes(32)})
BOTH = Keyring(primary_id="2026-02", keys={**FIRST.keys, "2026-02": secrets.token_bytes(32)})
SECOND = Keyring(primary_id="2026-02", keys={"2026-02": BOTH.keys["2026-02"]})


@dataclasses.dataclass(frozen=True)
class _Holder:
    token: Secret


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        lambda it: f"{it}",
        lambda it: f"{it!r:>30}",
        "{!s}".format,
        "{:x>20}".format,
        lambda it: str([it]),
    ],
)
def test_a_secret_shows_stars(show: object) -> None:
    shown = show(Secret(VALUE))  # type: ignore[operator]
    assert MASK in shown
    assert not any(piece in shown for piece in ("canary", "8f3a", "$(x)"))


@pytest.mark.parametrize(
    "write",
    [json.dumps, strict_json.dumps, pickle.dumps, lambda it: pickle.dumps(_Holder(it)), lambda it: it.__getstate__()],
)
def test_a_secret_is_not_serialised(write: object) -> None:
    with pytest.raises(TypeError) as caught:
        write(Secret(VALUE))  # type: ignore[operator]
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_a_secret_has_no_attributes_that_show_it_and_does_not_change() -> None:
    secret = Secret(VALUE)
    with pytest.raises(AttributeError):
        secret.other = 1
    with pytest.raises(AttributeError):
        secret._value = "x"
    with pytest.raises(TypeError):
        vars(secret)
    assert secret.reveal() == VALUE


def test_a_holder_of_a_secret_can_be_copied_and_shown() -> None:
    holder = _Holder(Secret(VALUE))
    assert copy.deepcopy(holder).token is holder.token
    assert dataclasses.asdict(holder)["token"].reveal() == VALUE
    assert "canary" not in repr(holder)


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")


@given(st.text())
def test_what_is_sealed_opens_where_it_was_sealed(value: str) -> None:
    assert open_sealed(seal(value, context=PLACE, keyring=FIRST), context=PLACE, keyring=FIRST).reveal() == value


def test_a_record_shows_nothing_and_is_never_the_same() -> None:
    records = {seal(VALUE, context=PLACE, keyring=FIRST) for _ in range(50)}
    assert len(records) == 50
    assert not any("canary" in record or not record.isascii() for record in records)


@pytest.mark.parametrize(
    "place",
    [
        dataclasses.replace(PLACE, tenant="t2"),
        dataclasses.replace(PLACE, table="playbooks"),
        dataclasses.replace(PLACE, row="c2"),
        dataclasses.replace(PLACE, field="password"),
        SecretContext("t1", "connections", "c1token", ""),
        SecretContext("t1connections", "", "c1", "token"),
    ],
)
def test_a_record_does_not_open_in_another_place(place: SecretContext) -> None:
    record = seal(VALUE, context=PLACE, keyring=FIRST)
    with pytest.raises(SecretUnreadable) as caught:
        open_sealed(record, context=place, keyring=FIRST)
    assert caught.value.code == "secret_unreadable"
    with pytest.raises(SecretUnreadable):
        rewrap(record, context=place, keyring=BOTH)


def test_two_records_cannot_exchange_their_parts() -> None:
    one = seal("one", context=PLACE, keyring=FIRST).split(":")
    two = seal("two", context=PLACE, keyring=FIRST).split(":")
    with pytest.raises(SecretUnreadable):
        open_sealed(":".join([*one[:3], *two[3:]]), context=PLACE, keyring=FIRST)


def test_a_record_with_any_changed_character_does_not_open() -> None:
    record = seal(VALUE, context=PLACE, keyring=FIRST)
    for at, character in enumerate(record):
        for other in ("A", "B", ":", ""):
            if other == character:
                continue
            changed = record[:at] + other + record[at + 1 :]
            with pytest.raises((SecretUnreadable, MasterKeyMissing)):
                open_sealed(changed, context=PLACE, keyring=FIRST)


@pytest.mark.parametrize("record", ["", "x", "sp1:2026-01:::", "sp2:2026-01:a:b:c", "sp1:2026-01:\u0661:\u0661:\u0661"])
def test_what_is_no_record_is_named_so(record: str) -> None:
    with pytest.raises(SecretUnreadable):
        open_sealed(record, context=PLACE, keyring=FIRST)


def test_a_master_key_is_rotated_without_losing_a_record() -> None:
    old = seal(VALUE, context=PLACE, keyring=FIRST)
    assert open_sealed(old, context=PLACE, keyring=BOTH).reveal() == VALUE
    new = rewrap(old, context=PLACE, keyring=BOTH)

    assert (key_id_of(old), key_id_of(new)) == ("2026-01", "2026-02")
    assert new.split(":")[3:] == old.split(":")[3:], "the value itself is not encrypted again"
    assert rewrap(new, context=PLACE, keyring=BOTH) == new
    assert open_sealed(new, context=PLACE, keyring=SECOND).reveal() == VALUE
    with pytest.raises(MasterKeyMissing, match="2026-02"):
        open_sealed(new, context=PLACE, keyring=FIRST)
    with pytest.raises(MasterKeyMissing, match="2026-01"):
        open_sealed(old, context=PLACE, keyring=SECOND)


def test_another_key_of_the_same_id_opens_nothing() -> None:
    other = Keyring(primary_id="2026-01", keys={"2026-01": secrets.token_bytes(32)})
    with pytest.raises(SecretUnreadable):
        open_sealed(seal(VALUE, context=PLACE, keyring=FIRST), context=PLACE, keyring=other)


@pytest.mark.parametrize(
    ("primary", "keys"),
    [("a", {}), ("a", {"b": bytes(32)}), ("a", {"a": bytes(31)}), ("a:b", {"a:b": bytes(32)}), ("", {"": bytes(32)})],
)
def test_a_key_ring_that_cannot_work_is_refused(primary: str, keys: dict[str, bytes]) -> None:
    with pytest.raises(ValueError):
        Keyring(primary_id=primary, keys=keys)


def test_a_key_ring_does_not_show_or_pickle_its_keys() -> None:
    assert repr(bytes(FIRST.keys["2026-01"]))[2:10] not in repr(FIRST)
    with pytest.raises(TypeError):
        pickle.dumps(FIRST)


@pytest.mark.parametrize(
    ("value", "is_mask"),
    [(MASK, True), ("***", True), ("\u2022" * 8, True), ("", False), ("*a*", False), (None, False)],
)
def test_stars_sent_back_are_recognised(value: object, is_mask: bool) -> None:
    assert is_masked(value) is is_mask


def test_a_mask_tells_only_whether_there_is_a_secret() -> None:
    assert mask(Secret("short")) == mask("a much longer secret") == MASK
    assert mask(None) == mask("") == mask(Secret("")) == ""
