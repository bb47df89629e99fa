"""TLS that this process speaks itself: where it listens, with which certificate, and whom it asks for one.

The certificate is read again when its file changes, so that a renewed one needs no restart. Python's TLS refuses client
certificates that it cannot verify, so a listener that asks for them trusts, besides the authorities, every self-signed
certificate that a client registered. That only lets them through: what a certificate proves is decided at the endpoint.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kronborg.core.errors import Problem
from kronborg.core.forwarded_certificate import CertificateHeader

MAX_TRUSTED = 20_000


@dataclass(frozen=True, slots=True)
class TlsListener:
    """Where TLS is spoken. The files are PEM: the certificate with its chain, and its private key."""

    host: str
    port: int
    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class MutualTlsSettings:
    """How clients with certificates call (RFC 8705). `url` is announced as `mtls_endpoint_aliases`.

    `authorities` is the PEM file of those that vouch for clients of `tls_client_auth`. Certificates come over a
    `listener` of ours, in the `header` of a trusted proxy, or either way.
    """

    url: str
    authorities: str | None = None
    header: CertificateHeader | None = None
    listener: TlsListener | None = None


class ServerContext:
    """The context of one listener, kept up to date by `refresh` and `trust`."""

    def __init__(self, listener: TlsListener, *, authorities: str | None = None, ask: bool = False) -> None:
        """Raises `OSError` (`ssl.SSLError` among them) when a file cannot be used."""
        self._listener, self.asks = listener, ask
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._loaded = self._stamp()
        self.context.load_cert_chain(listener.certificate, listener.key)
        self._trusted: set[bytes] = set()
        if ask:
            self.context.verify_mode = ssl.CERT_OPTIONAL
            self.context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            # A resumed session would be believed after its certificate has ended.
            self.context.options |= ssl.OP_NO_TICKET
            self.context.num_tickets = 0
            if authorities is not None:
                self.context.load_verify_locations(cafile=authorities)

    def refresh(self) -> None:
        """Take a renewed certificate for new connections; one that cannot be read changes nothing, and is raised."""
        stamp = self._stamp()
        if stamp != self._loaded:
            self.context.load_cert_chain(self._listener.certificate, self._listener.key)
            self._loaded = stamp

    def trust(self, certificates: Iterable[bytes]) -> None:
        """Let these certificates (DER) through from now on. One that is no certificate is left out."""
        for certificate in certificates:
            if certificate in self._trusted or len(self._trusted) >= MAX_TRUSTED:
                continue
            self._trusted.add(certificate)
            try:
                self.context.load_verify_locations(cadata=certificate)
            except ssl.SSLError:
                continue

    def _stamp(self) -> tuple[int, int]:
        paths = (Path(self._listener.certificate), Path(self._listener.key))
        first, second = (path.stat().st_mtime_ns for path in paths)
        return first, second


def peer_certificates(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """What the caller showed, in DER, its own first; empty when it showed none.

    Before Python 3.13 its own alone: the authorities in between have to be among the configured ones there.
    """
    own = tls.getpeercert(binary_form=True)
    if own is None:
        return ()
    chain = getattr(tls, "get_unverified_chain", None)
    return (own,) if chain is None else tuple(chain())


def tls_problems(tls: TlsListener | None, mtls: MutualTlsSettings | None, *, proxies: bool) -> Iterator[Problem]:
    """Everything that keeps these listeners from standing."""
    if tls is not None:
        yield from _listener_problems("server.identity.tls", tls)
    if mtls is None:
        return
    where = "server.identity.mtls"
    if not mtls.url.startswith("https://") or mtls.url.endswith("/") or any(mark in mtls.url for mark in "?#@ "):
        yield Problem(f"{where}.url", "is no https URL without trailing slash", "write https://mtls.id.example.com")
    if mtls.listener is None and mtls.header is None:
        yield Problem(where, "says nowhere to take certificates from", "give port, certificate and key, or header")
    if mtls.header is not None and not proxies:
        yield Problem(f"{where}.header", "is believed of trusted proxies only", "name them in server.trusted_proxies")
    if mtls.authorities is not None:
        from kronborg.core.client_certificate import Authorities

        try:
            Authorities(Path(mtls.authorities).read_bytes())
        except OSError:
            yield _unreadable(f"{where}.authorities")
        except ValueError:
            yield Problem(f"{where}.authorities", "holds no certificates", "give a file of certificates in PEM")
    if mtls.listener is not None:
        yield from _listener_problems(where, mtls.listener)


def _unreadable(where: str) -> Problem:
    return Problem(where, "is no file that can be read", "name one that this user may read, relative to kronborg.yaml")


def _listener_problems(where: str, listener: TlsListener) -> Iterator[Problem]:
    files = {"certificate": listener.certificate, "key": listener.key}
    unreadable = [name for name, file in files.items() if not os.access(file, os.R_OK)]
    yield from (_unreadable(f"{where}.{name}") for name in unreadable)
    if unreadable:
        return
    try:
        ServerContext(listener)
    except OSError:
        yield Problem(
            f"{where}.certificate", "cannot be used with its key", "give two files in PEM: chain and private key"
        )
