"""The floor: bare ASGI applications that do the least a token and an introspection endpoint can do.

`token` parses the form, compares the keyed hash of the secret, signs ES256 with `cryptography`, answers with orjson.
`lookup` parses the form, compares the secret, hashes the token, answers from one dict. No store, no checks, no edge.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

CLIENT, SECRET = "bench", "floor-secret-floor-secret-floor-secret-1"
TOKEN = "kro_at_" + "A" * 49

_PEPPER = os.urandom(32)
_DIGEST = hmac.digest(_PEPPER, SECRET.encode(), hashlib.sha256)
_KEY, _ES256 = generate_private_key(SECP256R1()), ECDSA(SHA256())
_HEADER = base64.urlsafe_b64encode(orjson.dumps({"alg": "ES256", "typ": "at+jwt", "kid": "floor"})).rstrip(b"=")
_TOKENS = {
    hmac.digest(_PEPPER, TOKEN.encode(), hashlib.sha256): {
        "active": True,
        "aud": "https://bench.example/reference",
        "client_id": CLIENT,
        "exp": 2_000_000_000,
        "iat": 1_900_000_000,
        "jti": "0197f9f2-0000-7000-8000-000000000000",
        "scope": "bench:count",
        "sub": CLIENT,
    }
}

Message = MutableMapping[str, Any]


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Route by path and answer."""
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    form = dict(parse_qsl(body.decode()))
    digest = hmac.digest(_PEPPER, form["client_secret"].encode(), hashlib.sha256)
    if form["client_id"] != CLIENT or not hmac.compare_digest(digest, _DIGEST):
        status, answer = 401, b'{"error":"invalid_client"}'
    else:
        status, answer = 200, _lookup(form) if scope["path"] == "/oauth/introspect" else _token(form)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def _token(form: dict[str, str]) -> bytes:
    now = int(time.time())
    claims = {
        "iss": "http://localhost:8081",
        "aud": "https://bench.example/jwt",
        "sub": CLIENT,
        "client_id": CLIENT,
        "iat": now,
        "exp": now + 600,
        "jti": os.urandom(16).hex(),
        "scope": form["scope"],
    }
    signed = _HEADER + b"." + base64.urlsafe_b64encode(orjson.dumps(claims)).rstrip(b"=")
    r, s = decode_dss_signature(_KEY.sign(signed, _ES256))
    signature = base64.urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).rstrip(b"=")
    token = (signed + b"." + signature).decode()
    return orjson.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 600, "scope": form["scope"]})


def _lookup(form: dict[str, str]) -> bytes:
    found = _TOKENS.get(hmac.digest(_PEPPER, form["token"].encode(), hashlib.sha256))
    return orjson.dumps(found or {"active": False})
