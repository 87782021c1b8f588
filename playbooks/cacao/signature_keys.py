"""Keys and algorithms of CACAO signatures: JWA's algorithms over bare octets, without a JWS header.

Source: CACAO.md 11; RFC 7518, RFC 8037.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey

MIN_RSA_BITS: Final = 2_048
#: A larger key only costs time.
MAX_RSA_BITS: Final = 8_192
#: Certificates of one chain.
MAX_CHAIN: Final = 10

_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
#: algorithm -> curve and the octets of r and of s
_CURVES: Final[Mapping[str, tuple[str, int]]] = {
    "ES256": ("secp256r1", 32),
    "ES384": ("secp384r1", 48),
    "ES512": ("secp521r1", 66),
}
ALGORITHMS: Final = frozenset(
    {f"{family}{size}" for family in ("RS", "PS") for size in _HASHES} | _CURVES.keys() | {"Ed25519", "Ed448"}
)


class KeyUnusable(Exception):
    """``status``: ``invalid`` for a key that contradicts the signature, ``unsupported`` for one we cannot use."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Chain:
    """Certificates, leaf first, each issued by the next."""

    certificates: tuple[x509.Certificate, ...]

    @property
    def key(self) -> PublicKey:
        return supported(self.certificates[0].public_key())

    def spki_at(self, now: datetime) -> list[bytes]:
        """Return the public keys that vouch for the leaf at ``now``: its own, then issuers as far as links hold."""
        vouching: list[bytes] = []
        for position, certificate in enumerate(self.certificates):
            if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
                break
            if position and not (_may_issue(certificate) and _issued(self.certificates[position - 1], certificate)):
                break
            vouching.append(spki(certificate.public_key()))
        return vouching


def load_public_key(text: str) -> PublicKey:
    """Read a SubjectPublicKeyInfo in base64 without header and footer. Raises KeyUnusable."""
    try:
        return supported(serialization.load_der_public_key(base64.b64decode(text, validate=True)))
    except (ValueError, binascii.Error):
        raise KeyUnusable("invalid", "The public key is no SubjectPublicKeyInfo in base64.") from None
    except UnsupportedAlgorithm:
        raise KeyUnusable("unsupported", "The public key is of a kind that is not read.") from None


def load_chain(texts: Sequence[object]) -> Chain:
    """Read certificates in base64 DER, leaf first. Raises KeyUnusable."""
    if not 0 < len(texts) <= MAX_CHAIN or not all(isinstance(text, str) for text in texts):
        raise KeyUnusable("invalid", f"A chain is 1 to {MAX_CHAIN} certificates in base64.")
    try:
        return Chain(tuple(load_certificate(base64.b64decode(str(text), validate=True)) for text in texts))
    except (ValueError, binascii.Error):
        raise KeyUnusable("invalid", "The chain holds something that is no certificate in base64 DER.") from None


def load_certificate(der: bytes) -> x509.Certificate:
    """Read one DER certificate, its key included. Raises KeyUnusable."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.public_key()
        return certificate
    except (ValueError, x509.InvalidVersion):
        raise KeyUnusable("invalid", "The certificate cannot be read.") from None
    except UnsupportedAlgorithm:
        raise KeyUnusable("unsupported", "The certificate is of a kind that is not read.") from None


def spki(key: object) -> bytes:
    """Return a public key as DER SubjectPublicKeyInfo: equal keys give equal octets."""
    assert hasattr(key, "public_bytes")
    encoded: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded


def supported(key: object) -> PublicKey:
    """Return ``key`` if it is of a kind, and of a size, that counts. Raises KeyUnusable."""
    if isinstance(key, rsa.RSAPublicKey) and not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise KeyUnusable("unsupported", f"An RSA key has {MIN_RSA_BITS:,} to {MAX_RSA_BITS:,} bits.")
    if isinstance(key, PublicKey):
        return key
    raise KeyUnusable("unsupported", "The key is of a kind that does not sign.")


def verifies(key: PublicKey, algorithm: str, signature: bytes, signed: bytes) -> bool:
    """Return whether ``signature`` is ``key``'s over ``signed``; a key of another kind than ``algorithm`` made none."""
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm[:2] in ("RS", "PS"):
            key.verify(signature, signed, _padding(algorithm), _HASHES[algorithm[2:]])
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm in _CURVES:
            curve, size = _CURVES[algorithm]
            if key.curve.name != curve or len(signature) != 2 * size:
                return False
            r, s = int.from_bytes(signature[:size]), int.from_bytes(signature[size:])
            key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(_HASHES[algorithm.replace("ES", "")]))
        elif (isinstance(key, ed25519.Ed25519PublicKey) and algorithm == "Ed25519") or (
            isinstance(key, ed448.Ed448PublicKey) and algorithm == "Ed448"
        ):
            key.verify(signature, signed)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def make(key: PrivateKey, algorithm: str, signed: bytes) -> bytes:
    """Return the bare signature over ``signed``. Raises ValueError where the key is not one of ``algorithm``'s."""
    if isinstance(key, rsa.RSAPrivateKey) and algorithm[:2] in ("RS", "PS") and algorithm in ALGORITHMS:
        supported(key.public_key())
        return key.sign(signed, _padding(algorithm), _HASHES[algorithm[2:]])
    if isinstance(key, ec.EllipticCurvePrivateKey) and _CURVES.get(algorithm, ("", 0))[0] == key.curve.name:
        size = _CURVES[algorithm][1]
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(_HASHES[algorithm.replace("ES", "")])))
        return r.to_bytes(size) + s.to_bytes(size)
    if isinstance(key, ed25519.Ed25519PrivateKey) and algorithm == "Ed25519":
        return key.sign(signed)
    if isinstance(key, ed448.Ed448PrivateKey) and algorithm == "Ed448":
        return key.sign(signed)
    raise ValueError(f"This key does not make signatures of the algorithm {algorithm}.")


def _padding(algorithm: str) -> padding.AsymmetricPadding:
    if algorithm.startswith("RS"):
        return padding.PKCS1v15()
    digest = _HASHES[algorithm[2:]]
    return padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _may_issue(certificate: x509.Certificate) -> bool:
    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as missing:
        # Without key usage a certificate may be used for anything its basic constraints allow.
        return missing.oid == x509.KeyUsage.oid
    except (ValueError, x509.DuplicateExtension):
        return False
