"""The routes of the authorization server that browsers call."""

from __future__ import annotations

from starlette.routing import Route

from kronborg.oauth import registration_api
from kronborg.oauth.pages import apps, authorize, consent, device, logout, requests, userinfo
from kronborg.tokens.engine import Engine


def browser_routes(engine: Engine) -> list[Route]:
    """Authorize, consent, userinfo, sign-out by a client, and the apps of an account. One list for each process."""
    return [
        *authorize.routes(engine),
        *consent.routes(engine),
        *userinfo.routes(engine),
        *logout.routes(engine),
        *apps.routes(engine),
        *device.routes(engine),
        *requests.routes(engine),
        *registration_api.routes(engine),
    ]
