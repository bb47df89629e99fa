"""Request objects: an authorization request as a JWT that its client signed (RFC 9101)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import orjson

from kronborg.clients.keys_of import keys_of
from kronborg.clients.model import Client
from kronborg.core.jose import BadJwt, Jwt, numeric_date, parse, verify
from kronborg.core.json import JsonValue
from kronborg.core.jwe import is_encrypted
from kronborg.oauth.authorize_errors import InvalidRequestObject, RequestNotSupported
from kronborg.oauth.authorize_request import PARAMETERS, AuthorizeRequest, collect
from kronborg.tokens.engine import Engine
from kronborg.tokens.signing import decrypt

TYPE: Final = "oauth-authz-req+jwt"
# RFC 9101 §10.8: the explicit type is new; whoever demands it sets `strict`. No other JWT of a client has these.
LENIENT_TYPES: Final = (TYPE, "jwt")
LONGEST = timedelta(hours=1)
SKEW = timedelta(seconds=10)

_NESTED = frozenset({"request", "request_uri"})
_STRUCTURED = frozenset({"claims", "authorization_details"})


@dataclass(frozen=True, slots=True)
class ReadObject:
    """What a request object says. With a `refusal`, its signature holds and only the answer may be believed."""

    request: AuthorizeRequest
    refusal: InvalidRequestObject | None = None


async def read_object(engine: Engine, client: Client, text: str, *, strict: bool = False, now: datetime) -> ReadObject:
    """Verify and read a request object of this client. Raises `InvalidRequestObject`, `RequestNotSupported`.

    `strict` demands the explicit type and `nbf` (FAPI 2.0 Message Signing §5.3.1).
    """
    if client.jwks is None and client.settings.jwks_uri is None:
        raise RequestNotSupported("the client has registered no keys to sign requests with")
    try:
        # RFC 9101 §6.1: signed, then encrypted to us, if encrypted at all.
        signed = (await decrypt(engine, text, now=now)).decode() if is_encrypted(text) else text
        jwt = await _verified(engine, client, signed, strict=strict, now=now)
    except (BadJwt, UnicodeDecodeError) as error:
        raise InvalidRequestObject("the request object is not a JWT that the client signed") from error
    request = replace(collect(_pairs(jwt)), client_id=client.id)
    try:
        if request.malformed:
            raise BadJwt("a parameter is malformed")
        _check(jwt, client, engine.issuer, strict=strict, now=now)
    except BadJwt as error:
        # The text is ours and fixed: `jose` and this module write no input into it.
        return ReadObject(request, InvalidRequestObject(f"the request object is not right: {error}"))
    return ReadObject(request)


async def _verified(engine: Engine, client: Client, text: str, *, strict: bool, now: datetime) -> Jwt:
    jwt = parse(text)
    if "typ" not in jwt.header and not strict:
        # RFC 7515 §4.1.9: `typ` may be left out.
        jwt = replace(jwt, header={**jwt.header, "typ": "JWT"})
    wanted = client.settings.request_object_signing_alg
    sent = jwt.header.get("alg")
    if (wanted is not None and not _same(wanted, sent)) or not client.settings.takes(sent):
        raise BadJwt("another algorithm than registered")
    keys = await keys_of(engine.fetcher, client, now=now, kid=jwt.header.get("kid"))
    verify(jwt, keys, types=(TYPE,) if strict else LENIENT_TYPES)
    return jwt


def _same(wanted: str, sent: JsonValue) -> bool:
    """RFC 9864: `EdDSA` is the old name of `Ed25519`."""
    ed25519 = ("EdDSA", "Ed25519")
    return wanted == sent or (wanted in ed25519 and sent in ed25519)


def _check(jwt: Jwt, client: Client, issuer: str, *, strict: bool, now: datetime) -> None:
    """Everything but the parameters. Raises `BadJwt`."""
    claims = jwt.claims
    # RFC 9101 §4, §5: the client is named inside too, and no further request object.
    if claims.get("client_id") != client.id:
        raise BadJwt("client_id differs")
    if _NESTED & claims.keys():
        raise BadJwt("it holds request or request_uri")
    # RFC 9101 §4: issuer and audience, so that it is taken for no other JWT, and by nobody else (RFC 8725 §3.9).
    if claims.get("iss") != client.id:
        raise BadJwt("iss must be the client")
    audience = claims.get("aud")
    if issuer not in ([audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []):
        raise BadJwt("aud must hold the issuer")
    # RFC 9101 §10.8: a JWT about the client itself is made for authentication.
    if claims.get("sub") == client.id:
        raise BadJwt("sub must not be the client")
    jti = claims.get("jti")
    if jti is not None and (not isinstance(jti, str) or not 0 < len(jti) <= 200):
        raise BadJwt("jti must be text of at most 200 characters")
    expires_at = numeric_date(claims.get("exp"))
    if expires_at is None or not now - SKEW < expires_at <= now + LONGEST + SKEW:
        raise BadJwt("exp must be ahead, by at most an hour")
    for name in ("nbf", "iat"):
        moment = numeric_date(claims.get(name))
        if name in claims and (moment is None or moment > now + SKEW):
            raise BadJwt(f"{name} must not be ahead")
    not_before = numeric_date(claims.get("nbf"))
    if strict and (not_before is None or not_before < now - LONGEST):
        raise BadJwt("nbf must be at most an hour past")


def _pairs(jwt: Jwt) -> list[tuple[str, str]]:
    """The parameters as they would be sent; what cannot be one becomes U+FFFD, which is malformed."""
    pairs = []
    for name in PARAMETERS:
        value = jwt.claims.get(name)
        if value is None or value == "" or name in _NESTED:
            continue
        if name == "resource" and isinstance(value, list):
            pairs += [(name, one if isinstance(one, str) else "\ufffd") for one in value]
        else:
            pairs.append((name, _text(name, value)))
    return pairs


def _text(name: str, value: JsonValue) -> str:
    if isinstance(value, str):
        return value
    # RFC 9101 §4: numbers and JSON stand in the JWT as such.
    if name in _STRUCTURED and isinstance(value, (dict, list)):
        try:
            return orjson.dumps(value).decode()
        except TypeError:
            # Half a surrogate pair, or a number that no 64 bits hold.
            return "\ufffd"
    if name == "max_age" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return "\ufffd"
