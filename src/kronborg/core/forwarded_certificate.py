"""The client certificate as a proxy passes it on: Envoy's `X-Forwarded-Client-Cert`, `Client-Cert` of RFC 9440, or
`X-SSL-Client-Cert` with nginx's `$ssl_client_escaped_cert`.

Anyone can write such a header, so it is looked at only in requests of trusted proxies (`forwarded.py`), and those have
to throw away what a client sent under its name.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal
from urllib.parse import unquote

CertificateHeader = Literal["x-forwarded-client-cert", "client-cert", "x-ssl-client-cert"]
MAX_VALUE = 48 * 1024
MAX_CHAIN = 10

# Envoy: elements between commas, pairs between semicolons, values that may be quoted.
_PAIR = re.compile(r'\s*([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^",;]*)\s*(;|,|$)')
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s*([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----\s*", re.ASCII)
# RFC 9440 §2.2, RFC 8941 §3.3.5: a byte sequence between colons.
_BYTES = re.compile(r":([A-Za-z0-9+/]+={0,2}):", re.ASCII)


def forwarded_certificates(kind: CertificateHeader, headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
    """The certificates in DER, the client's own first; empty when there is none, or the header is ambiguous."""
    wanted, chain = kind.encode(), b"client-cert-chain"
    own: list[bytes] = []
    others: list[bytes] = []
    for name, value in headers:
        if name == wanted:
            own.append(value)
        elif name == chain:
            others.append(value)
    # Twice means that somebody besides the proxy wrote one.
    if len(own) != 1 or len(own[0]) + sum(map(len, others)) > MAX_VALUE:
        return ()
    if kind == "x-forwarded-client-cert":
        return _of_envoy(own[0].decode("latin-1"))
    if kind == "x-ssl-client-cert":
        return _of_nginx(own[0].decode("latin-1"))
    return _of_rfc9440(own[0].decode("latin-1"), ",".join(one.decode("latin-1") for one in others))


@lru_cache(maxsize=256)
def _of_envoy(text: str) -> tuple[bytes, ...]:
    """One element, of the proxy that stands before us; of more it is not clear whose word each is."""
    values: dict[str, str] = {}
    position = 0
    while position < len(text):
        pair = _PAIR.match(text, position)
        if pair is None or pair[3] == ",":
            return ()
        # An element names each of these once; names of the certificate may come several times, and are not needed.
        if pair[1].lower() in ("cert", "chain"):
            if pair[1].lower() in values:
                return ()
            values[pair[1].lower()] = unquote(pair[2].strip('"'))
        position = pair.end()
    own, chain = _of_pem(values.get("cert", "")), _of_pem(values.get("chain", ""))
    if len(own) != 1:
        return ()
    return own + tuple(one for one in chain if one != own[0])


@lru_cache(maxsize=256)
def _of_nginx(text: str) -> tuple[bytes, ...]:
    """One certificate in PEM, its unusual characters as percent signs and digits."""
    found = _of_pem(unquote(text))
    return found if len(found) == 1 else ()


def _of_pem(text: str) -> tuple[bytes, ...]:
    """The certificates of a PEM bundle; none when anything else stands in it."""
    if _PEM.sub("", text).strip():
        return ()
    try:
        found = tuple(base64.b64decode("".join(match[1].split()), validate=True) for match in _PEM.finditer(text))
    except ValueError:
        return ()
    return found if len(found) <= MAX_CHAIN else ()


@lru_cache(maxsize=256)
def _of_rfc9440(own: str, others: str) -> tuple[bytes, ...]:
    """The byte sequences of `Client-Cert` and `Client-Cert-Chain`."""
    members = [own, *others.split(",")] if others.strip() else [own]
    found = []
    for member in members:
        match = _BYTES.fullmatch(member.strip())
        if match is None:
            return ()
        try:
            found.append(base64.b64decode(match[1], validate=True))
        except ValueError:
            return ()
    return tuple(found) if len(found) <= MAX_CHAIN else ()
