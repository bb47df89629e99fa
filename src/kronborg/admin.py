"""The admin API, mounted at `/api`: the slices' routers, behind a guard that no route can be added without.

The guard asks for a token of Kronborg itself: audience `<issuer>/api`, `admin:read` to look and `admin:write` to
change. With a person's token the policies of the console decide besides: an application that may ask for these scopes
must not make an administrator of everyone who signs in to it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import JsonValue
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from kronborg.accounts import api as accounts
from kronborg.accounts import invitations_api, organisations_api
from kronborg.accounts.people import People
from kronborg.accounts.principals import principal_of
from kronborg.accounts.store import roles_of
from kronborg.api_keys import api as api_keys
from kronborg.api_keys.model import KeySettings
from kronborg.audit import api as audit_api
from kronborg.audit import webhooks_api
from kronborg.certificates import api as certificates
from kronborg.clients import api as clients
from kronborg.clients import registration_api
from kronborg.core import clock
from kronborg.core.api import Caller, ProblemDetails, Stale
from kronborg.core.errors import Refusal
from kronborg.core.http import problem, refusal_problem
from kronborg.core.parts import Parts
from kronborg.core.policy import Policies, is_privileged
from kronborg.core.rights import wish_of
from kronborg.factors import api as factors
from kronborg.federation import directories_api, providers_api
from kronborg.fleet import fleet_api
from kronborg.gateway import api as gateway
from kronborg.gateway import (
    certificates_api,
    config_api,
    documents_api,
    drafts_api,
    policies_api,
    resilience_api,
    simulate_api,
    token_issuers_api,
    versions_api,
)
from kronborg.gateway.config_api import ConfigRequest
from kronborg.gateway.resilience_model import REGISTER
from kronborg.limits import api as limits_api
from kronborg.oauth import issuers_api
from kronborg.oauth.held_token import TokenRefused, holder_of
from kronborg.provisioning import import_api
from kronborg.signin import api as signin
from kronborg.signin.passwords import Passwords
from kronborg.tokens import api as tokens
from kronborg.tokens import revocations_api
from kronborg.tokens.engine import Engine
from kronborg.tokens.model import Access
from kronborg.traffic import alerts_api, surface_api, what_if_api
from kronborg.traffic import api as traffic_api
from kronborg.traffic.parts import Traffic

READ, WRITE = "admin:read", "admin:write"

_OPEN = frozenset({"/openapi.json"})
_READING = frozenset({"/config/plan", "/audit/verify", "/simulate"})
"""POST requests that change nothing."""
_ANNOUNCING = re.compile(r"/services/[^/]+/endpoints/[^/]+")
"""Where services announce their replicas, with a scope that opens nothing else."""


class Guard:
    """Lets through who has a token for this API, and tells the routes who it is."""

    def __init__(self, app: ASGIApp, engine: Engine, policies: Policies) -> None:
        self._app, self._engine, self._policies = app, engine, policies
        self._audience = f"{engine.issuer}/api"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if not _plain(scope):
            await problem(400, "Bad request", "The path or query holds a control character.")(scope, receive, send)
            return
        if scope["method"] not in ("GET", "HEAD") or path not in _OPEN:
            answer = await self._check(scope, path, _needed(scope["method"], path))
            if isinstance(answer, Response):
                await answer(scope, receive, send)
                return
            scope["state"] = {**scope.get("state", {}), "caller": answer}
        await self._app(scope, receive, send)

    async def _check(self, scope: Scope, path: str, needed: str) -> Caller | Response:
        access = await holder_of(self._engine, scope, audience=self._audience, needed=needed, now=clock.now())
        if isinstance(access, TokenRefused):
            response = problem(access.status, access.title, access.detail)
            response.raw_headers += access.challenges
            return response
        if access.grant_id is not None and not await self._may(access, scope["method"], path):
            return problem(403, "Forbidden", "No policy permits this person to do that: it needs another role.")
        kind = "client" if access.grant_id is None else "user"
        return Caller(f"{kind}:{access.subject}", access.client_id, access.scopes)

    async def _may(self, access: Access, method: str, path: str) -> bool:
        """Whether the person behind a token may do this, by the roles of this moment."""
        found = await principal_of(self._engine.database, access.subject)
        principal = replace(found, roles=access.roles)
        wish = wish_of(method, path)
        if wish.action.startswith("users:") and wish.resource.id:
            async with self._engine.database.read() as session:
                privileged = is_privileged(await roles_of(session, wish.resource.id))
            wish = replace(wish, resource=replace(wish.resource, privileged=privileged))
        return self._policies.allows(principal, wish.action, wish.resource)


_ROUTERS = (
    import_api.router,
    accounts.router,
    organisations_api.router,
    invitations_api.router,
    factors.router,
    signin.router,
    clients.router,
    registration_api.router,
    certificates.router,
    certificates_api.router,
    gateway.router,
    resilience_api.router,
    documents_api.router,
    policies_api.router,
    drafts_api.router,
    versions_api.router,
    simulate_api.router,
    tokens.router,
    api_keys.router,
    token_issuers_api.router,
    issuers_api.router,
    directories_api.router,
    revocations_api.router,
    config_api.router,
    audit_api.router,
    traffic_api.router,
    surface_api.router,
    alerts_api.router,
    what_if_api.router,
    webhooks_api.router,
    fleet_api.router,
    limits_api.router,
    providers_api.router,
)


def admin_app(parts: Parts, engine: Engine, policies: Policies, key_settings: KeySettings, traffic: Traffic) -> ASGIApp:
    """The admin API of an installation, to be mounted at `/api`."""
    app = FastAPI(
        title="Kronborg admin API",
        version=version("kronborg"),
        summary="Everything that `kronborg.yaml` and the command line can do.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=_common_problems(),
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.parts, app.state.engine = parts, engine
    app.state.policies = policies
    app.state.traffic = traffic
    app.state.key_settings = key_settings
    app.state.people = engine.people or People.make(parts.vault, parts.issuer)
    app.state.passwords = Passwords() if engine.signin is None else engine.signin.passwords
    for router in _ROUTERS:
        app.include_router(router)
    app.add_exception_handler(RequestValidationError, _wrong_input)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Stale, _stale)
    app.add_exception_handler(Refusal, refusal_problem)
    app.openapi = lambda: _openapi(app, parts.issuer)  # type: ignore[method-assign]  # FastAPI's documented way
    return Guard(app, engine, policies)


def _needed(method: str, path: str) -> str:
    """The scope that a request needs."""
    if method in ("PUT", "DELETE") and _ANNOUNCING.fullmatch(path):
        return REGISTER
    return READ if method in ("GET", "HEAD", "OPTIONS") or path in _READING else WRITE


def _plain(scope: Scope) -> bool:
    """Whether path and query hold no control character, encoded or not: no database takes NUL in a text."""
    query = scope.get("query_string", b"").lower()
    return all(c >= " " and c != "\x7f" for c in scope["path"]) and re.search(rb"%0|%1|%7f", query) is None


def _wrong_input(_request: Request, error: Exception) -> Response:
    """Every member that is wrong, by name; never what was sent."""
    if not isinstance(error, RequestValidationError):
        raise error
    wrong: list[JsonValue] = [
        {
            "where": ".".join(str(part)[:100] for part in one["loc"]).encode("ascii", "replace").decode(),
            "detail": str(one["msg"])[:300].encode("ascii", "replace").decode(),
            "mend": "",
        }
        for one in error.errors()[:100]
    ]
    return problem(422, "Invalid input", "Nothing was changed; see problems.", extra={"problems": wrong})


def _http_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    titles = {
        400: ("Bad request", "The request cannot be read."),
        404: ("Not found", "There is nothing at this path."),
        405: ("Method not allowed", "This path does not know this method."),
        413: ("Content too large", "The request body is larger than this endpoint accepts."),
    }
    title, detail = titles.get(error.status_code, ("Refused", "The request was refused."))
    return problem(error.status_code, title, detail, headers=error.headers)


def _stale(_request: Request, _error: Exception) -> Response:
    return problem(412, "Precondition failed", "The object has changed since it was read: read it again.")


def _common_problems() -> dict[int | str, dict[str, Any]]:
    """What every operation can answer."""
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    told = {
        400: "The request cannot be read",
        401: "No valid token of this API",
        403: "The token lacks the scope, or the person the role",
        413: "The body is too large",
    }
    return {
        code: {"description": text, "content": {"application/problem+json": {"schema": schema}}}
        for code, text in told.items()
    }


def _openapi(app: FastAPI, issuer: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document: FastAPI's, with the problems' schema, the server and how to get a token."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, summary=app.summary, openapi_version="3.1.0", routes=app.routes
        )
        _, extra = models_json_schema(
            [(ProblemDetails, "validation"), (ConfigRequest, "validation")],
            ref_template="#/components/schemas/{model}",
        )
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update(extra["$defs"])
        scopes = {READ: "Read every setting", WRITE: "Change every setting", REGISTER: "Announce endpoints"}
        flows = {"clientCredentials": {"tokenUrl": f"{issuer}/oauth/token", "scopes": scopes}}
        components["securitySchemes"] = {"kronborg": {"type": "oauth2", "flows": flows}}
        document["servers"] = [{"url": f"{issuer}/api"}]
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                operation["security"] = [{"kronborg": [_needed(method.upper(), path)]}]
        app.openapi_schema = document
    return app.openapi_schema
