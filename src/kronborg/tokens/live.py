"""Whether a grant still stands: itself, its person, the session it was given in, its client. One rule for all.

Refresh, introspection, exchange and userinfo all ask here, so that no path forgets a disabled user.
"""

from __future__ import annotations

from datetime import datetime

from kronborg.clients.model import Client
from kronborg.tokens.engine import Engine
from kronborg.tokens.model import Grant, Subject
from kronborg.tokens.people_store import find_service_account, find_subject


async def person_behind(engine: Engine, grant: Grant, *, now: datetime) -> Subject | None:
    """The person of a grant that stands, with the roles of this moment; None when it does not stand.

    It falls when revoked or expired, when the user is gone or disabled, and, unless it was given `offline_access`,
    when the session it was given in has ended. The client is not looked at: see `client_stands`.
    """
    if grant.revoked_at is not None or grant.expires_at <= now:
        return None
    session_id = None if grant.offline else grant.session_id
    return await find_subject(
        engine.database.lookup, grant.user_id, session_id=session_id, idle=engine.session_idle, now=now
    )


async def client_stands(engine: Engine, client_id: str, *, now: datetime) -> bool:
    """Whether the client exists and is not disabled."""
    client = await engine.directory.client(client_id, now=now)
    return client is not None and not client.disabled


async def account_of(engine: Engine, client: Client) -> Subject | None:
    """The service account that a client's own tokens speak for; None when it is gone or disabled.

    Ask only for a client that has one (`settings.service_account`).
    """
    return await find_service_account(engine.database.lookup, client.settings.service_account or "")
