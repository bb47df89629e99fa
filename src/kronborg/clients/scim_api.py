"""The API that the SCIM server is: audience `<issuer>/scim`, there in every installation."""

from __future__ import annotations

from datetime import datetime

from kronborg.clients import store
from kronborg.clients.model import ApiDraft, Scope
from kronborg.clients.register import save_api
from kronborg.core.db import Database
from kronborg.core.errors import Invalid
from kronborg.core.log import get_logger
from kronborg.core.whole import whole

log = get_logger("kronborg.scim")

SCIM_SCOPES = (
    Scope("scim:read", "Read the people and groups that it provisions"),
    Scope("scim:write", "Provision people and groups"),
)


async def ensure_scim_api(database: Database, *, issuer: str, now: datetime) -> None:
    """See that it exists. One that somebody else has given these scopes to is left alone, and said so."""
    audience = f"{issuer}/scim"
    async with database.read() as session:
        if await store.find_api(session, audience) is not None:
            return
    try:
        async with whole(database) as writing:
            if await store.find_api(writing, audience) is None:  # another process may have been faster
                draft = ApiDraft(audience, "Kronborg provisioning (SCIM)", SCIM_SCOPES)
                await save_api(writing, draft, actor="system", now=now)
    except Invalid:
        log.warning("scim_api_not_made", reason="another API has the scopes scim:read and scim:write")
