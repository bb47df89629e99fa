"""The guard of the SCIM server: machines with a token of this issuer for `<issuer>/scim`, and nobody else.

The server behind it is built when it is first asked: an installation that never provisions pays nothing for it.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from kronborg.core import clock
from kronborg.core.parts import Parts
from kronborg.oauth.held_token import TokenRefused, holder_of
from kronborg.tokens.engine import Engine

READ, WRITE = "scim:read", "scim:write"


class ScimServer:
    """`/scim/v2` as an app."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self._parts, self._engine = parts, engine
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from kronborg.provisioning.model import ScimError
        from kronborg.provisioning.scim_api import answer_refusal, scim_app

        if self._app is None:
            self._app = scim_app(self._parts)
        # RFC 7644 §3.4.3: a search may be posted; no other method reads there.
        searching = scope["method"] == "POST" and scope["path"].endswith("/.search")
        reading = scope["method"] in ("GET", "HEAD") or searching
        needed = READ if reading else WRITE
        audience = f"{self._engine.issuer}/scim"
        access = await holder_of(self._engine, scope, audience=audience, needed=needed, now=clock.now())
        if isinstance(access, TokenRefused):
            response = answer_refusal(ScimError(access.status, access.detail))
            response.raw_headers += access.challenges
            await response(scope, receive, send)
            return
        # What is provisioned belongs to a client; a person who consented to an application is not one.
        if access.grant_id is not None:
            refusal = ScimError(403, "only a client with a token of its own may provision")
            await answer_refusal(refusal)(scope, receive, send)
            return
        scope["state"] = {**scope.get("state", {}), "scim_client": access.client_id}
        await self._app(scope, receive, send)
