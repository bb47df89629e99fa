"""What keeps listeners of the gateway from standing, and TLS to services from being published."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from kronborg.certificates.model import AcmeSettings
from kronborg.core.errors import Problem
from kronborg.gateway.listener_model import KINDS, Listener, ListenerTls
from kronborg.gateway.model import Service

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_RESERVED = ("gateway", *KINDS)
_LONGEST_HSTS = timedelta(days=3650)
_LARGEST_CA = 262_144
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")


def listener_problems(listeners: Sequence[Listener], *, plain: bool) -> Iterator[Problem]:
    """Everything that makes these listeners unsafe or unusable; `plain`: plain HTTP may be served to anybody."""
    for one in listeners:
        where = f"server.gateway.listeners.{one.name}"
        if _NAME.fullmatch(one.name) is None or (one.name in _RESERVED and one.name != one.kind):
            yield Problem(where, "is not a name for this listener", "use a-z, 0-9 and -, and a kind only for its own")
        if not _is_address(one.host):
            yield Problem(f"{where}.host", "is no IP address", "write 127.0.0.1, 0.0.0.0 or an address of this machine")
        elif one.tls is None and one.redirect is None and not plain and not _is_loopback(one.host):
            mend = "add tls, or redirect to HTTPS, or say allow_plain_http: true if you mean it"
            yield Problem(where, "would serve plain HTTP beyond this machine", mend)
        if one.tls is not None and one.redirect is not None:
            yield Problem(f"{where}.redirect", "is for plain listeners", "drop redirect or tls")
        if one.tls is not None:
            yield from _tls_problems(f"{where}.tls", one.tls)
    if listeners and not any(one.redirect is None for one in listeners):
        yield Problem("server.gateway.listeners", "serve no routes", "add one without redirect")


def acme_problems(acme: AcmeSettings | None, listeners: Sequence[Listener]) -> Iterator[Problem]:
    """What keeps certificates from being ordered."""
    if acme is None:
        return
    where = "server.gateway.acme"
    parts = urlsplit(acme.directory)
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
        yield Problem(f"{where}.directory", "is no https URL", "write https://acme.example/directory")
    if not acme.terms_agreed:
        yield Problem(f"{where}.terms_agreed", "is not said", "read the terms of the server and write true")
    if acme.ca_file is not None and not acme.ca_file.is_file():
        yield Problem(f"{where}.ca_file", "is no file", "give a file of certificates in PEM")
    if listeners and all(one.tls is not None for one in listeners):
        yield Problem(where, "cannot prove anything without a plain listener", "add one on port 80 with redirect: 443")


def service_tls_problems(service: Service) -> Iterator[Problem]:
    """What keeps TLS to a service from being published."""
    told, where = service.tls, f"services.{service.name}.tls"
    if told is None:
        return
    urls = (*service.urls, *(replica.url for replica in service.replicas))
    if any(not url.startswith("https://") for url in urls):
        yield Problem(where, "is said of a service with plain addresses", "write https:// in its url")
    if service.registration is not None and told.sni is None and not told.verify_names:
        yield Problem(where, "names no name to check, and announced replicas have none", "add sni or verify_names")
    if told.ca is not None and not _holds_certificates(told.ca):
        yield Problem(f"{where}.ca", "holds no certificates in PEM", "-----BEGIN CERTIFICATE-----, one or more")
    if told.client_certificate is not None and _NAME.fullmatch(told.client_certificate) is None:
        yield Problem(f"{where}.client_certificate", "is not a name", "name one of the certificates")
    if any(_HOST.fullmatch(name) is None for name in (*told.verify_names, *((told.sni,) if told.sni else ()))):
        yield Problem(where, "a name is no host name", "use lower-case host names without a port")


def _tls_problems(where: str, tls: ListenerTls) -> Iterator[Problem]:
    if not 1 <= len(tls.certificates) <= 50 or len(set(tls.certificates)) != len(tls.certificates):
        yield Problem(f"{where}.certificates", "needs 1 to 50 different ones", "name certificates that you keep")
    if any(_NAME.fullmatch(name) is None for name in tls.certificates):
        yield Problem(f"{where}.certificates", "holds no possible name", "use a-z, 0-9 and -, at most 63 characters")
    if tls.hsts is not None and not timedelta(seconds=1) <= tls.hsts <= _LONGEST_HSTS:
        yield Problem(f"{where}.hsts", "is out of range", "use 1s to 3650d")
    if tls.client_certificates == "required" and tls.authorities is None:
        yield Problem(f"{where}.authorities", "is missing", "name the file of those who vouch for callers")
    if tls.client_certificates == "none" and (tls.authorities or tls.revoked):
        yield Problem(f"{where}.client_certificates", "asks nobody", "write optional or required, or drop authorities")
    if tls.revoked is not None and tls.authorities is None:
        yield Problem(f"{where}.revoked", "is of no use without authorities", "name them, or drop it")
    for name, path in (("authorities", tls.authorities), ("revoked", tls.revoked)):
        if path is not None and not os.access(path, os.R_OK):
            yield Problem(f"{where}.{name}", "is no file that can be read", "name one, relative to kronborg.yaml")


def _holds_certificates(text: str) -> bool:
    from cryptography import x509

    try:
        return len(text) <= _LARGEST_CA and bool(x509.load_pem_x509_certificates(text.encode()))
    except ValueError:
        return False


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback
