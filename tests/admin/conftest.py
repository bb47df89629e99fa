"""The whole identity app on a real database, and administrators with tokens from its token endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

import furnished
from kronborg.app import compose
from kronborg.clients.model import ClientDraft
from kronborg.clients.register import add_secret, save_client
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.parts import Parts
from kronborg.tokens.engine import open_engine

ISSUER = "http://localhost:8081"
OPERATORS = {"viewer": ("admin:read",), "operator": ("admin:read", "admin:write")}


@dataclass
class Admin:
    """An HTTP client of the admin API; `read` and `write` are authorization headers."""

    http: httpx.AsyncClient
    database: Database
    read: dict[str, str]
    write: dict[str, str]


async def open_admin(database: Database, vault: Vault) -> Admin:
    """The app with one operator who may do everything and one who may only look."""
    parts = Parts(database, vault, ISSUER)
    secrets = await furnished.bring(database, "admin")
    engine = await open_engine(database, vault, issuer=ISSUER, session_idle=parts.session_idle, now=clock.now())
    transport = httpx.ASGITransport(compose(parts, engine), raise_app_exceptions=False)
    http = httpx.AsyncClient(transport=transport, base_url=ISSUER, trust_env=False)
    if secrets is None:
        secrets = {name: await _register(database, vault, name, scopes) for name, scopes in OPERATORS.items()}
        furnished.keep(database, "admin", secrets)
    tokens = {}
    for client_id, secret in secrets.items():
        form = {"grant_type": "client_credentials", "resource": f"{ISSUER}/api"}
        answer = await http.post("/oauth/token", data=form, auth=(client_id, secret))
        tokens[client_id] = {"authorization": f"Bearer {answer.json()['access_token']}"}
    return Admin(http, database, tokens["viewer"], tokens["operator"])


async def _register(database: Database, vault: Vault, client_id: str, scopes: tuple[str, ...]) -> str:
    draft = ClientDraft(client_id, client_id, grants=("client_credentials",), scopes=scopes)
    async with database.write() as session:
        await save_client(session, draft, actor="test", now=clock.now())
        return (await add_secret(session, vault, client_id, actor="test", now=clock.now())).secret


@pytest.fixture
async def admin(database: Database, vault: Vault) -> AsyncIterator[Admin]:
    opened = await open_admin(database, vault)
    yield opened
    await opened.http.aclose()
