"""Request objects and other JWTs as a client signs them: keys of each kind, and every way to get it wrong."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Mapping
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from kronborg.core.json import JsonObject
from oauth.flow import CHALLENGE, ISSUER, Flow

Key = ECKey | OKPKey | RSAKey
ALGORITHMS = ["ES256", "Ed25519", "EdDSA", "PS256", "RS256", "HS256"]


def ec_key(kid: str = "one") -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid})


def jwks_of(*keys: Key) -> JsonObject:
    """The public set to register."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def sign(key: Any, claims: Mapping[str, object] | bytes, *, alg: str = "ES256", **header: object) -> str:
    """A compact JWS of the claims, or of what is to stand in their place."""
    payload = claims if isinstance(claims, bytes) else orjson.dumps(claims)
    head = {"alg": alg, "kid": "one", "typ": "oauth-authz-req+jwt", **header}
    head = {name: value for name, value in head.items() if value is not None}
    registry = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    with warnings.catch_warnings():
        # RFC 9864 deprecates the name EdDSA; clients still use it.
        warnings.simplefilter("ignore", SecurityWarning)
        return jws.serialize_compact(head, payload, key, registry=registry)


def unsigned(claims: Mapping[str, object], *, alg: str = "none", signature: str = "") -> str:
    """A JWT that nobody signed."""
    parts = (orjson.dumps({"alg": alg, "typ": "oauth-authz-req+jwt"}), orjson.dumps(claims))
    return ".".join((*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), signature))


def request_claims(flow: Flow, client: str, callback: str, /, **changes: object) -> dict[str, object]:
    """What a request object says; a claim that is None is left out."""
    now = int(flow.clock.now.timestamp())
    claims: dict[str, object] = {
        "iss": client,
        "aud": ISSUER,
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "jti": "a-request",
        "client_id": client,
        "redirect_uri": callback,
        "response_type": "code",
        "scope": "openid catalogue:read",
        "state": "inner",
        "nonce": "nonce-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}
