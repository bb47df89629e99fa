"""What tests of registration share: an app, and the ways to register it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from kronborg.clients.admission import RegistrationPolicy
from kronborg.clients.dynamic_model import NewInitialToken
from kronborg.clients.registration import make_initial_token
from kronborg.core.whole import whole
from oauth.flow import Flow

APP = {"client_name": "My app", "redirect_uris": ["https://my.example/callback"], "token_endpoint_auth_method": "none"}


async def register(flow: Flow, token: str | None = None, **metadata: Any) -> httpx.Response:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return await flow.http.post("/oauth/register", json={**APP, **metadata}, headers=headers)


async def initial_token(flow: Flow, *, max_uses: int = 10, **policy: Any) -> NewInitialToken:
    async with whole(flow.database) as session:
        return await make_initial_token(
            session,
            flow.engine.vault,
            name="pipeline",
            policy=RegistrationPolicy(**policy),
            lifetime=timedelta(days=1),
            max_uses=max_uses,
            actor="test",
            now=flow.clock.now,
        )
