"""Read a backchannel authentication request (CIBA §7.1): plain parameters, or all of them in a JWT of the client."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from kronborg.clients.keys_of import keys_of
from kronborg.clients.model import Client
from kronborg.core.jose import BadJwt, Jwt, numeric_date, parse, verify
from kronborg.oauth.call import Call
from kronborg.oauth.ciba_errors import InvalidBindingMessage
from kronborg.oauth.errors import InvalidRequest
from kronborg.tokens import store
from kronborg.tokens.engine import Engine

DEFAULT_EXPIRY = timedelta(minutes=5)
LONGEST_EXPIRY = timedelta(minutes=10)
LONGEST = timedelta(minutes=60)
"""CIBA §7.1.1: a signed request lives for an hour at most."""
SKEW = timedelta(seconds=10)
MAX_MESSAGE = 64

HINTS = ("login_hint", "id_token_hint", "login_hint_token")
PARAMETERS = (
    "scope",
    "client_notification_token",
    "acr_values",
    *HINTS,
    "binding_message",
    "user_code",
    "requested_expiry",
    "resource",
)
# CIBA §7.1: the bearer token of the notification, in the syntax of RFC 6750 §2.1.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{22,1024}=*", re.ASCII)
_SECONDS = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for, every value checked for its form. `hint` is the name and value of its one hint."""

    scope: str | None
    resources: tuple[str, ...]
    hint: tuple[str, str]
    message: str | None
    acr_values: tuple[str, ...]
    expiry: timedelta
    notification_token: str | None


async def read_request(engine: Engine, client: Client, call: Call) -> Asked:
    """What this client asks for. Raises `InvalidRequest`, `InvalidBindingMessage`."""
    if "audience" in call.form.several:
        raise InvalidRequest("a parameter stands twice")
    values, resources = dict(call.form.values), call.form.several.get("resource", ())
    signed = call.form.get("request")
    if signed is not None:
        # CIBA §7.1.1: nothing but client authentication stands beside it.
        if resources or any(name in values for name in PARAMETERS):
            raise InvalidRequest("with request every other parameter stands inside it")
        values = await _signed(engine, client, signed, call)
    elif client.settings.backchannel_authentication_request_signing_alg is not None:
        raise InvalidRequest("this client signs its requests: request is missing")
    resource = values.get("resource")
    return Asked(
        scope=values.get("scope"),
        resources=resources or (() if resource is None else (resource,)),
        hint=_hint(values),
        message=_message(values.get("binding_message")),
        acr_values=tuple(values.get("acr_values", "").split())[:10],
        expiry=_expiry(values.get("requested_expiry")),
        notification_token=_notification_token(client, values.get("client_notification_token")),
    )


def _hint(values: Mapping[str, str]) -> tuple[str, str]:
    given = [name for name in HINTS if name in values]
    # CIBA §7.1: one and only one of the hints.
    if len(given) != 1:
        raise InvalidRequest("exactly one of login_hint, id_token_hint and login_hint_token is needed")
    if given[0] == "login_hint_token":
        raise InvalidRequest("login_hint_token is not supported")
    # CIBA §7.1: a code that the person gave the client; there is no place for one here, so none is asked for.
    if "user_code" in values:
        raise InvalidRequest("user_code is not supported")
    return given[0], values[given[0]]


def _message(text: str | None) -> str | None:
    """CIBA §7.1: short, plain, and seen by the person on both devices."""
    if text is not None and (not 0 < len(text.strip()) <= len(text) <= MAX_MESSAGE or not text.isprintable()):
        raise InvalidBindingMessage
    return text


def _expiry(text: str | None) -> timedelta:
    if text is None:
        return DEFAULT_EXPIRY
    if not _SECONDS.fullmatch(text):
        raise InvalidRequest("requested_expiry must be a positive number of seconds")
    return min(timedelta(seconds=int(text)), LONGEST_EXPIRY)


def _notification_token(client: Client, text: str | None) -> str | None:
    """CIBA §7.1: required where the client is told, with at least 128 bits; means nothing where it polls."""
    delivery = client.settings.backchannel_token_delivery_mode
    if delivery == "poll":
        return None
    if text is None or len(text) > 1024 or not _TOKEN.fullmatch(text):
        raise InvalidRequest("client_notification_token must be a bearer token of 22 to 1024 characters")
    return text


async def _signed(engine: Engine, client: Client, text: str, call: Call) -> dict[str, str]:
    """The parameters of a signed request (CIBA §7.1.1). Raises `InvalidRequest`."""
    try:
        jwt = parse(text)
        if "typ" not in jwt.header:
            # RFC 7515 §4.1.9: `typ` may be left out. Client assertions have a type of their own, and never pass.
            jwt = Jwt({**jwt.header, "typ": "JWT"}, jwt.claims, jwt.compact)
        wanted = client.settings.backchannel_authentication_request_signing_alg
        sent = jwt.header.get("alg")
        if (wanted is not None and sent != wanted) or not client.settings.takes(sent):
            raise BadJwt("another algorithm is registered")
        verify(jwt, await keys_of(engine.fetcher, client, now=call.now, kid=jwt.header.get("kid")), types=("jwt",))
        expires_at = _check(jwt, client.id, engine.issuer, now=call.now)
        values = _parameters(jwt)
    except BadJwt as error:
        raise InvalidRequest("request is not a JWT that this client signed for this server") from error
    digest = hashlib.sha256(f"ciba\n{client.id}\n{jwt.claims['jti']}".encode()).digest()
    fresh = await engine.database.writer.run(
        lambda execute: store.use_assertion(execute, digest, expires_at=expires_at + SKEW)
    )
    if not fresh:
        raise InvalidRequest("request was used before")
    return values


def _check(jwt: Jwt, client_id: str, issuer: str, *, now: datetime) -> datetime:
    """When the request expires, its claims being right. Raises `BadJwt`."""
    claims = jwt.claims
    audience, jti = claims.get("aud"), claims.get("jti")
    # CIBA §7.1.1: all six are required.
    if claims.get("iss") != client_id or issuer not in (audience if isinstance(audience, list) else [audience]):
        raise BadJwt("iss must be the client, aud the issuer")
    if claims.get("sub") == client_id:
        raise BadJwt("a JWT about the client itself is made for authentication")
    if not isinstance(jti, str) or not 8 <= len(jti) <= 200 or not jti.isprintable():
        raise BadJwt("jti must be text of 8 to 200 visible characters")
    expires_at, not_before, issued_at = (numeric_date(claims.get(name)) for name in ("exp", "nbf", "iat"))
    if expires_at is None or not_before is None or issued_at is None:
        raise BadJwt("exp, nbf and iat are required")
    if not now - SKEW < expires_at <= not_before + LONGEST or max(not_before, issued_at) > now + SKEW:
        raise BadJwt("the request is not of this hour")
    return expires_at


def _parameters(jwt: Jwt) -> dict[str, str]:
    values: dict[str, str] = {}
    for name in PARAMETERS:
        value = jwt.claims.get(name)
        if name == "requested_expiry" and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if value is None or value == "":
            continue
        if not isinstance(value, str) or len(value) > 8192:
            raise BadJwt("a parameter is no text")
        values[name] = value
    return values
