"""The identity process: OAuth and OpenID Connect, sign-in, account pages, admin API, in one ASGI app."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from functools import partial

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from kronborg.accounts import group_pages, organisation_pages, user_pages
from kronborg.accounts.names_store import names_of
from kronborg.accounts.people import People
from kronborg.accounts.principals import principal_of
from kronborg.api_keys import account_pages as token_pages
from kronborg.api_keys import pages as key_pages
from kronborg.api_keys.model import KeySettings
from kronborg.api_keys.personal_data import tokens_about
from kronborg.audit import pages as audit_pages
from kronborg.audit import webhook_pages
from kronborg.config import Settings, sms_secret
from kronborg.core import clock, error_pages
from kronborg.core.brand import Brand
from kronborg.core.db import Database
from kronborg.core.fetch import Fetcher
from kronborg.core.health import health_routes
from kronborg.core.html import Pages
from kronborg.core.http import Edge, LimitBody, Shortcut
from kronborg.core.parts import Parts
from kronborg.core.policy import Policies
from kronborg.factors import pages as factor_pages
from kronborg.factors.manage import reset_factors
from kronborg.factors.model import FactorSettings
from kronborg.factors.parts import FactorParts
from kronborg.factors.texts import sender_of
from kronborg.federation import directory_pages, linked_pages, providers_pages, saml_pages
from kronborg.federation import pages as federation_pages
from kronborg.federation.directories import Directories
from kronborg.federation.parts import FederationParts
from kronborg.fleet import fleet_pages
from kronborg.gateway import (
    breaker_pages,
    certificates_pages,
    decisions_api,
    issuers_pages,
    policies_pages,
    publishing_pages,
    routes_pages,
    simulate_pages,
)
from kronborg.gateway.certificates import shown_by
from kronborg.limits import pages as limits_pages
from kronborg.listeners import mutual_tls_of, serve_all
from kronborg.oauth.api import protocol_endpoints, status_list_routes
from kronborg.oauth.authorize_api import browser_routes
from kronborg.oauth.pages import console, requests
from kronborg.oauth.pages.logout import signed_out
from kronborg.oauth.pages.settings import groups_of
from kronborg.oauth.personal_data import kept_about
from kronborg.oauth.scim_api import ScimServer
from kronborg.opening import engine_for
from kronborg.signin import account_pages, journey_pages, pages, self_pages
from kronborg.signin.own_ways import has_own_way
from kronborg.signin.parts import SignInParts
from kronborg.tokens.engine import Engine
from kronborg.traffic import (
    addresses_pages,
    alerts_pages,
    alerts_rules_pages,
    block_pages,
    surface_pages,
    what_if_pages,
)
from kronborg.traffic import pages as traffic_pages
from kronborg.traffic.opened import open_traffic
from kronborg.traffic.parts import Traffic
from kronborg.traffic.surface_tiles import tiles_of


class AdminApi:
    """The admin API, built when it is first asked: an installation that never asks saves a third of the memory."""

    def __init__(
        self, parts: Parts, engine: Engine, policies: Policies, key_settings: KeySettings, traffic: Traffic
    ) -> None:
        self._parts, self._engine, self._policies = parts, engine, policies
        self._key_settings = key_settings
        self._traffic = traffic
        self._app: ASGIApp | None = None
        self._building = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            async with self._building:
                if self._app is None:
                    self._app = await asyncio.to_thread(self._build)
        app: ASGIApp = self._app
        await app(scope, receive, send)

    def _build(self) -> ASGIApp:
        from kronborg.admin import admin_app

        return admin_app(self._parts, self._engine, self._policies, self._key_settings, self._traffic)


async def identity(settings: Settings, stop: asyncio.Event, own: socket.socket | None = None) -> None:
    """Open the database, serve until `stop` is set, close what was opened. `own` as in `server.serve`."""
    database = await Database.open(settings.database_url)
    try:
        app, engine = await _opened(settings, database)
        await serve_all(app, settings, engine, stop, own)
    finally:
        await database.close()


async def identity_app(settings: Settings, database: Database) -> ASGIApp:
    """The app over an open database."""
    return (await _opened(settings, database))[0]


async def _opened(settings: Settings, database: Database) -> tuple[ASGIApp, Engine]:
    engine = await engine_for(settings, database, now=clock.now(), mutual_tls=mutual_tls_of(settings))
    parts = Parts(
        database,
        engine.vault,
        settings.issuer,
        gateway_url=settings.gateway_url,
        session_idle=settings.session_idle,
        session_absolute=settings.session_absolute,
        profile=settings.profile,
        fleet_url="" if settings.fleet is None else settings.fleet.url,
        shown_certificates=shown_by(settings.listeners),
        calls_from=() if settings.addresses is None else settings.addresses.allow,
        never_from=() if settings.addresses is None else settings.addresses.deny,
        has_acme=settings.acme is not None,
    )
    engine = replace(
        engine,
        signin=SignInParts.make(settings.sign_in, engine.fetcher),
        people=People.make(parts.vault, parts.issuer, settings.people, settings.brand),
        session_absolute=parts.session_absolute,
        require_dpop_nonce=settings.require_dpop_nonce,
    )
    return compose(parts, engine, settings.brand, settings), engine


_PAGES = (
    pages,
    journey_pages,
    factor_pages,
    account_pages,
    token_pages,
    key_pages,
    issuers_pages,
    self_pages,
    federation_pages,
    linked_pages,
    user_pages,
    group_pages,
    organisation_pages,
    providers_pages,
    directory_pages,
    saml_pages,
    audit_pages,
    traffic_pages,
    what_if_pages,
    block_pages,
    addresses_pages,
    surface_pages,
    alerts_pages,
    alerts_rules_pages,
    webhook_pages,
    policies_pages,
    routes_pages,
    publishing_pages,
    simulate_pages,
    breaker_pages,
    certificates_pages,
    fleet_pages,
    limits_pages,
)
"""Modules whose pages need nothing but what the app's state holds."""


def compose(parts: Parts, engine: Engine, brand: Brand | None = None, settings: Settings | None = None) -> ASGIApp:
    """Routes, state and the outer layers. Without `settings` (tests), those of an installation that chose nothing."""
    settings = settings or Settings()
    policies = Policies(settings.policies)
    html = Pages(brand)
    traffic = Traffic(partial(open_traffic, settings.traffic.store, settings.database_url, settings.data.absolute()))
    app = Starlette(
        routes=[
            *browser_routes(engine),
            *status_list_routes(engine),
            *decisions_api.routes(engine),
            *health_routes(parts.database),
            *html.routes(),
            *(route for one in _PAGES for route in one.routes()),
            *console.routes(engine, groups_of(settings, Settings()), str(settings.file or "")),
            Mount("/scim/v2", ScimServer(parts, engine)),
            Mount("/api", AdminApi(parts, engine, policies, settings.api_keys, traffic)),
        ],
        exception_handlers=error_pages.handlers(),
    )
    app.router.redirect_slashes = False
    app.state.parts = parts
    app.state.engine = engine
    app.state.key_settings = settings.api_keys
    app.state.pages = html
    app.state.signin = engine.signin or SignInParts.make()
    app.state.factors = factor_parts(app.state.signin.settings.factors, engine.fetcher)
    app.state.reset_factors = reset_factors
    app.state.federation = FederationParts(engine.fetcher.apart(), has_own_way)
    app.state.directories = Directories(parts.database, parts.vault)
    app.state.people = engine.people or People.make(parts.vault, parts.issuer, settings.people, brand)
    app.state.registration = app.state.people.settings.registration.open
    app.state.contributors = (partial(kept_about, engine), partial(tokens_about, engine))
    app.state.announcers = (requests.announcer(engine),)
    app.state.tiles = (partial(tiles_of, parts.database, traffic),)
    app.state.policies = policies
    app.state.traffic = traffic
    app.state.gateway_proxies = settings.gateway_proxies
    app.state.names_of = partial(names_of, parts.database)
    app.state.principal_of = lambda visit: principal_of(parts.database, visit.user_id)
    app.state.after_sign_out = partial(signed_out, engine)
    return Edge(Shortcut(LimitBody(app), protocol_endpoints(engine)), secure=parts.secure)


def factor_parts(settings: FactorSettings, fetcher: Fetcher) -> FactorParts:
    """Second factors, and the way text messages leave."""
    sms = settings.sms
    return FactorParts(settings, None if sms is None else sender_of(sms, fetcher.apart(), secret=sms_secret(sms)))
