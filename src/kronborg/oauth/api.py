"""The routes of the protocol endpoints that machines call."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.json import JsonObject
from kronborg.oauth.back_off import Gate
from kronborg.oauth.client_auth import Call
from kronborg.oauth.documents import DocumentEndpoint, jwks_document, metadata_document
from kronborg.oauth.endpoint import Clock, FormEndpoint
from kronborg.oauth.introspection import introspect
from kronborg.oauth.revocation import revoke
from kronborg.oauth.token import token
from kronborg.tokens.engine import Engine


def engine_of(request: Request) -> Engine:
    """The engine of the app that serves this request, kept at `app.state.engine`."""
    engine = request.app.state.engine
    if not isinstance(engine, Engine):
        raise TypeError("app.state.engine is not set by the composition root")
    return engine


def protocol_routes(engine: Engine, *, time: Clock = clock.now) -> list[Route]:
    """Token, introspection, revocation, JWKS and metadata, hottest first. One list for each process."""
    gate = Gate()

    async def take_back(call: Call) -> JsonObject | None:
        await revoke(engine, gate, call)
        return None

    described = DocumentEndpoint(engine, metadata_document(engine), clock=time)
    return [
        Route("/oauth/token", FormEndpoint(engine, partial(token, engine, gate), clock=time, browsers=True)),
        Route("/oauth/introspect", FormEndpoint(engine, partial(introspect, engine, gate), clock=time, browsers=False)),
        Route("/oauth/revoke", FormEndpoint(engine, take_back, clock=time, browsers=True)),
        Route("/oauth/jwks", DocumentEndpoint(engine, jwks_document(engine), clock=time)),
        *(Route(path, described) for path in _metadata_paths(engine.issuer)),
    ]


def _metadata_paths(issuer: str) -> list[str]:
    """Where metadata stands: appended to the issuer (OIDC Discovery §4), inserted before its path (RFC 8414 §3.1)."""
    path = urlsplit(issuer).path.rstrip("/")
    inserted = [f"/.well-known/{name}{path}" for name in ("openid-configuration", "oauth-authorization-server")]
    return list(dict.fromkeys([*inserted, f"{path}/.well-known/openid-configuration"]))
