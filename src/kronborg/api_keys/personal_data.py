"""What is kept about a person here: their access tokens, without the secrets. With the person they go."""

from __future__ import annotations

from datetime import datetime

from kronborg.api_keys import store
from kronborg.core.json import JsonObject
from kronborg.tokens.engine import Engine


async def tokens_about(engine: Engine, user_id: str, now: datetime) -> JsonObject:
    """Their personal access tokens that are not revoked."""
    found = await store.list_keys(engine.database.lookup, user_id=user_id, limit=200)
    return {
        "access_tokens": [
            {
                "name": one.name,
                "begins_with": one.shown,
                "audiences": list(one.audiences),
                "scopes": list(one.scopes),
                "created_at": one.created_at.isoformat(),
                "expires_at": one.expires_at.isoformat(),
                "last_used_at": None if one.last_used_at is None else one.last_used_at.isoformat(),
            }
            for one in found
        ]
    }


async def forget_tokens(engine: Engine, user_id: str) -> None:
    """Remove the tokens of a person who is gone, revoked ones too."""
    await engine.database.writer.run(lambda execute: store.forget_user(execute, user_id))
