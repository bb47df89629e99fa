"""The loopback endpoint where Envoy asks which certificate a trusted proxy's header names (RFC 8705 section 3.1).

Plain ASGI, guarded by the exchange secret like `/exchange`. Envoy asks once for each value of the header and remembers
the answer; whose word a header is was decided before, by where the connection comes from.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import get_args

from starlette.types import Receive, Scope, Send

from kronborg.core.forwarded_certificate import CertificateHeader, forwarded_certificates

PATH = "/certificate"
_SECRET_HEADER = b"x-kronborg-exchange"
_KIND_HEADER = b"x-kronborg-certificate-header"
_LARGEST = 32 * 1024
_KINDS: dict[bytes, CertificateHeader] = {kind.encode(): kind for kind in get_args(CertificateHeader)}


class CertificateApp:
    """`POST /certificate` with the value of the header as the body: 200 and the thumbprint, or 404 for none."""

    def __init__(self, *, secret: str) -> None:
        if len(secret) < 32:
            raise ValueError("the exchange secret is too short")
        self._secret = secret.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one question."""
        if scope["path"] != PATH or scope["method"] != "POST":
            await _answer(send, 404)
            return
        shown = [value for name, value in scope["headers"] if name == _SECRET_HEADER]
        if len(shown) != 1 or not hmac.compare_digest(shown[0], self._secret):
            await _answer(send, 403)
            return
        named = [value for name, value in scope["headers"] if name == _KIND_HEADER]
        kind = _KINDS.get(named[0]) if len(named) == 1 else None
        value = await _body(receive)
        thumbprint = "" if kind is None or value is None else thumbprint_of(kind, value)
        await _answer(send, 200 if thumbprint else 404, thumbprint.encode())


def thumbprint_of(kind: CertificateHeader, value: bytes) -> str:
    """`x5t#S256` of the one certificate that a header of this kind names; empty when it names none, or several."""
    found = forwarded_certificates(kind, ((kind.encode(), value),))
    if not found:
        return ""
    return urlsafe_b64encode(hashlib.sha256(found[0]).digest()).rstrip(b"=").decode()


async def _body(receive: Receive) -> bytes | None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _LARGEST:
            return None
    return body


async def _answer(send: Send, status: int, body: bytes = b"") -> None:
    headers = [(b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
