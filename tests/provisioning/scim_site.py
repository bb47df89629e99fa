"""The whole identity app with clients that provision, and what the tests of SCIM send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from kronborg.app import compose
from kronborg.clients.model import ClientDraft
from kronborg.clients.register import add_secret, save_client
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.parts import Parts
from kronborg.tokens.engine import open_engine

ISSUER = "http://localhost:8081"
BASE = f"{ISSUER}/scim/v2"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass
class Scim:
    """One client of the SCIM server."""

    http: httpx.AsyncClient
    database: Database
    headers: dict[str, str]

    async def send(
        self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] | None = None, **asked: str
    ) -> httpx.Response:
        sent = {**self.headers, **(headers or {})}
        if body is not None:
            sent = {"content-type": "application/scim+json", **sent}
        url = path if path.startswith("http") else f"{BASE}{path}"
        content = None if body is None else orjson.dumps(body)
        return await self.http.request(method, url, headers=sent, params=asked or None, content=content)

    async def user(self, user_name: str, /, **more: Any) -> dict[str, Any]:
        answer = await self.send("POST", "/Users", {"schemas": [USER], "userName": user_name, **more})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def group(self, display: str, /, *members: str, **more: Any) -> dict[str, Any]:
        inside = [{"value": member} for member in members]
        body = {"schemas": [GROUP], "displayName": display, "members": inside, **more}
        answer = await self.send("POST", "/Groups", body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def patch(self, resource: Mapping[str, Any], *operations: Mapping[str, object]) -> httpx.Response:
        body = {"schemas": [PATCH], "Operations": list(operations)}
        return await self.send("PATCH", str(resource["meta"]["location"]), body)

    async def found(self, kind: str, filter_: str) -> list[str]:
        answer = await self.send("GET", f"/{kind}", filter=filter_)
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["Resources"]]


@asynccontextmanager
async def scim_site(database: Database, vault: Vault) -> AsyncIterator[tuple[Scim, Scim, Scim]]:
    """A client that provisions, another one, and one that may only read what the first keeps (nothing: its own)."""
    parts = Parts(database, vault, ISSUER)
    engine = await open_engine(database, vault, issuer=ISSUER, session_idle=parts.session_idle, now=clock.now())
    transport = httpx.ASGITransport(compose(parts, engine), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ISSUER, trust_env=False) as http:
        clients = []
        both = ("scim:read", "scim:write")
        for client_id, scopes in (("hr", both), ("other", both), ("viewer", ("scim:read",))):
            draft = ClientDraft(client_id, client_id, grants=("client_credentials",), scopes=scopes)
            async with database.write() as session:
                await save_client(session, draft, actor="test", now=clock.now())
                secret = await add_secret(session, vault, client_id, actor="test", now=clock.now())
            form = {"grant_type": "client_credentials", "resource": f"{ISSUER}/scim"}
            answer = await http.post("/oauth/token", data=form, auth=(client_id, secret.secret))
            assert answer.status_code == 200, answer.text
            token = {"authorization": f"Bearer {answer.json()['access_token']}"}
            clients.append(Scim(http, database, token))
        yield clients[0], clients[1], clients[2]
