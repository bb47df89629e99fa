"""`/oauth/register`: clients that register themselves (RFC 7591) and manage what they registered (RFC 7592)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.clients.registration import (
    NotRegistered,
    change_registration,
    is_secret_of,
    managed,
    may_register,
    register,
    withdraw_registration,
)
from kronborg.clients.registration_metadata import metadata_of
from kronborg.clients.sector_document import check_sector
from kronborg.clients.store import find_client
from kronborg.core import clock
from kronborg.core.addresses import network_of
from kronborg.core.db import ReadSession
from kronborg.core.errors import Conflict, Invalid, Overloaded, TooMany
from kronborg.core.json import JsonObject, JsonValue, read_object
from kronborg.core.pace import Pace
from kronborg.core.whole import whole
from kronborg.oauth.registration_errors import (
    InvalidClientMetadata,
    InvalidToken,
    UnapprovedSoftwareStatement,
    refusal_of,
)
from kronborg.oauth.requests import MAX_FORM
from kronborg.tokens.engine import Engine
from kronborg.tokens.errors import OAuthError

REGISTER = "/oauth/register"
# RFC 7592 §2.2: what a client must not send when it changes its registration.
_NOT_ITS_OWN = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)

_CLIENT_ID = re.compile(r"dyn-[A-Za-z0-9_-]{1,60}", re.ASCII)

Answer = Callable[[Engine, Request], Awaitable[Response]]


def routes(engine: Engine) -> list[Route]:
    """Registration, and one address for each registered client."""
    pace = Pace()
    return [
        Route(REGISTER, partial(_answered, partial(_register, pace), engine), methods=["POST"]),
        Route(f"{REGISTER}/{{client_id}}", partial(_answered, _manage, engine), methods=["GET", "PUT", "DELETE"]),
    ]


async def _answered(answer: Answer, engine: Engine, request: Request) -> Response:
    """The answer of a handler, or the refusal as RFC 7591 §3.2.2 writes it."""
    try:
        return await answer(engine, request)
    except NotRegistered:
        return _refusal(InvalidToken("the token is missing, expired, used up, or of another client"))
    except Invalid as invalid:
        return _refusal(refusal_of(invalid))
    except Conflict as refusal:
        return _refusal(InvalidClientMetadata(refusal.detail))
    except OAuthError as refusal:
        return _refusal(refusal)
    except TooMany as refusal:
        wait = str(max(1, round(refusal.retry_after.total_seconds())))
        return _error(429, "temporarily_unavailable", refusal.detail, {"retry-after": wait})
    except Overloaded as refusal:
        return _error(503, "temporarily_unavailable", refusal.detail, {"retry-after": "1"})


async def _register(pace: Pace, engine: Engine, request: Request) -> Response:
    now = clock.now()
    pace.check(network_of(request.client.host if request.client else ""), now=now)
    bearer = _bearer(request)
    metadata = await _metadata(request)
    admission = engine.directory.admission
    async with engine.database.read() as reading:
        await may_register(reading, engine.vault, bearer, admission, now=now)
    await check_sector(engine.fetcher, metadata)
    async with whole(engine.database) as session:
        made = await register(
            session,
            engine.vault,
            metadata,
            bearer=bearer,
            admission=admission,
            profile=engine.profile,
            now=now,
        )
        shown = await _shown(engine, session, made.client_id, made.registration_token, made.secret)
    return _json(201, shown)


async def _manage(engine: Engine, request: Request) -> Response:
    client_id, bearer, now = request.path_params["client_id"], _bearer(request), clock.now()
    if not _CLIENT_ID.fullmatch(client_id):
        raise NotRegistered
    match request.method:
        case "PUT":
            return await _change(engine, request, client_id, bearer)
        case "DELETE":
            async with whole(engine.database) as session:
                await withdraw_registration(session, engine.vault, client_id, bearer=bearer, now=now)
            return Response(status_code=204, headers={"cache-control": "no-store", "pragma": "no-cache"})
        case _:
            async with engine.database.read() as reading:
                await managed(reading, engine.vault, client_id, bearer)
                return _json(200, await _shown(engine, reading, client_id, bearer or "", None))


async def _change(engine: Engine, request: Request, client_id: str, bearer: str | None) -> Response:
    async with engine.database.read() as reading:
        client, _ = await managed(reading, engine.vault, client_id, bearer)  # before the body is looked at
    metadata = await _metadata(request)
    # RFC 7592 §2.2: client_id must be there and be the client's own; a secret may be repeated, never chosen.
    if metadata.get("client_id") != client_id:
        raise InvalidClientMetadata("client_id must be that of this client")
    if any(name in metadata for name in _NOT_ITS_OWN):
        raise InvalidClientMetadata("the request holds members that the server alone decides about")
    secret = metadata.get("client_secret")
    if secret is not None and not (isinstance(secret, str) and is_secret_of(client, engine.vault, secret)):
        raise InvalidClientMetadata("client_secret must be the current one, or left out")
    await check_sector(engine.fetcher, metadata)
    async with whole(engine.database) as session:
        changed = await change_registration(
            session, engine.vault, client_id, metadata, bearer=bearer, profile=engine.profile, now=clock.now()
        )
        shown = await _shown(engine, session, client_id, changed.registration_token, changed.secret)
    return _json(200, shown)


async def _shown(
    engine: Engine, session: ReadSession, client_id: str, registration_token: str, secret: str | None
) -> JsonObject:
    """The client information response (RFC 7591 §3.2.1). A secret is in it only when it was just made."""
    client = await find_client(session, client_id)
    if client is None:
        raise NotRegistered
    told: dict[str, JsonValue] = {
        **metadata_of(client),
        "registration_access_token": registration_token,
        "registration_client_uri": f"{engine.issuer}{REGISTER}/{client_id}",
    }
    if secret is not None:
        # RFC 7591 §3.2.1: required with a secret; 0 says that it does not expire.
        told |= {"client_secret": secret, "client_secret_expires_at": 0}
    return told


async def _metadata(request: Request) -> JsonObject:
    """The metadata of a request, at most 32 KiB. Raises `InvalidClientMetadata`."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" or "content-encoding" in request.headers:
        raise InvalidClientMetadata("the body must be application/json")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM:
            raise InvalidClientMetadata("the request is too large")
    try:
        metadata = read_object(bytes(body))
    except ValueError:
        raise InvalidClientMetadata("the body must be one JSON object in which no member stands twice") from None
    if metadata.get("software_statement") is not None:
        raise UnapprovedSoftwareStatement("software statements are not taken here: send the metadata itself")
    return metadata


def _bearer(request: Request) -> str | None:
    """The token of the Authorization header; None without one. Raises `InvalidToken` for anything else there."""
    headers = request.headers.getlist("authorization")
    if not headers:
        return None
    scheme, _, token = headers[0].partition(" ")
    if len(headers) > 1 or scheme.lower() != "bearer" or not token.strip() or not token.isascii():
        raise InvalidToken("the Authorization header must hold one Bearer token")
    return token.strip()


def _refusal(refusal: OAuthError) -> Response:
    headers = {name.decode(): value.decode() for name, value in refusal.headers}
    return _error(refusal.status, refusal.error, refusal.detail, headers)


def _error(status: int, error: str, description: str, headers: dict[str, str]) -> Response:
    return _json(status, {"error": error, "error_description": description}, headers)


def _json(status: int, body: JsonObject, headers: dict[str, str] | None = None) -> Response:
    # RFC 7591 §3.2.1: what holds a token may not be kept.
    kept = {"cache-control": "no-store", "pragma": "no-cache", **(headers or {})}
    return Response(orjson.dumps(body), status, headers=kept, media_type="application/json")
