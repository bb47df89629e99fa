"""What this slice and the one of tokens keep about a person, for the copy that they may take."""

from __future__ import annotations

from datetime import datetime

from kronborg.core.events import plain
from kronborg.core.json import JsonObject
from kronborg.oauth.store import consents_of_user
from kronborg.tokens.engine import Engine
from kronborg.tokens.store import grants_of_user


async def kept_about(engine: Engine, user_id: str, now: datetime) -> JsonObject:
    """What they allowed to whom, and the permissions that stand."""
    lookup = engine.database.lookup
    consents = await consents_of_user(lookup, user_id)
    grants = await grants_of_user(lookup, user_id, now=now)
    return {"consents": [plain(one) for one in consents], "grants": [plain(one) for one in grants]}
