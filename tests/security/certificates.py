"""Certificates for small servers: a good one, and one for each way to be bad."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Authority:
    """A certificate authority of a test."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


def new_authority(name: str = "Test authority") -> Authority:
    """Return an authority that nobody trusts yet."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, name, key.public_key(), NOW + dt.timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return Authority(builder.sign(key, hashes.SHA256()), key)


def server_context(
    folder: Path, *, authority: Authority | None, name: str = "good.test", expired: bool = False
) -> ssl.SSLContext:
    """Return the TLS side of a server with a certificate for ``name``; without an authority it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer, issuer = (authority.key, "Test authority") if authority else (key, name)
    end = NOW - dt.timedelta(hours=1) if expired else NOW + dt.timedelta(days=1)
    builder = _builder(name, issuer, key.public_key(), end)
    certificate = builder.add_extension(x509.SubjectAlternativeName([_general(name)]), critical=False)
    pem = folder / f"{name.replace(':', '-')}.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def _builder(name: str, issuer: str, key: ec.EllipticCurvePublicKey, end: dt.datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(days=2))
        .not_valid_after(end)
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
