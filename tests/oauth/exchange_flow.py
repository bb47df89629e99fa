"""A site whose services trade tokens, for the tests of token exchange."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx

from kronborg.clients.model import ApiDraft, Scope
from kronborg.clients.register import save_api
from kronborg.clients.settings import ClientSettings
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from token_site import CART, CATALOGUE, USERINFO, Person, Site, token_site

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"


ACCESS = "urn:ietf:params:oauth:token-type:access_token"


JWT = "urn:ietf:params:oauth:token-type:jwt"


PRICING = "https://shop.example/pricing"


SCOPES = ("openid", "catalogue:read", "catalogue:write", "cart:read", "pricing:read")


@asynccontextmanager
async def exchange_site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    """The catalogue's server may trade tokens for the cart's and for pricing; `web` has what `ada` allowed it."""
    async with token_site(database, vault, now) as opened:
        async with database.write() as session:
            pricing = ApiDraft(PRICING, "Pricing", (Scope("pricing:read", "R"), Scope("pricing:write", "W")))
            await save_api(session, pricing, actor="test", now=now)
        await opened.web_client(scopes=("openid", "catalogue:read", "catalogue:write", "cart:read", "pricing:read"))
        await trader(opened, "catalogue-api", CATALOGUE, CART, PRICING)
        yield opened


async def trader(site: Site, client_id: str, own: str, *others: str, impersonates: bool = True) -> None:
    """A resource server that trades the tokens it is sent."""
    settings = ClientSettings(exchange_audiences=others, may_impersonate=impersonates)
    scopes = ("catalogue:read", "cart:read", "pricing:read", "pricing:write")
    grants = (GRANT, "client_credentials")
    await site.client(client_id, grants=grants, audiences=(own,), scopes=scopes, settings=settings)


async def trade(site: Site, token: str, by: str = "catalogue-api", **form: str) -> httpx.Response:
    usual = {"grant_type": GRANT, "subject_token": token, "subject_token_type": ACCESS}
    return await site.token(by, **usual | form)


async def subject(site: Site, person: Person, *, resource: str = CATALOGUE, **parts: Any) -> str:
    """A token that `web` holds for this person, for the catalogue."""
    code = await site.code(person, **{"scopes": SCOPES, "audiences": (CATALOGUE, CART, PRICING, USERINFO), **parts})
    answer = await site.redeem(code, resource=resource)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def own(site: Site, client_id: str, resource: str = CATALOGUE) -> str:
    """A token of a client for itself."""
    answer = await site.token(client_id, grant_type="client_credentials", resource=resource)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])
