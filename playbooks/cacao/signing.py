"""Signatures inside a playbook: verified over the document as received, never over a typed model.

The recipe is CACAO.md 11: the playbook with only this signature object, without its ``value`` and nested
``signature``, in canonical form; the digest of that as lower-case hexadecimal text; the signature over the text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from core import strict_json
from playbooks.cacao import signature_keys as keys
from playbooks.cacao.timestamps import instant, instant_of

Status = Literal["valid", "invalid", "revoked", "expired", "not_yet_valid", "unsupported"]

#: The name space of version 5 playbook ids (CACAO.md 3).
NAMESPACE: Final = uuid.UUID("aa7caf3a-d55a-4e9a-b34e-056215fba56a")

_DIGESTS: Final = {"sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}
_REQUIRED: Final = (
    *("id", "created", "modified", "signee", "related_to", "related_version"),
    *("hash_algorithm", "algorithm", "value"),
)
_KEY_FORMS: Final = ("public_key", "public_cert_chain", "cert_url", "thumbprint")


@dataclass(frozen=True)
class SignatureStatus:
    """What one signature is worth (D32). ``trusted``: its key is in the tenant's trust store; only then does it tell
    who signed. ``reason`` says why it is not ``valid``.
    """

    signature_id: str
    status: Status
    trusted: bool = False
    reason: str = ""


@dataclass(frozen=True)
class TrustStore:
    """Whom a tenant trusts, and certificates fetched from hosts its operator allowed.

    ``keys``: public keys as base64 SubjectPublicKeyInfo. ``certificates``: DER. ``fetched``: URL -> DER certificate;
    having been fetched makes none trusted.
    """

    keys: Collection[str] = ()
    certificates: Collection[bytes] = ()
    fetched: Mapping[str, bytes] = field(default_factory=dict)

    def holds(self, found: _Key, now: datetime) -> bool:
        """Return whether the store vouches for a key at ``now``: by itself, or through a certificate that issued it."""
        trusted = {base64.b64decode(key) for key in self.keys}
        trusted |= {keys.spki(keys.load_certificate(der).public_key()) for der in self.certificates}
        return any(spki in trusted for spki in found.spki_at(now))


@dataclass(frozen=True)
class _Key:
    key: keys.PublicKey
    chain: keys.Chain | None = None

    def spki_at(self, now: datetime) -> list[bytes]:
        return [keys.spki(self.key)] if self.chain is None else self.chain.spki_at(now)


class _NotValid(Exception):
    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


def verify(
    document: bytes | Mapping[str, Any],
    *,
    signature_id: str,
    now: datetime,
    trusted_keys: Collection[str] = (),
    store: TrustStore | None = None,
) -> SignatureStatus:
    """Return what the signature ``signature_id`` of ``document`` is worth at ``now`` (aware).

    ``document``: octets as received, or what `core.strict_json.loads` made of them. ``trusted_keys`` is short for a
    store of these keys (base64 SubjectPublicKeyInfo). Never raises for what stands in the document.

    Raises JsonInvalid for octets that are no JSON.
    """
    trust = store or TrustStore(keys=trusted_keys)
    parsed = _parsed(document)
    found = [signature for signature in signatures_of(parsed) if signature.get("id") == signature_id]
    if len(found) != 1:
        count = "no signature" if not found else f"{len(found)} signatures"
        return SignatureStatus(signature_id, "invalid", reason=f"The playbook holds {count} of this id.")
    return _status(parsed, found[0], now, trust)


def verify_all(
    document: bytes | Mapping[str, Any], *, now: datetime, store: TrustStore | None = None
) -> tuple[SignatureStatus, ...]:
    """Return what each signature of ``document`` is worth, in their order; see `verify`."""
    parsed = _parsed(document)
    signatures = signatures_of(parsed)
    ids = [signature.get("id") for signature in signatures]
    return tuple(
        _status(parsed, signature, now, store or TrustStore())
        if ids.count(signature.get("id")) == 1
        else SignatureStatus(str(signature.get("id", "")), "invalid", reason="Another signature has the same id.")
        for signature in signatures
    )


def signatures_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the objects in ``signatures``; what is no object there is left out."""
    listed = document.get("signatures")
    return [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []


def digest(document: Mapping[str, Any], signature: Mapping[str, Any]) -> str:
    """Return the text that ``signature`` signs: the digest of the playbook with this signature only.

    Raises NotCanonical for a document that JCS cannot write, KeyError for an unknown ``hash_algorithm``.
    """
    bare = {name: value for name, value in signature.items() if name not in ("value", "signature")}
    canonical = strict_json.canonical({**document, "signatures": [bare]})
    return hashlib.new(_DIGESTS[signature["hash_algorithm"]], canonical).hexdigest()


def sign(
    document: Mapping[str, Any],
    *,
    key: keys.PrivateKey,
    signature: Mapping[str, Any],
    algorithm: str = "Ed25519",
    hash_algorithm: str = "sha-256",
) -> dict[str, Any]:
    """Return a signature object over ``document``, to be added to its ``signatures``. Signing makes no new version.

    ``signature``: its members; ``id``, ``created``, ``modified`` and ``signee`` must be there. Type, algorithms,
    ``related_to`` and ``related_version`` are filled in, and the public key unless another form of key is given.

    Raises ValueError for a key of another algorithm, NotCanonical for a document that cannot be signed.
    """
    made = {
        **signature,
        "type": "jss",
        "related_to": document["id"],
        "related_version": document["modified"],
        "hash_algorithm": hash_algorithm,
        "algorithm": algorithm,
    }
    if not any(form in made for form in _KEY_FORMS):
        made["public_key"] = base64.b64encode(keys.spki(key.public_key())).decode("ascii")
    value = keys.make(key, algorithm, digest(document, made).encode("ascii"))
    return {**made, "value": base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")}


def playbook_id(*, name: str, playbook_types: Sequence[str]) -> str:
    """Return the version 5 id of a playbook of this name and these types (CACAO.md 3)."""
    text = strict_json.canonical({"name": name, "playbook_types": list(playbook_types)}).decode("utf-8")
    return f"playbook--{uuid.uuid5(NAMESPACE, text)}"


def _parsed(document: bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    parsed = strict_json.loads(document, allow_nul=True) if isinstance(document, bytes) else document
    return parsed if isinstance(parsed, Mapping) else {}


def _status(
    document: Mapping[str, Any], signature: Mapping[str, Any], now: datetime, trust: TrustStore
) -> SignatureStatus:
    signature_id = str(signature.get("id", ""))
    try:
        _check_shape(document, signature)
        found = _key_of(signature, trust)
        _check_value(document, signature, found.key)
    except (_NotValid, keys.KeyUnusable) as error:
        status: Status = "unsupported" if error.status == "unsupported" else "invalid"
        return SignatureStatus(signature_id, status, reason=str(error))
    trusted = trust.holds(found, now)
    try:
        _check_time(signature, now)
    except _NotValid as error:
        return SignatureStatus(signature_id, error.status, trusted, str(error))
    return SignatureStatus(signature_id, "valid", trusted)


def _check_shape(document: Mapping[str, Any], signature: Mapping[str, Any]) -> None:
    missing = [name for name in _REQUIRED if not isinstance(signature.get(name), str)]
    if signature.get("type") != "jss" or missing:
        raise _NotValid("invalid", f"The signature lacks {', '.join(missing)}." if missing else "It is no jss object.")
    if signature["related_to"] != document.get("id"):
        raise _NotValid("invalid", "The signature is of another playbook.")
    if not _same_time(signature["related_version"], document.get("modified")):
        raise _NotValid("invalid", "The signature is of another version of the playbook.")
    if signature["algorithm"] not in keys.ALGORITHMS or signature["hash_algorithm"] not in _DIGESTS:
        named = f"{signature['algorithm']} with {signature['hash_algorithm']}"
        raise _NotValid("unsupported", f"{named[:80]} cannot be verified here.")


def _key_of(signature: Mapping[str, Any], trust: TrustStore) -> _Key:
    forms = [form for form in _KEY_FORMS if form in signature]
    if len(forms) != 1:
        raise _NotValid("invalid", f"A signature has exactly one of {', '.join(_KEY_FORMS)}.")
    given = signature[forms[0]]
    if forms[0] == "public_cert_chain":
        chain = keys.load_chain(given if isinstance(given, list) else [])
        return _Key(chain.key, chain)
    if not isinstance(given, str):
        raise _NotValid("invalid", f"{forms[0]} has the wrong type.")
    if forms[0] == "public_key":
        return _Key(keys.load_public_key(given))
    der = trust.fetched.get(given) if forms[0] == "cert_url" else _by_thumbprint(given, trust)
    if der is None:
        raise _NotValid("unsupported", "The certificate of the signature is not at hand.")
    chain = keys.Chain((keys.load_certificate(der),))
    return _Key(chain.key, chain)


def _by_thumbprint(thumbprint: str, trust: TrustStore) -> bytes | None:
    for der in (*trust.certificates, *trust.fetched.values()):
        if base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode("ascii") == thumbprint:
            return der
    return None


def _check_value(document: Mapping[str, Any], signature: Mapping[str, Any], key: keys.PublicKey) -> None:
    try:
        signed = digest(document, signature).encode("ascii")
    except strict_json.NotCanonical as error:
        raise _NotValid("unsupported", str(error)) from None
    value = _bare_value(signature["value"])
    if value is None or not keys.verifies(key, signature["algorithm"], value, signed):
        raise _NotValid("invalid", "The signature does not fit the playbook and the key.")


def _bare_value(text: str) -> bytes | None:
    """Return the octets of base64url without padding; one writing of them counts, so none can be altered unseen."""
    try:
        octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        return None
    return octets if base64.urlsafe_b64encode(octets).rstrip(b"=") == text.encode("utf-8", "replace") else None


def _check_time(signature: Mapping[str, Any], now: datetime) -> None:
    revoked = signature.get("revoked", False)
    if not isinstance(revoked, bool):
        raise _NotValid("invalid", "revoked is true or false.")
    if revoked:
        raise _NotValid("revoked", "Its signer revoked the signature.")
    try:
        starts, ends = (
            instant(signature[name]) if name in signature else None for name in ("valid_from", "valid_until")
        )
    except (ValueError, TypeError):
        raise _NotValid("invalid", "valid_from and valid_until are timestamps.") from None
    if starts is not None and instant_of(now) < starts:
        raise _NotValid("not_yet_valid", f"The signature is valid from {signature['valid_from']}.")
    if ends is not None and instant_of(now) >= ends:
        raise _NotValid("expired", f"The signature was valid until {signature['valid_until']}.")


def _same_time(left: str, right: Any) -> bool:
    if not isinstance(right, str):
        return False
    try:
        return instant(left) == instant(right)
    except ValueError:
        return left == right
