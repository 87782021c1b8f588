"""Signatures of playbooks (CACAO.md 11, D32; SEC-49)."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID

from core import strict_json
from playbooks.cacao.signature_keys import PrivateKey
from playbooks.cacao.signing import SignatureStatus, TrustStore, digest, playbook_id, sign, verify, verify_all
from tests.shared import shared_json

NOW = datetime(2026, 10, 1, tzinfo=UTC)
OWN: dict[str, Any] = json.loads((Path(__file__).parent / "signature_vectors.json").read_bytes())
PLAYBOOK: dict[str, Any] = OWN["playbook"]
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
MEMBERS = {
    "id": "jss--1",
    "created": "2026-02-01T00:00:00.000Z",
    "modified": "2026-02-01T00:00:00.000Z",
    "signee": "Example signer",
}


def with_signature(signature: Mapping[str, Any], playbook: Mapping[str, Any] = PLAYBOOK) -> dict[str, Any]:
    return {**copy.deepcopy(dict(playbook)), "signatures": [dict(signature)]}


def status_of(signature: Mapping[str, Any], playbook: Mapping[str, Any] = PLAYBOOK, **more: Any) -> SignatureStatus:
    return verify(with_signature(signature, playbook), signature_id=signature["id"], now=NOW, **more)


def signed(**members: Any) -> dict[str, Any]:
    return sign(PLAYBOOK, key=ED25519, signature={**MEMBERS, **members})


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def b64(certificate: x509.Certificate) -> str:
    return base64.b64encode(der(certificate)).decode()


@pytest.mark.parametrize("vector", OWN["vectors"], ids=lambda vector: vector["signature"]["algorithm"])
def test_a_signature_made_long_ago_is_valid(vector: dict[str, Any]) -> None:
    assert digest(PLAYBOOK, vector["signature"]) == vector["digest"]
    assert status_of(vector["signature"]) == SignatureStatus(vector["signature"]["id"], "valid")


def test_signing_again_gives_the_same_value() -> None:
    vector = OWN["vectors"][0]["signature"]
    members = {name: vector[name] for name in ("id", "created", "modified", "signee")}
    assert sign(PLAYBOOK, key=ED25519, signature=members) == vector


def test_the_specified_vectors() -> None:
    vectors = shared_json("playbooks/signatures/vectors.json")
    now = datetime.fromisoformat(vectors["now"])
    for vector in vectors["vectors"]:
        octets = (vector.get("playbook_text") or json.dumps(vector["playbook"])).encode()
        document = strict_json.loads(octets)
        signature = next(s for s in document["signatures"] if s["id"] == vector["signature_id"])
        assert digest(document, signature) == vector["digest"], vector["name"]
        found = verify(octets, signature_id=vector["signature_id"], now=now)
        assert found.status == vector["result"], vector["name"]
        assert not found.trusted
        known = [key["public_key"] for key in vectors["keys"].values()]
        trusted = verify(octets, signature_id=vector["signature_id"], now=now, trusted_keys=known)
        assert trusted.trusted is (vector["result"] not in ("invalid", "unsupported")), vector["name"]
    assert playbook_id(name="Isolate host", playbook_types=["mitigation"]) == vectors["uuid5"]["id"]


def test_the_specified_deterministic_signatures_are_made_again() -> None:
    vectors = shared_json("playbooks/signatures/vectors.json")
    for name, vector in zip(("ed25519", "rsa"), vectors["vectors"], strict=False):
        private = base64.b64decode(vectors["keys"][name]["private_key_pkcs8_der_base64"])
        key = serialization.load_der_private_key(private, password=None)
        assert isinstance(key, ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey)
        playbook = {k: v for k, v in vector["playbook"].items() if k != "signatures"}
        wanted = vector["playbook"]["signatures"][0]
        members = {k: v for k, v in wanted.items() if k != "value"}
        assert sign(playbook, key=key, signature=members, algorithm=wanted["algorithm"]) == wanted


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        *((RSA, f"{family}{size}") for family in ("RS", "PS") for size in (256, 384, 512)),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ec.generate_private_key(ec.SECP521R1()), "ES512"),
        (ED25519, "Ed25519"),
        (ed448.Ed448PrivateKey.generate(), "Ed448"),
    ],
)
@pytest.mark.parametrize("hash_algorithm", ["sha-256", "sha-512"])
def test_every_algorithm_signs_and_verifies(key: PrivateKey, algorithm: str, hash_algorithm: str) -> None:
    made = sign(PLAYBOOK, key=key, signature=MEMBERS, algorithm=algorithm, hash_algorithm=hash_algorithm)

    assert status_of(made).status == "valid"
    for changed in ("A" + made["value"][1:], "", made["value"][:-4], made["value"] + "=", made["value"] + "AAAA", "é"):
        if changed != made["value"]:
            assert status_of({**made, "value": changed}).status == "invalid", changed
    other = "PS256" if algorithm.startswith("RS") else "RS256"
    assert status_of({**made, "algorithm": other}).status == "invalid"


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if isinstance(item, dict | list) and item:
            yield from _leaves(item, (*path, key))
        else:
            yield (*path, key)


def test_every_change_of_a_leaf_is_noticed() -> None:
    document = with_signature(signed(valid_from="2026-02-01T00:00:00.000Z", revoked=False, x_extra=["a"]))
    paths = [path for path in _leaves(document) if path != ("signatures", 0, "id")]
    assert len(paths) > 25
    for path in paths:
        changed = copy.deepcopy(document)
        place: Any = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = "changed" if place[path[-1]] != "changed" else "other"
        assert verify(changed, signature_id="jss--1", now=NOW).status in ("invalid", "unsupported"), path


def test_other_signatures_and_counter_signatures_make_no_difference() -> None:
    first = {**signed(), "signature": {"type": "jss", "value": "whatever"}}
    second = sign(PLAYBOOK, key=RSA, signature={**MEMBERS, "id": "jss--2"}, algorithm="RS256")
    bad = {**second, "id": "jss--3"}
    document = {**PLAYBOOK, "signatures": [first, "no object", bad, second]}
    assert [found.status for found in verify_all(document, now=NOW)] == ["valid", "invalid", "valid"]


def test_two_signatures_of_one_id_are_none() -> None:
    document = {**PLAYBOOK, "signatures": [signed(), signed(revoked=True)]}
    assert verify(document, signature_id="jss--1", now=NOW).status == "invalid"
    assert {found.status for found in verify_all(document, now=NOW)} == {"invalid"}
    assert verify(PLAYBOOK, signature_id="jss--1", now=NOW).status == "invalid"


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"revoked": True}, "revoked"),
        ({"revoked": "true"}, "invalid"),
        ({"valid_until": "2026-10-01T00:00:00.000Z"}, "expired"),
        ({"valid_until": "2026-10-01T00:00:00.0000000001Z"}, "valid"),
        ({"valid_from": "2026-10-01T00:00:00.000Z"}, "valid"),
        ({"valid_from": "2026-10-01T00:00:00.0000000001Z"}, "not_yet_valid"),
        ({"valid_from": "tomorrow"}, "invalid"),
        ({"valid_until": None}, "invalid"),
    ],
)
def test_revocation_and_times_count(members: dict[str, Any], status: str) -> None:
    assert status_of(signed(**members)).status == status


def test_a_signature_of_another_playbook_or_version_is_invalid() -> None:
    elsewhere = {**PLAYBOOK, "id": "playbook--5b0a6c1e-6b7a-4c1e-9a51-0f5be1f2a009"}
    later = {**PLAYBOOK, "modified": "2026-01-02T00:00:00.001Z"}
    for other in (elsewhere, later):
        foreign = sign(other, key=ED25519, signature=MEMBERS)
        assert status_of(foreign).status == "invalid"
        assert status_of(foreign, other).status == "valid"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"public_key": None}, "invalid"),
        ({"public_key": "AAAA"}, "invalid"),
        ({"public_key": "no base64!"}, "invalid"),
        ({"public_key": 5}, "invalid"),
        ({"thumbprint": "x"}, "invalid"),
        ({"type": "other"}, "invalid"),
        ({"signee": None}, "invalid"),
        ({"value": 5}, "invalid"),
        ({"algorithm": "none"}, "unsupported"),
        ({"algorithm": "HS256"}, "unsupported"),
        ({"algorithm": "XMSS-SHA2_10_256"}, "unsupported"),
        ({"hash_algorithm": "md5"}, "unsupported"),
    ],
)
def test_a_broken_signature_is_told_and_never_raises(change: dict[str, Any], status: str) -> None:
    found = status_of({**signed(), **change})
    assert found.status == status
    assert found.reason


def test_weak_and_foreign_keys_are_unsupported() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.raises(Exception, match="2,048"):
        sign(PLAYBOOK, key=weak, signature=MEMBERS, algorithm="RS256")
    for key in (weak.public_key(), dsa.generate_private_key(2048).public_key()):
        spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        assert status_of({**signed(), "public_key": base64.b64encode(spki).decode()}).status == "unsupported"


def test_a_key_does_not_sign_with_another_algorithm() -> None:
    for algorithm in ("RS256", "ES256", "Ed448", "none"):
        with pytest.raises(ValueError, match="algorithm"):
            sign(PLAYBOOK, key=ED25519, signature=MEMBERS, algorithm=algorithm)


def test_a_document_that_has_no_canonical_form_cannot_be_verified() -> None:
    large = {**PLAYBOOK, "x_big": 2**53}
    with pytest.raises(strict_json.NotCanonical):
        sign(large, key=ED25519, signature=MEMBERS)
    assert status_of(signed(), large).status == "unsupported"


def test_trust_comes_from_the_store_alone() -> None:
    made = signed()
    assert not status_of(made).trusted
    assert not status_of(made, trusted_keys=[OWN["vectors"][1]["signature"]["public_key"]]).trusted
    assert status_of(made, trusted_keys=[made["public_key"]]).trusted
    assert not status_of({**made, "signee": "Somebody else"}, trusted_keys=[made["public_key"]]).trusted
    assert status_of(signed(revoked=True), trusted_keys=[made["public_key"]]) == SignatureStatus(
        "jss--1", "revoked", True, "Its signer revoked the signature."
    )


CA_KEY = ec.generate_private_key(ec.SECP256R1())
LEAF_KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(
    key: ec.EllipticCurvePrivateKey,
    name: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    issuer: str,
    *,
    ca: bool,
    until: datetime = NOW + timedelta(days=1),
) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = x509.CertificateBuilder(named(issuer), named(name), key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW - timedelta(days=9)).not_valid_after(until)
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


CA = certificate(CA_KEY, "ca", CA_KEY, "ca", ca=True)
LEAF = certificate(LEAF_KEY, "leaf", CA_KEY, "ca", ca=False)


def by_chain(*chain: x509.Certificate) -> dict[str, Any]:
    members = {**MEMBERS, "public_cert_chain": [b64(link) for link in chain]}
    return sign(PLAYBOOK, key=LEAF_KEY, signature=members, algorithm="ES256")


def test_a_chain_is_trusted_through_the_certificate_that_issued_it() -> None:
    store = TrustStore(certificates=[der(CA)])
    made = by_chain(LEAF, CA)
    assert "public_key" not in made
    assert status_of(made) == SignatureStatus("jss--1", "valid")
    assert status_of(made, store=store).trusted
    assert status_of(by_chain(LEAF), store=TrustStore(certificates=[der(LEAF)])).trusted
    assert not status_of(by_chain(LEAF), store=store).trusted


def test_a_chain_with_a_broken_link_is_not_trusted() -> None:
    store = TrustStore(certificates=[der(CA)])
    foreign = ec.generate_private_key(ec.SECP256R1())
    forged = certificate(LEAF_KEY, "leaf", foreign, "ca", ca=False)
    expired = certificate(LEAF_KEY, "leaf", CA_KEY, "ca", ca=False, until=NOW - timedelta(days=1))
    # A certificate that may not issue others, used to issue one.
    middle = certificate(foreign, "middle", CA_KEY, "ca", ca=False)
    under = certificate(LEAF_KEY, "leaf", foreign, "middle", ca=False)
    for chain in ((forged, CA), (expired, CA), (under, middle, CA)):
        found = status_of(by_chain(*chain), store=store)
        assert (found.status, found.trusted) == ("valid", False)


@pytest.mark.parametrize("chain", [[], "AAAA", [5], ["AAAA"], [b64(LEAF)] * 11])
def test_a_chain_that_is_none_is_invalid(chain: Any) -> None:
    assert status_of({**by_chain(LEAF), "public_cert_chain": chain}).status == "invalid"


def test_a_thumbprint_or_url_needs_the_certificate_at_hand() -> None:
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(der(LEAF)).digest()).rstrip(b"=").decode()
    printed = sign(PLAYBOOK, key=LEAF_KEY, signature={**MEMBERS, "thumbprint": thumbprint}, algorithm="ES256")
    linked = sign(PLAYBOOK, key=LEAF_KEY, signature={**MEMBERS, "cert_url": "https://a.example/c"}, algorithm="ES256")
    assert status_of(printed).status == "unsupported"
    assert status_of(linked).status == "unsupported"
    assert status_of(printed, store=TrustStore(certificates=[der(LEAF)])) == SignatureStatus("jss--1", "valid", True)
    fetched = TrustStore(fetched={"https://a.example/c": der(LEAF)})
    assert status_of(linked, store=fetched) == SignatureStatus("jss--1", "valid", False)
    broken = TrustStore(fetched={"https://a.example/c": b"no certificate"})
    assert status_of(linked, store=broken).status == "invalid"


def test_the_id_of_a_playbook_follows_from_its_name_and_types() -> None:
    assert playbook_id(name="Isolate host", playbook_types=["mitigation"]) == (
        "playbook--4f84c47d-aa1c-54d7-97ee-52144a43c4ed"
    )
