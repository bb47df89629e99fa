"""Client certificates (RFC 8705): what binds a token to one, and how one proves a client."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from kronborg.clients.keys_of import jwks_of
from kronborg.clients.model import AuthMethod, Client
from kronborg.clients.settings import ClientSettings
from kronborg.core.base64url import b64
from kronborg.core.json import JsonObject
from kronborg.tokens.engine import Engine

if TYPE_CHECKING:
    from cryptography import x509

TLS_METHODS: Final[frozenset[AuthMethod]] = frozenset({"tls_client_auth", "self_signed_tls_client_auth"})
MAX_KEYS = 50


def thumbprint(certificate: bytes) -> str:
    """`x5t#S256` of a certificate in DER (RFC 8705 §3.1)."""
    return b64(hashlib.sha256(certificate).digest())


def addresses(engine: Engine, url: str) -> tuple[str, ...]:
    """The address of an endpoint, and the one for clients with certificates if there is one (RFC 8705 §5)."""
    other = engine.mutual_tls.url
    return (url,) if other is None else (url, other + url.removeprefix(engine.issuer))


async def proves(engine: Engine, client: Client, certificates: tuple[bytes, ...], *, now: datetime) -> bool:
    """Whether these certificates prove a client of either method (RFC 8705 §2). TLS saw that it holds the key."""
    if not certificates:
        return False
    if client.auth_method == "self_signed_tls_client_auth":
        jwks = await jwks_of(engine.fetcher, client, now=now)
        # RFC 8705 §2.2: the certificate itself is registered, so there is no chain to look at.
        registered = [hmac.compare_digest(one, certificates[0]) for one in registered_certificates(jwks)]
        return any(registered) and _in_time(certificates[0], now=now)
    authorities = engine.mutual_tls.authorities
    if authorities is None or not authorities.vouch(certificates, now=now):
        return False
    from cryptography import x509

    return _is_named(x509.load_der_x509_certificate(certificates[0]), client.settings)


def registered_certificates(jwks: JsonObject | None) -> Iterator[bytes]:
    """The certificates in a JWK set, in DER: the first of each `x5c` (RFC 7517 §4.7)."""
    keys = None if jwks is None else jwks.get("keys")
    for key in keys[:MAX_KEYS] if isinstance(keys, (list, tuple)) else ():
        chain = key.get("x5c") if isinstance(key, Mapping) else None
        if isinstance(chain, (list, tuple)) and chain and isinstance(chain[0], str):
            try:
                yield base64.b64decode(chain[0], validate=True)
            except ValueError:
                continue


def _in_time(certificate: bytes, *, now: datetime) -> bool:
    from cryptography import x509

    try:
        parsed = x509.load_der_x509_certificate(certificate)
        return parsed.not_valid_before_utc <= now <= parsed.not_valid_after_utc
    except ValueError:
        return False


def _is_named(certificate: x509.Certificate, settings: ClientSettings) -> bool:
    """Whether the certificate carries the one name that the client registered (RFC 8705 §2.1.2)."""
    from cryptography import x509

    if settings.tls_client_auth_subject_dn is not None:
        try:
            wanted = x509.Name.from_rfc4514_string(settings.tls_client_auth_subject_dn)
        except ValueError:
            return False
        return certificate.subject == wanted
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    dns, uri, ip, email = (
        settings.tls_client_auth_san_dns,
        settings.tls_client_auth_san_uri,
        settings.tls_client_auth_san_ip,
        settings.tls_client_auth_san_email,
    )
    if dns is not None:
        # Names without case, and no wildcards: a client is one name (RFC 8705 §7.3 leaves no doubt to parse).
        return dns.lower() in {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    if uri is not None:
        return uri in names.get_values_for_type(x509.UniformResourceIdentifier)
    if ip is not None:
        return ipaddress.ip_address(ip) in names.get_values_for_type(x509.IPAddress)
    return email is not None and email in names.get_values_for_type(x509.RFC822Name)
