"""The answer of an authorization request: its parameters, and where and how they travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kronborg.core.json import JsonValue
from kronborg.oauth.checks import KnownCase, redirect_target
from kronborg.oauth.response_types import Carrier, response_type, way_of
from kronborg.tokens.engine import Engine
from kronborg.tokens.signing import encrypt_to, sign

JWT_LIFETIME: Final = timedelta(minutes=5)
JWT_TYPE: Final = "JWT"


@dataclass(frozen=True, slots=True)
class Answer:
    """Parameters on their way to a redirect URI."""

    target: str
    carrier: Carrier
    parameters: Mapping[str, str]


async def answer_of(engine: Engine, case: KnownCase, values: Mapping[str, str], *, now: datetime) -> Answer:
    """The answer with these values, with `state` and `iss` (RFC 9207 §2), the way the request wants it."""
    request = case.request
    target = redirect_target(case)
    way = way_of(request.response_mode, response_type(request.response_type), target)
    state = {} if request.state is None else {"state": request.state}
    whole = {**values, **state, "iss": engine.issuer}
    if way.jwt:
        whole = {"response": await _signed(engine, case, whole, now=now)}
    return Answer(target, way.carrier, whole)


async def _signed(engine: Engine, case: KnownCase, values: Mapping[str, str], *, now: datetime) -> str:
    """The parameters as one JWT (JARM §2.1); for the eyes of the client alone where it registered that (§2.2)."""
    client, settings = case.client, case.client.settings
    claims: dict[str, JsonValue] = {**values, "aud": client.id, "exp": int((now + JWT_LIFETIME).timestamp())}
    signed = await sign(engine, claims, typ=JWT_TYPE, alg=settings.authorization_signed_response_alg, now=now)
    alg, enc = settings.authorization_encrypted_response_alg, settings.authorization_encrypted_response_enc
    return signed if alg is None else await encrypt_to(engine, client, signed, alg=alg, enc=enc, now=now)
