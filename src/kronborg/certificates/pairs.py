"""A certificate with its private key, as PEM: whether the two belong together and are fit to be shown."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from kronborg.core.errors import Invalid, Problem

_LARGEST = 65_536
_LONGEST_CHAIN = 10
_SHORTEST_RSA = 2048
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pair:
    """A chain with its key, found fit. `hosts` are the names and addresses that it is good for."""

    chain: str
    key: str
    hosts: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint: str


def read_pair(chain: str, key: str, *, now: datetime) -> Pair:
    """Raises `Invalid` with everything that is wrong with the two."""
    problems: list[Problem] = []
    certificates = _certificates(chain, problems)
    private = _key(key, problems)
    if problems or private is None:
        raise Invalid(*problems)
    leaf = certificates[0]
    if _public(leaf.public_key()) != _public(private.public_key()):
        problems.append(Problem("key", "is not the key of this certificate", "upload the two that belong together"))
    for issued, issuer in pairwise(certificates):
        try:
            issued.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            where = "the certificate first, then the one that signed it, and so on"
            problems.append(Problem("chain", "is not in order", where))
            break
    if leaf.not_valid_after_utc <= now:
        problems.append(Problem("chain", "has ended", "upload one that is valid now"))
    hosts = hosts_of(leaf)
    if not hosts:
        problems.append(Problem("chain", "names no host", "it needs subjectAltName with DNS names or IP addresses"))
    if problems:
        raise Invalid(*problems)
    return Pair(
        chain="".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in certificates),
        key=private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        hosts=hosts,
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
    )


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The names of a certificate (RFC 9525: only those of subjectAltName count)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = names.get_values_for_type(x509.IPAddress)
    return tuple(sorted({*(str(one).lower() for one in names.get_values_for_type(x509.DNSName)), *map(str, addresses)}))


def new_key() -> str:
    """A private key for a certificate to come: P-256, PKCS#8 PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def self_signed(host: str) -> tuple[str, str]:
    """A certificate that nobody vouches for, with its key: what stands where a certificate is still to come."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    made = (
        x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(_BEGIN + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([_general(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), plain.decode()


def request_for(hosts: tuple[str, ...], key: str) -> bytes:
    """A certificate signing request (RFC 2986) for these names, PEM."""
    private = serialization.load_pem_private_key(key.encode(), None)
    if not isinstance(private, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise TypeError("the key is one of new_key")
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])] if len(hosts[0]) <= 64 else [])
    )
    names = x509.SubjectAlternativeName([_general(host) for host in hosts])
    return (
        builder.add_extension(names, critical=False)
        .sign(private, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _certificates(chain: str, problems: list[Problem]) -> list[x509.Certificate]:
    try:
        if len(chain) > _LARGEST:
            raise ValueError("too long")
        found = x509.load_pem_x509_certificates(chain.encode())
    except ValueError:
        problems.append(Problem("chain", "holds no certificates in PEM", "-----BEGIN CERTIFICATE-----, one or more"))
        return []
    if len(found) > _LONGEST_CHAIN:
        problems.append(Problem("chain", "is too long", f"use at most {_LONGEST_CHAIN} certificates"))
    return found


def _key(key: str, problems: list[Problem]) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None:
    mend = "an unencrypted private key in PEM: P-256, P-384, or RSA of 2048 bits or more"
    try:
        if len(key) > _LARGEST:
            raise ValueError("too long")
        private = serialization.load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError):
        problems.append(Problem("key", "cannot be read", mend))
        return None
    if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, (ec.SECP256R1, ec.SECP384R1)):
        return private
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= _SHORTEST_RSA:
        return private
    problems.append(Problem("key", "is of a kind that is not used", mend))
    return None


def _public(key: object) -> bytes:
    if not isinstance(key, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey)):
        return b""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
