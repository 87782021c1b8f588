"""The three forms of a signature, held to digests that are written here and not computed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils import timezone

from api.olorin.signing import Signed, is_signed
from core.secrets import Secret
from tests.api.olorin.calls import SEED_ACTION

SECRET = Secret("test-secret")
CANONICAL = "61e3b64d6b057b6bebebdcf2f67c82fb6887af164b66de432753c8753a28721a"
VARIANT = "5d66d93998c69c558a999189037181107085ca25ee5a3502849b4fe271313843"
RAW = "b39632d696ac2d17deeb5bbe5df37e687614f7034553985f357087fd1630c9a4"
#: the example of the documentation, its members in its order, without spaces
OCTETS = (
    b'{"execution_id":"exec_abc123","toolkit":"stripe","action":"void_payment","tenant_id":"tenant_123",'
    b'"parameters":{"payment_id":"pi_123456"}}'
)


def is_good(body: dict[str, Any], header: str | None = None, octets: bytes = OCTETS) -> bool:
    signed = Signed(body=body, octets=octets, header=header, timestamp=None)
    return is_signed(signed, [SECRET], requires_timestamp=False, now=timezone.now())


def test_the_octets_are_those_of_the_example() -> None:
    assert json.loads(OCTETS) == SEED_ACTION
    assert json.dumps(SEED_ACTION, separators=(",", ":")).encode() == OCTETS


@pytest.mark.parametrize("digest", [CANONICAL, VARIANT])
def test_olo_031_050_both_forms_of_the_body_are_good_with_their_prefix(digest: str) -> None:
    assert is_good({**SEED_ACTION, "soar_signature": f"sha256={digest}"})
    assert is_good({"soar_signature": f"sha256={digest}", **dict(reversed(SEED_ACTION.items()))})
    assert not is_good({**SEED_ACTION, "soar_signature": digest})
    assert not is_good({**SEED_ACTION, "soar_signature": f"sha256={digest}", "action": "refund"})


@pytest.mark.parametrize("prefix", ["", "sha256="])
def test_olo_050_the_raw_form_is_good_in_the_header(prefix: str) -> None:
    assert is_good(SEED_ACTION, header=prefix + RAW)
    assert not is_good(SEED_ACTION, header=prefix + RAW, octets=OCTETS + b" ")


def test_no_form_is_good_in_the_others_place() -> None:
    assert not is_good({**SEED_ACTION, "soar_signature": f"sha256={RAW}"})
    assert not any(is_good(SEED_ACTION, header=digest) for digest in (CANONICAL, VARIANT))


def test_another_secret_is_no_good() -> None:
    signed = Signed({**SEED_ACTION, "soar_signature": f"sha256={CANONICAL}"}, OCTETS, header=None, timestamp=None)

    assert not is_signed(signed, [Secret("test-secret ")], requires_timestamp=False, now=timezone.now())
