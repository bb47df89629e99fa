"""The loopback endpoint where Envoy asks whether a DPoP proof is right (RFC 9449 section 7).

Plain ASGI, guarded by the exchange secret like `/exchange`. What the token is bound to, Envoy read from the token it
verified; whether the proof shows that key, is for this request, this token and this moment, and comes for the first
time on any node, is said here. Every answer is bare: 204, or 401 with the name of a reason.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send

from kronborg.oauth.dpop import check_algorithm, check_nonce, current_nonce, read_proof
from kronborg.oauth.errors import InvalidDpopProof, UseDpopNonce
from kronborg.tokens.engine import Engine

PATH = "/binding"
_SECRET_HEADER = b"x-kronborg-exchange"
_TOLD = ("method", "scheme", "authority", "path", "jkt", "client")
_LARGEST_TOKEN = 16_384
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Shown:
    """A request with a bound token as Envoy saw it. `token` is the text that was sent; `jkt` what it is bound to."""

    method: str
    scheme: str
    authority: str
    path: str
    jkt: str
    client: str
    token: str
    proof: bytes


@dataclass(frozen=True, slots=True)
class Unproven:
    """Why the caller did not prove the key; with a nonce when the next proof must carry it."""

    reason: str
    nonce: str | None = None


@dataclass(frozen=True, slots=True)
class Proven:
    """The caller holds the key; where proofs need nonces, with one for the next (RFC 9449 section 8.2)."""

    nonce: str | None = None


Check = Callable[[Shown, datetime], Awaitable[Proven | Unproven]]
"""Says whether a request is from the holder of the key."""


def by_engine(engine: Engine, gateway_url: str) -> Check:
    """The check on the database of this installation; the gateway is known to its callers as `gateway_url`."""

    async def check(shown: Shown, now: datetime) -> Proven | Unproven:
        try:
            urls = addresses(shown, gateway_url)
            proof = read_proof(shown.proof, method=shown.method, urls=urls, now=now, access_token=shown.token)
            client = await engine.directory.client(shown.client, now=now)
            if client is not None:
                check_algorithm(client, proof)
            required = engine.require_dpop_nonce or (client is not None and client.settings.require_dpop_nonce)
            check_nonce(engine.vault, proof, required=required, now=now)
            # RFC 9449 section 4.3: the key of the proof is the one that the token is bound to.
            if not hmac.compare_digest(proof.jkt, shown.jkt):
                return Unproven("proof_invalid")
            await engine.database.writer.run(proof.spend)
        except UseDpopNonce as wanted:
            return Unproven("proof_needs_nonce", dict(wanted.headers)[b"dpop-nonce"].decode())
        except InvalidDpopProof:
            return Unproven("proof_invalid")
        return Proven(current_nonce(engine.vault, now=now) if required else None)

    return check


def addresses(shown: Shown, gateway_url: str) -> tuple[str, ...]:
    """The URLs a proof for this request may name: the host that was asked, as callers write the gateway's address.

    The gateway may stand behind something that speaks TLS for it, or that listens on another port.
    """
    if _AUTHORITY.fullmatch(shown.authority) is None or not shown.path.startswith("/"):
        return ()
    known = urlsplit(gateway_url)
    path = shown.path.partition("?")[0]
    asked = urlsplit(f"//{shown.authority}").hostname
    bases = [f"{scheme}://{shown.authority}" for scheme in dict.fromkeys((known.scheme, shown.scheme))]
    if asked == known.hostname:
        bases.append(f"{known.scheme}://{known.netloc}")
    return tuple(base + path for base in bases)


class BindingApp:
    """`POST /binding` with the token as the body and the rest in headers: 204, or 401 and the reason."""

    def __init__(self, check: Check, *, secret: str, clock: Callable[[], datetime]) -> None:
        if len(secret) < 32:
            raise ValueError("the exchange secret is too short")
        self._check, self._clock = check, clock
        self._secret = secret.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] != PATH or scope["method"] != "POST":
            await _answer(send, 404)
            return
        secrets = _values(scope, _SECRET_HEADER)
        if len(secrets) != 1 or not hmac.compare_digest(secrets[0], self._secret):
            await _answer(send, 403)
            return
        shown = await _shown(scope, receive)
        said = Unproven("proof_invalid") if shown is None else await self._check(shown, self._clock())
        nonce = () if said.nonce is None else ((b"dpop-nonce", said.nonce.encode()),)
        if isinstance(said, Proven):
            await _answer(send, 204, *nonce)
        else:
            await _answer(send, 401, (b"x-kronborg-reason", said.reason.encode()), *nonce)


async def _shown(scope: Scope, receive: Receive) -> Shown | None:
    """The request that the proof is for; None when something is missing, twice there, or no ASCII."""
    told: list[str] = []
    for name in _TOLD:
        values = _values(scope, f"x-kronborg-{name}".encode())
        if len(values) != 1 or not values[0].isascii():
            return None
        told.append(values[0].decode())
    proofs, token = _values(scope, b"dpop"), await _body(receive)
    if len(proofs) != 1 or token is None:
        return None
    method, scheme, authority, path, jkt, client = told
    return Shown(method, scheme, authority, path, jkt, client, token, proofs[0])


def _values(scope: Scope, wanted: bytes) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == wanted]


async def _body(receive: Receive) -> str | None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _LARGEST_TOKEN:
            return None
    return body.decode() if body.isascii() else None


async def _answer(send: Send, status: int, *headers: tuple[bytes, bytes]) -> None:
    length = () if status == 204 else ((b"content-length", b"0"),)
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*length, (b"cache-control", b"no-store"), *headers],
        }
    )
    await send({"type": "http.response.body", "body": b""})
