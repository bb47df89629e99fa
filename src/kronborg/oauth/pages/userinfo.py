"""`/oauth/userinfo`: claims about the person behind an access token (OIDC Core §5.3)."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.accounts.store import find_user
from kronborg.core import clock
from kronborg.core.client_certificate import certificates_of
from kronborg.core.json import JsonObject
from kronborg.oauth.cors import cors_headers
from kronborg.oauth.errors import InvalidRequest, OAuthError
from kronborg.oauth.pages.answers import query_string
from kronborg.oauth.presentation import (
    MAX_TOKEN,
    InsufficientScope,
    InvalidToken,
    Presented,
    Use,
    challenge,
    check_holder,
    presented,
)
from kronborg.oauth.userinfo import about, encoded
from kronborg.tokens.engine import Engine
from kronborg.tokens.errors import NoFittingKey
from kronborg.tokens.reference import resolve

USERINFO = "/oauth/userinfo"
MAX_BODY = 16 * 1024


def routes(engine: Engine) -> list[Route]:
    """`/oauth/userinfo` by GET and POST, and the question browsers ask before either."""
    return [Route(USERINFO, partial(userinfo, engine), methods=["GET", "POST", "OPTIONS"])]


async def userinfo(engine: Engine, request: Request) -> Response:
    """The claims, or a challenge (RFC 6750 §3); for scripts of registered origins too."""
    now = clock.now()
    response = Response(status_code=204) if request.method == "OPTIONS" else await _answer(engine, request, now=now)
    response.raw_headers += await cors_headers(engine, request.scope["headers"], methods=b"GET, POST", now=now)
    return response


async def _answer(engine: Engine, request: Request, *, now: datetime) -> Response:
    dpop = request.headers.get("authorization", "")[:5].lower() == "dpop "
    try:
        shown = await _presented(request)
        if shown is None:
            return _refused(None, 401)
        access = await resolve(engine, shown.token, now=now)
        # A token for any other API says nothing here, even if it is genuine (RFC 9068 §4).
        if access is None or access.audience != engine.userinfo or access.grant_id is None:
            raise InvalidToken("the access token is not valid here, or not any more")
        use = Use(request.method, engine.userinfo, request.scope["headers"], certificates_of(request.scope), now)
        nonce = await check_holder(engine, access, shown, use)
        if "openid" not in access.scopes:
            return _refused(InsufficientScope("the access token lacks a scope"), 403, dpop=dpop, scope="openid")
        async with engine.database.read() as session:
            user = await find_user(session, access.subject)
        client = await engine.directory.client(access.client_id, now=now)
        if user is None or user.disabled or client is None:
            raise InvalidToken("the access token is not valid here, or not any more")
        answer = await encoded(engine, client, await about(engine, client, access, user, now=now), now=now)
    except (InvalidRequest, NoFittingKey) as refusal:
        return _refused(refusal, 400, dpop=dpop)
    except OAuthError as refusal:
        return _refused(refusal, 401, dpop=dpop)
    response = _response(200, answer.body, answer.media_type.decode())
    if nonce is not None:
        # RFC 9449 §8.2
        response.headers["dpop-nonce"] = nonce
    return response


async def _presented(request: Request) -> Presented | None:
    """The token of a request; None without one. Raises `InvalidRequest`.

    It comes in the header, or in the form of a POST (RFC 6750 §2.1, §2.2), never in the query: that is logged.
    """
    in_header = presented(request.scope["headers"])
    in_form = await _form_token(request) if request.method == "POST" else None
    if "access_token=" in query_string(request):
        raise InvalidRequest("an access token does not belong into the query")
    if in_form is None:
        return in_header
    # RFC 6750 §2: not more than one way in each request.
    if in_header is not None:
        raise InvalidRequest("the access token is sent in more than one way")
    return Presented(in_form, dpop=False)


async def _form_token(request: Request) -> str | None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise InvalidRequest("the request is too large")
    try:
        pairs = parse_qsl(body.decode("ascii"), max_num_fields=20)
    except ValueError:
        raise InvalidRequest("the form is malformed") from None
    tokens = [value for name, value in pairs if name == "access_token"]
    if len(tokens) > 1 or any(len(token) > MAX_TOKEN for token in tokens):
        raise InvalidRequest("the access token is repeated or malformed")
    return tokens[0] if tokens else None


def _refused(refusal: OAuthError | None, status: int, *, dpop: bool = False, scope: str | None = None) -> Response:
    body: JsonObject = {} if refusal is None else {"error": refusal.error, "error_description": refusal.detail}
    response = _json(status, body)
    response.raw_headers += challenge(refusal, dpop=dpop, realm="kronborg", scope=scope)
    return response


def _json(status: int, body: JsonObject) -> Response:
    return _response(status, orjson.dumps(body), "application/json")


def _response(status: int, body: bytes, media_type: str) -> Response:
    return Response(body, status, media_type=media_type, headers={"cache-control": "no-store", "pragma": "no-cache"})
