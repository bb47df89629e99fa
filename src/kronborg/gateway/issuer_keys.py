"""Keys of other issuers, cut down to what can be nothing but a public key for an allowed signature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import orjson

from kronborg.core.jose import BadKey, public_key
from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.access_model import Algorithm

MOST_KEYS = 50
_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


def usable_keys(jwks: JsonObject, algorithms: Sequence[Algorithm]) -> str:
    """The keys of a set that may check such signatures, as JSON text; empty when there is none.

    Each stands there with the one algorithm it is for, once for each that fits: Envoy would take any of its family, and
    a symmetric key for a secret (RFC 8725 section 3.1).
    """
    members = jwks.get("keys")
    kept: list[JsonObject] = []
    for member in list(members)[:MOST_KEYS] if isinstance(members, (list, tuple)) else []:
        if isinstance(member, Mapping):
            kept += _usable(member, algorithms)
    return orjson.dumps({"keys": kept}, option=orjson.OPT_SORT_KEYS).decode() if kept else ""


def _usable(member: JsonObject, algorithms: Sequence[Algorithm]) -> Iterator[JsonObject]:
    kind = str(member.get("kty"))
    # RFC 7517 section 4.2: a key for encryption signs nothing.
    if kind not in _MEMBERS or member.get("use", "sig") != "sig":
        return
    for algorithm in algorithms:
        if member.get("alg", algorithm) != algorithm or not _fits(algorithm, kind, member.get("crv")):
            continue
        plain: dict[str, JsonValue] = {name: member.get(name) for name in ("kty", *_MEMBERS[kind])}
        plain |= {"alg": algorithm, "use": "sig"}
        if isinstance(member.get("kid"), str):
            plain["kid"] = member["kid"]
        try:
            public_key({**plain, "alg": "EdDSA"} if algorithm == "EdDSA" else _checked(plain))
        except BadKey:
            continue
        yield plain


def _checked(plain: JsonObject) -> JsonObject:
    """The key in a form that our own check of keys knows: it tells small and malformed ones."""
    known = {"RS384": "RS256", "RS512": "RS256", "PS384": "PS256", "PS512": "PS256"}
    return {**plain, "alg": known.get(str(plain["alg"]), plain["alg"])}


def _fits(algorithm: str, kind: str, curve: JsonValue) -> bool:
    if algorithm == "EdDSA":
        return (kind, curve) == ("OKP", "Ed25519")
    if algorithm.startswith("ES"):
        return kind == "EC" and curve == _CURVES[algorithm]
    return kind == "RSA"


def key_count(text: str) -> int:
    """How many keys a set written by `usable_keys` holds."""
    return len({str(key.get("kid") or key) for key in orjson.loads(text)["keys"]}) if text else 0
