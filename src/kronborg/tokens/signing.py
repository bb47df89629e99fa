"""Sign and encrypt what this installation says: any algorithm that somebody registered, in one place."""

from __future__ import annotations

from datetime import datetime

import anyio.to_thread

from kronborg.clients.keys_of import jwks_of
from kronborg.clients.model import Client
from kronborg.clients.store import read_response_algorithms
from kronborg.core import jwe
from kronborg.core.jose import BadKey
from kronborg.core.json import JsonObject
from kronborg.core.jws import Line, SigningKey, attach, line_of, message_of
from kronborg.tokens.engine import Engine
from kronborg.tokens.errors import NoFittingKey


async def sign(engine: Engine, claims: JsonObject, *, typ: str, alg: str | None = None, now: datetime) -> str:
    """A compact JWT of ours, of that type; ES256 without `alg`."""
    key = (await engine.keys.current(now=now)).active if alg is None else await engine.keys.signer(alg, now=now)
    return await sign_with(key, claims, typ=typ, alg=alg)


async def sign_with(key: SigningKey, claims: JsonObject, *, typ: str, alg: str | None = None) -> str:
    """The same with a key that is at hand; in a thread when the key is not in this process."""
    if not key.signer.slow:
        return key.compact(claims, typ=typ, alg=alg)
    message = message_of(key, claims, typ=typ, alg=alg)
    return attach(message, await anyio.to_thread.run_sync(key.signer.sign, message))


def encrypt(text: str | bytes, jwks: JsonObject | None, *, alg: str | None, enc: str | None, cty: str = "JWT") -> str:
    """A compact JWE to one of these public keys. Raises `BadKey` when none of them fits.

    `cty` is `JWT` for a nested JWT (RFC 7519 §5.2), empty for plain JSON.
    """
    return jwe.encrypt(text, jwe.encryption_keys(jwks), alg=alg, enc=enc, cty=cty)


async def encrypt_to(
    engine: Engine, client: Client, text: str | bytes, *, alg: str, enc: str | None, now: datetime, cty: str = "JWT"
) -> str:
    """A JWT nested in a JWE to the keys that a client registered. Raises `NoFittingKey`."""
    try:
        return encrypt(text, await jwks_of(engine.fetcher, client, now=now), alg=alg, enc=enc, cty=cty)
    except BadKey as error:
        raise NoFittingKey("the client has no key for the encryption that it registered") from error


async def check_encryptable(engine: Engine, client: Client, *, now: datetime) -> None:
    """Raise `NoFittingKey` when an ID token could not be encrypted as the client registered.

    For whoever is about to spend something for one: keys at a `jwks_uri` may be out of reach.
    """
    alg = client.settings.id_token_encrypted_response_alg
    if alg is not None:
        await encrypt_to(engine, client, b"", alg=alg, enc=None, now=now)


async def decrypt(engine: Engine, token: str, *, now: datetime) -> bytes:
    """What somebody encrypted to the key with `use: enc` in our JWKS. Raises `BadJwt`."""
    keys = await engine.keys.current(now=now)
    return jwe.decrypt(token, keys.decryption)


async def wanted_lines(engine: Engine, *, now: datetime) -> frozenset[Line]:
    """The lines of keys that some API or client asks for."""
    apis = await engine.directory.apis(now=now)
    asked: set[str] = {api.settings.signing_alg for api in apis.by_audience.values()}
    asked |= await read_response_algorithms(engine.database.lookup)
    return frozenset(line_of(name) for name in asked)
