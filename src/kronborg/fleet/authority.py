"""The fleet's own certificate authority: who signs what gateways and the control plane show one another.

Its key is sealed in the vault. A gateway's certificate is for clients of TLS alone, lives for days, and names the
node by its id (`urn:uuid:…`, RFC 9562 §4); what a request for one says about its subject is not looked at.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Invalid, Problem
from kronborg.core.whole import whole
from kronborg.fleet.model import StoredAuthority
from kronborg.fleet.store import add_authority, find_authority

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

LIFETIME = timedelta(days=7)
"""Of a gateway's certificate: longer than a control plane should ever be away."""
RENEW_AFTER = timedelta(days=1)
SERVER_LIFETIME = timedelta(days=30)
LARGEST_REQUEST = 8 * 1024
_AUTHORITY_LIFETIME = timedelta(days=3650)
_EARLIER = timedelta(minutes=5)
"""Certificates begin so much before they are made: clocks differ."""
_CONTEXT = "fleet:authority"
_NODE = "urn:uuid:"


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate in PEM, its serial number in hexadecimal, and when it ends."""

    certificate: bytes
    serial: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """What a certificate of the fleet says: which node, by which serial number, from when to when."""

    node_id: str
    serial: str
    begins_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Authority:
    """The opened authority: `pem` is its certificate, `fingerprint` the SHA-256 of it (of its DER) in hexadecimal."""

    pem: bytes
    fingerprint: str
    _certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey

    def certify(self, request: bytes, *, node_id: str, name: str, now: datetime) -> Issued:
        """A certificate for the key of a request in PEM. Raises `Invalid` for one that cannot be certified."""
        from cryptography import x509
        from cryptography.x509.oid import ExtendedKeyUsageOID

        names = [x509.UniformResourceIdentifier(f"{_NODE}{node_id}")]
        usage = ExtendedKeyUsageOID.CLIENT_AUTH
        return self._sign(_key_of(request), name, names, usage, now=now, lifetime=LIFETIME)

    def serve(self, url: str, *, now: datetime) -> tuple[Issued, bytes]:
        """A certificate for the control plane's own listener at `url`, and its private key in PEM."""
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID

        host = urlsplit(url).hostname or "localhost"
        try:
            name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        made = self._sign(key.public_key(), "control", [name], usage, now=now, lifetime=SERVER_LIFETIME)
        return made, private_pem(key)

    def _sign(
        self,
        public: object,
        name: str,
        names: list[x509.GeneralName] | list[x509.UniformResourceIdentifier],
        usage: x509.ObjectIdentifier,
        *,
        now: datetime,
        lifetime: timedelta,
    ) -> Issued:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.x509.oid import NameOID

        serial = x509.random_serial_number()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._certificate.subject)
            .public_key(public)  # type: ignore[arg-type]  # checked by `_key_of`
            .serial_number(serial)
            .not_valid_before(now - _EARLIER)
            .not_valid_after(now + lifetime)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        return Issued(pem, f"{serial:x}", certificate.not_valid_after_utc)


async def open_authority(database: Database, vault: Vault, *, now: datetime) -> Authority:
    """The authority of this installation, made when it is first needed."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    async with database.read() as session:
        stored = await find_authority(session)
    if stored is None:
        async with whole(database) as session:
            stored = await find_authority(session)
            if stored is None:
                stored = _make(vault, now=now)
                await add_authority(session, stored)
    key = load_pem_private_key(vault.open(stored.sealed_key, context=_CONTEXT), None)
    return _opened(stored.certificate.encode(), key)


def fingerprint_of(pem: bytes) -> str:
    """The SHA-256 of the one certificate in PEM, in hexadecimal. Raises `ValueError`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()


def new_request(name: str) -> tuple[bytes, bytes]:
    """A new private key and the request to certify it, both in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return private_pem(key), request.public_bytes(serialization.Encoding.PEM)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key in PEM, in the clear: for a file that only its owner may read, or to be sealed."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_shown(certificate: bytes) -> Shown | None:
    """What a certificate (DER, or PEM) of ours says; None when it names no node. TLS has verified who signed it."""
    from cryptography import x509

    try:
        pem = certificate.lstrip().startswith(b"-----")
        read = x509.load_pem_x509_certificate if pem else x509.load_der_x509_certificate
        found = read(certificate)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.ExtensionNotFound):
        return None
    if not uri.startswith(_NODE):
        return None
    return Shown(
        uri.removeprefix(_NODE), f"{found.serial_number:x}", found.not_valid_before_utc, found.not_valid_after_utc
    )


def _key_of(request: bytes) -> object:
    """The key of a request that proves to hold it: P-256, P-384, or Ed25519."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    wrong = Invalid(Problem("csr", "is no certificate request with a P-256, P-384 or Ed25519 key"))
    if len(request) > LARGEST_REQUEST:
        raise wrong
    try:
        parsed = x509.load_pem_x509_csr(request)
        key = parsed.public_key()
        proven = parsed.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        raise wrong from None
    curve = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, (ec.SECP256R1, ec.SECP384R1))
    if not proven or not (curve or isinstance(key, ed25519.Ed25519PublicKey)):
        raise wrong
    return key


def _make(vault: Vault, *, now: datetime) -> StoredAuthority:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Kronborg fleet")])
    ends = now + _AUTHORITY_LIFETIME
    signs = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signs, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM).decode()
    return StoredAuthority(pem, vault.seal(private_pem(key), context=_CONTEXT), now, ends)


def _opened(pem: bytes, key: object) -> Authority:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the key of the fleet's authority is none of ours")
    return Authority(pem, fingerprint_of(pem), x509.load_pem_x509_certificate(pem), key)
