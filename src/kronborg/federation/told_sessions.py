"""Sessions here that a provider vouched for: ended when it says so, and ended there when they end here."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlencode

from kronborg.core.db import Database
from kronborg.core.fetch import Fetcher
from kronborg.core.jose import numeric_date
from kronborg.core.json import JsonObject
from kronborg.federation.attempts import spend
from kronborg.federation.id_tokens import check_logout_token
from kronborg.federation.linking import managed_by
from kronborg.federation.presets import Known, known
from kronborg.federation.providers_store import find_identity, find_provider
from kronborg.federation.upstream import UpstreamRefused, endpoints_of, is_safe
from kronborg.sessions.life import end_sessions_told
from kronborg.sessions.store import find_session

PREFIX = "provider:"
REMEMBERED = timedelta(hours=1)


async def log_out(database: Database, fetcher: Fetcher, provider: Known, token: str, *, now: datetime) -> int:
    """End the sessions that a logout token names; how many. Raises `UpstreamRefused`."""
    endpoints = await endpoints_of(fetcher, provider, now=now)
    claims = await check_logout_token(fetcher, provider, endpoints, token, now=now)
    expires_at = (numeric_date(claims.get("exp")) or now) + REMEMBERED
    subject, sid = _text(claims, "sub"), _text(claims, "sid")
    async with database.write() as session:
        # OIDC Back-Channel Logout §2.6 item 8: a token counts once.
        if not await spend(session, provider.key, "logout", _text(claims, "jti"), expires_at=expires_at):
            raise UpstreamRefused("the logout token was used before")
        user_id: str | None = None
        if subject:
            identity = await find_identity(session, provider.key, subject)
            if identity is None:
                return 0
            user_id = identity.user_id
        vouched_by = managed_by(provider.key)
        return len(await end_sessions_told(session, vouched_by, told=sid or None, user_id=user_id, now=now))


async def upstream_logout(
    database: Database, fetcher: Fetcher, session_id: str, *, back_to: str, now: datetime
) -> str | None:
    """Where a browser is sent to sign out at the provider too (OIDC RP-Initiated Logout §2), if that is wished."""
    async with database.read() as session:
        found = await find_session(session, session_id)
        key = "" if found is None else found.vouched_by
        provider = await find_provider(session, key.removeprefix(PREFIX)) if key.startswith(PREFIX) else None
    if provider is None or not provider.settings.logout or provider.kind != "oidc":
        return None
    ready = known(provider)
    try:
        endpoints = await endpoints_of(fetcher, ready, now=now)
    except UpstreamRefused:
        return None
    if not is_safe(endpoints.end_session):
        return None
    joint = "&" if "?" in endpoints.end_session else "?"
    query = urlencode({"client_id": ready.settings.client_id, "post_logout_redirect_uri": back_to})
    return endpoints.end_session + joint + query


def _text(claims: JsonObject, name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""
