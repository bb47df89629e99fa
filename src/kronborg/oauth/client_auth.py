"""Say which client is calling: exactly one method, and the registered one (RFC 6749 §2.3)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from kronborg.clients.model import AuthMethod, Client, ClientSecret
from kronborg.clients.register import SECRET_DIGEST
from kronborg.clients.store import mark_secret_used
from kronborg.core.jose import Jwt
from kronborg.oauth.assertion import ASSERTION_TYPE, check_assertion, claimed_client, read_assertion
from kronborg.oauth.back_off import Gate
from kronborg.oauth.call import Call
from kronborg.oauth.errors import InvalidClient, InvalidRequest, UnauthorizedClient
from kronborg.oauth.mtls import TLS_METHODS, proves
from kronborg.oauth.requests import basic_credentials, header
from kronborg.tokens.engine import Engine

USED_AT_MOST_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Claim:
    """Who the caller says to be, and by which method; nothing of it is checked."""

    client_id: str
    method: AuthMethod
    proof: str = ""
    by_header: bool = False
    assertion: Jwt | None = None


async def authenticate(engine: Engine, gate: Gate, call: Call, *, confidential: bool = False) -> Client:
    """The client that made this call. With `confidential`, one that proved it.

    Raises `InvalidRequest` for several methods at once, `InvalidClient` for everything that does not prove right,
    `TooMany` for one who failed too often.
    """
    claim = _claim(call)
    client = await engine.directory.client(claim.client_id, now=call.now)
    if claim.method == "none" and call.certificates and client is not None and client.auth_method in TLS_METHODS:
        # RFC 8705 §2: client_id and the certificate are all that is sent.
        claim = replace(claim, method=client.auth_method)
    # RFC 6749 §2.3: the method is the registered one, or a weaker one would do.
    fits = client is not None and not client.disabled and client.auth_method == claim.method
    if claim.method == "none":
        if client is None or not fits or confidential:
            raise InvalidClient
        return client
    gate.check(claim.client_id, call.address, now=call.now)
    if client is not None and fits and await _proved(engine, client, claim, call):
        gate.passed(claim.client_id, call.address)
        return client
    gate.failed(claim.client_id, call.address, now=call.now)
    raise InvalidClient(by_header=claim.by_header)


def require_grant(client: Client, grant: str) -> None:
    """Raise `UnauthorizedClient` unless the client registered this grant."""
    if grant not in client.grants:
        raise UnauthorizedClient("the client may not use this grant")


def _claim(call: Call) -> _Claim:
    form = call.form
    authorization = header(call.headers, b"authorization")
    client_id, secret, assertion = form.get("client_id"), form.get("client_secret"), form.get("client_assertion")
    if (authorization is not None) + (secret is not None) + (assertion is not None) > 1:
        raise InvalidRequest("more than one way of client authentication was used")
    if authorization is not None:
        credentials = basic_credentials(authorization)
        if credentials is None:
            raise InvalidClient("the Authorization header is not well-formed Basic", by_header=True)
        if client_id not in (None, credentials[0]):
            raise InvalidRequest("client_id differs from the Authorization header")
        return _Claim(credentials[0], "client_secret_basic", credentials[1], by_header=True)
    if assertion is not None:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise InvalidRequest("client_assertion_type is not supported")
        jwt = read_assertion(assertion)
        claimed = claimed_client(jwt)
        if client_id not in (None, claimed):
            raise InvalidClient
        # The algorithm says which of the two it claims to be; which of them counts, the client's registration says.
        return _Claim(
            claimed, "client_secret_jwt" if jwt.header.get("alg") == "HS256" else "private_key_jwt", assertion=jwt
        )
    if client_id is None:
        raise InvalidClient("the request names no client")
    if secret is not None:
        return _Claim(client_id, "client_secret_post", secret)
    return _Claim(client_id, "none")


async def _proved(engine: Engine, client: Client, claim: _Claim, call: Call) -> bool:
    now = call.now
    if claim.method in TLS_METHODS:
        return await proves(engine, client, call.certificates, now=now)
    if claim.assertion is not None:
        by = await check_assertion(engine, client, claim.assertion, url=call.url, now=now)
        if by is None:
            return False
        if isinstance(by, ClientSecret):
            await _note_use(engine, by, now=now)
        return True
    digest = engine.vault.digest(claim.proof, context=SECRET_DIGEST)
    used: ClientSecret | None = None
    for secret in client.secrets:
        if hmac.compare_digest(secret.digest, digest) and secret.is_active(now):
            used = secret
    if used is None:
        return False
    await _note_use(engine, used, now=now)
    return True


async def _note_use(engine: Engine, secret: ClientSecret, *, now: datetime) -> None:
    if secret.last_used_at is None or now - secret.last_used_at > USED_AT_MOST_EVERY:
        await engine.database.writer.run(lambda execute: mark_secret_used(execute, secret.id, now=now))
        engine.directory.forget()
