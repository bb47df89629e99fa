"""The routes of the protocol endpoints that machines call."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

from starlette.routing import Route
from starlette.types import ASGIApp

from kronborg.core import clock
from kronborg.core.json import JsonObject
from kronborg.core.pace import Pace
from kronborg.oauth.back_off import Gate
from kronborg.oauth.call import Call
from kronborg.oauth.ciba import authenticate_backchannel
from kronborg.oauth.device import authorize_device
from kronborg.oauth.documents import DocumentEndpoint, jwks_document, metadata_document
from kronborg.oauth.endpoint import Clock, FormEndpoint
from kronborg.oauth.introspection import introspect
from kronborg.oauth.pushed import PUSHES, push
from kronborg.oauth.revocation import revoke
from kronborg.oauth.revocation_feed import FeedEndpoint, by_token
from kronborg.oauth.status_lists import PATH, StatusListEndpoint
from kronborg.oauth.token import token
from kronborg.tokens.engine import Engine


def protocol_endpoints(engine: Engine, *, time: Clock = clock.now) -> dict[str, ASGIApp]:
    """Token, introspection, revocation, JWKS and metadata, by path. One set for each process."""
    gate, pushes = Gate(), Pace(most=PUSHES)

    async def take_back(call: Call) -> JsonObject | None:
        await revoke(engine, gate, call)
        return None

    described = DocumentEndpoint(engine, metadata_document(engine), clock=time)
    return {
        "/oauth/token": FormEndpoint(engine, partial(token, engine, gate), clock=time, browsers=True),
        "/oauth/par": FormEndpoint(engine, partial(push, engine, gate, pushes), clock=time, browsers=True, status=201),
        "/oauth/introspect": FormEndpoint(engine, partial(introspect, engine, gate), clock=time, browsers=False),
        "/oauth/revoke": FormEndpoint(engine, take_back, clock=time, browsers=True),
        "/oauth/device_authorization": FormEndpoint(
            engine, partial(authorize_device, engine, gate), clock=time, browsers=True
        ),
        "/oauth/revocations": FeedEndpoint(engine, by_token(engine), clock=time),
        "/oauth/backchannel-authentication": FormEndpoint(
            engine, partial(authenticate_backchannel, engine, gate), clock=time, browsers=False
        ),
        "/oauth/jwks": DocumentEndpoint(engine, jwks_document(engine), clock=time),
        **dict.fromkeys(_metadata_paths(engine.issuer), described),
    }


def protocol_routes(engine: Engine, *, time: Clock = clock.now) -> list[Route]:
    """The same as routes, and those of the status lists."""
    routes = [Route(path, endpoint) for path, endpoint in protocol_endpoints(engine, time=time).items()]
    return [*routes, *status_list_routes(engine, time=time)]


def status_list_routes(engine: Engine, *, time: Clock = clock.now) -> list[Route]:
    """The status lists, and the list of them. One set for each process."""
    lists = StatusListEndpoint(engine, clock=time)
    return [Route(PATH, lists), Route(PATH + "/{list_id}", lists)]


def _metadata_paths(issuer: str) -> list[str]:
    """Where metadata stands: appended to the issuer (OIDC Discovery §4), inserted before its path (RFC 8414 §3.1)."""
    path = urlsplit(issuer).path.rstrip("/")
    inserted = [f"/.well-known/{name}{path}" for name in ("openid-configuration", "oauth-authorization-server")]
    return list(dict.fromkeys([*inserted, f"{path}/.well-known/openid-configuration"]))
