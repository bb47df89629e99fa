"""The sections of the console that this slice and those below it have, in one list of routes."""

from __future__ import annotations

from starlette.routing import Route

from kronborg.clients import api_pages
from kronborg.clients import pages as client_pages
from kronborg.oauth.pages import access, dashboard, ending, settings
from kronborg.oauth.pages.settings import SettingGroup
from kronborg.tokens import key_pages
from kronborg.tokens.engine import Engine


def routes(engine: Engine, groups: tuple[SettingGroup, ...], file: str) -> list[Route]:
    """Dashboard, clients, APIs, access, keys and settings."""
    return [
        *dashboard.routes(engine),
        *client_pages.routes(),
        *api_pages.routes(),
        # Before the lists: the id of a client may hold slashes.
        *ending.routes(engine),
        *access.routes(engine),
        *key_pages.routes(engine),
        *settings.routes(groups, file),
    ]
