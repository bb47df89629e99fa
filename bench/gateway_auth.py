"""The auth service that the peers of the gateway benchmark ask about every request: as lean as Python allows.

It makes the decisions that the gateway makes: signature, issuer, audience, expiry and scope of the token (verified
once and remembered), not revoked, below its rate, and counted. Plain ASGI on uvicorn, so that the peers are not
measured by a slow framework.

    python -m bench.gateway_auth PORT JWKS_FILE
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import uvicorn
from joserfc import jwt
from joserfc.jwk import KeySet
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

ISSUER, API, SCOPE = "http://localhost:8081", "https://shop.example/catalogue", "catalogue:read"
RATE, BURST = 1_000_000.0, 100_000.0


class Judge:
    """What is known of tokens and clients."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys
        self._known: dict[bytes, tuple[str, str, float]] = {}
        self._revoked: set[str] = {f"revoked-{number}" for number in range(10_000)}
        self._buckets: dict[str, tuple[float, float]] = {}
        self._counted: dict[str, int] = {}

    def allows(self, value: bytes, now: float) -> str | None:
        """The client of a request that may pass."""
        found = self._known.get(value)
        if found is None:
            found = self._known[value] = self._verified(value)
        client, token, expires = found
        if expires <= now or token in self._revoked or client in self._revoked:
            return None
        level, at = self._buckets.get(client, (BURST, now))
        level = min(BURST, level + (now - at) * RATE)
        if level < 1:
            return None
        self._buckets[client] = (level - 1, now)
        self._counted[client] = self._counted.get(client, 0) + 1
        return client

    def _verified(self, value: bytes) -> tuple[str, str, float]:
        token = jwt.decode(value.removeprefix(b"Bearer ").decode(), self._keys, algorithms=["ES256"])
        claims = token.claims
        fit = claims["iss"] == ISSUER and claims["aud"] == API and SCOPE in claims["scope"].split()
        return claims["client_id"], claims["jti"], float(claims["exp"]) if fit else 0.0


def app_of(judge: Judge) -> object:
    """200 with the client, or 401."""

    async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            return
        value = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        client = judge.allows(value, time.time())
        headers = [(b"content-length", b"0")]
        if client is not None:
            headers.append((b"x-client", client.encode()))
        await send(
            {
                "type": "http.response.start",
                "status": 401 if client is None else 200,
                "headers": headers,
                "trailers": False,
            }
        )
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


def main() -> None:
    """Serve until killed."""
    port, keys = int(sys.argv[1]), KeySet.import_key_set(json.loads(Path(sys.argv[2]).read_text()))
    uvicorn.run(
        app_of(Judge(keys)),  # type: ignore[arg-type]
        host="127.0.0.1",
        port=port,
        log_level="error",
        access_log=False,
        http="httptools",
        loop="uvloop",
        lifespan="off",
    )


if __name__ == "__main__":
    main()
