"""`/oauth/userinfo`: claims about the person behind an access token (OIDC Core §5.3)."""

from __future__ import annotations

import re
from datetime import datetime
from functools import partial
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.accounts.store import find_user
from kronborg.core import clock
from kronborg.core.json import JsonObject
from kronborg.oauth.cors import cors_headers
from kronborg.oauth.errors import InvalidRequest
from kronborg.oauth.pages.answers import query_string
from kronborg.oauth.userinfo import claims_of
from kronborg.tokens.engine import Engine
from kronborg.tokens.reference import resolve

USERINFO = "/oauth/userinfo"
MAX_TOKEN = 8192
MAX_BODY = 16 * 1024
_BEARER = re.compile(r"(?i:bearer) +(?P<token>[A-Za-z0-9._~+/-]+=*)")


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
    try:
        token = await _token(request)
    except InvalidRequest as refusal:
        return _challenge(400, refusal.error, refusal.detail)
    if token is None:
        # RFC 6750 §3.1: without a token there is no error code.
        return _challenge(401)
    access = await resolve(engine, token, now=now)
    # A token for any other API says nothing here, even if it is genuine (RFC 9068 §4).
    if access is None or access.audience != engine.userinfo or access.grant_id is None:
        return _challenge(401, "invalid_token", "the access token is not valid here, or not any more")
    if "openid" not in access.scopes:
        return _challenge(403, "insufficient_scope", "the access token lacks a scope", scope="openid")
    async with engine.database.read() as session:
        user = await find_user(session, access.subject)
    if user is None or user.disabled:
        return _challenge(401, "invalid_token", "the access token is not valid here, or not any more")
    return _json(200, claims_of(user, access.scopes))


async def _token(request: Request) -> str | None:
    """The bearer token of a request; None without one. Raises `InvalidRequest`.

    It comes in the header, or in the form of a POST (RFC 6750 §2.1, §2.2), never in the query: that is logged.
    """
    headers = request.headers.getlist("authorization")
    if len(headers) > 1:
        raise InvalidRequest("there is more than one Authorization header")
    in_form = await _form_token(request) if request.method == "POST" else None
    if "access_token=" in query_string(request):
        raise InvalidRequest("an access token does not belong into the query")
    if not headers or headers[0].partition(" ")[0].lower() != "bearer":
        return in_form
    # RFC 6750 §2: not more than one way in each request.
    if in_form is not None:
        raise InvalidRequest("the access token is sent in more than one way")
    found = _BEARER.fullmatch(headers[0])
    if found is None or len(headers[0]) > MAX_TOKEN:
        raise InvalidRequest("the Authorization header is malformed")
    return found["token"]


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


def _challenge(status: int, error: str | None = None, detail: str = "", *, scope: str | None = None) -> Response:
    parts = ['realm="kronborg"']
    body: JsonObject = {}
    if error is not None:
        parts += [f'error="{error}"', f'error_description="{detail}"']
        body = {"error": error, "error_description": detail}
    if scope is not None:
        parts.append(f'scope="{scope}"')
    response = _json(status, body)
    response.headers["www-authenticate"] = f"Bearer {', '.join(parts)}"
    return response


def _json(status: int, body: JsonObject) -> Response:
    headers = {"cache-control": "no-store", "pragma": "no-cache"}
    return Response(orjson.dumps(body), status, media_type="application/json", headers=headers)
