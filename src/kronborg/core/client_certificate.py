"""The certificate that a caller proved to hold in TLS, as the server or a trusted proxy saw it, and who vouches for it.

TLS itself decides nothing here: a proxy may let every certificate through, and our own listener trusts what clients
registered as well as authorities. So whether a chain leads to an authority is found out again, from these alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.x509 import verification

CERTIFICATES: Final = "client_certificates"
"""Where in an ASGI scope they stand: DER, the caller's own first, then what it sent along. Absent without any."""

MAX_CERTIFICATES = 5
MAX_KNOWN = 1024
BELIEVED_FOR = timedelta(minutes=5)


def certificates_of(scope: Mapping[str, object]) -> tuple[bytes, ...]:
    """The certificates of a request; empty when the caller showed none."""
    found = scope.get(CERTIFICATES, ())
    return found if isinstance(found, tuple) else ()


class Authorities:
    """The certificate authorities whose word counts for clients of `tls_client_auth` (RFC 8705 §2.1)."""

    def __init__(self, pem: bytes) -> None:
        """From a PEM bundle; intermediate authorities may be among them. Raises `ValueError`."""
        from cryptography import x509
        from cryptography.x509.verification import Store

        self._store = Store(x509.load_pem_x509_certificates(pem))
        self._known: dict[bytes, datetime] = {}

    def vouch(self, certificates: tuple[bytes, ...], *, now: datetime) -> bool:
        """Whether the first certificate leads to one of these authorities at this moment, and is for clients of TLS."""
        digest = hashlib.sha256(b"".join(certificates)).digest()
        known = self._known.get(digest)
        if known is not None and now < known:
            return True
        until = self._verified_until(certificates[:MAX_CERTIFICATES], now=now)
        if until is None:
            self._known.pop(digest, None)
            return False
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[digest] = until
        return True

    def _verified_until(self, certificates: tuple[bytes, ...], *, now: datetime) -> datetime | None:
        from cryptography import x509
        from cryptography.x509.verification import PolicyBuilder, VerificationError

        at_authorities, at_clients = _policies()
        builder = PolicyBuilder().store(self._store).time(now.replace(tzinfo=None))
        builder = builder.extension_policies(ca_policy=at_authorities, ee_policy=at_clients)
        try:
            own, *others = [x509.load_der_x509_certificate(one) for one in certificates]
            chain = builder.build_client_verifier().verify(own, others).chain
        except (VerificationError, ValueError):
            return None
        return min(now + BELIEVED_FOR, *(one.not_valid_after_utc for one in chain))


@dataclass(frozen=True, slots=True)
class MutualTls:
    """Mutual TLS of this installation. `url` is where clients with certificates call, without a trailing slash."""

    url: str | None = None
    authorities: Authorities | None = None


NO_MUTUAL_TLS = MutualTls()


def _policies() -> tuple[verification.ExtensionPolicy, verification.ExtensionPolicy]:
    """What certificates of authorities and of clients must say (RFC 5280 §4.2); the rules of the web ask for more."""
    from cryptography import x509
    from cryptography.x509.verification import Criticality, ExtensionPolicy

    either = Criticality.AGNOSTIC
    at_authorities = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, either, _is_authority)
    at_authorities = at_authorities.may_be_present(x509.KeyUsage, either, _may_sign)
    at_clients = ExtensionPolicy.permit_all().may_be_present(x509.ExtendedKeyUsage, either, _is_for_clients)
    return at_authorities, at_clients


def _is_authority(_policy: object, _of: object, said: x509.BasicConstraints) -> None:
    if not said.ca:
        raise ValueError("not an authority")


def _may_sign(_policy: object, _of: object, said: x509.KeyUsage | None) -> None:
    if said is not None and not said.key_cert_sign:
        raise ValueError("not for signing certificates")


def _is_for_clients(_policy: object, _of: object, said: x509.ExtendedKeyUsage | None) -> None:
    from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

    if said is not None and not {Usage.CLIENT_AUTH, Usage.ANY_EXTENDED_KEY_USAGE} & set(said):
        raise ValueError("not for clients")
