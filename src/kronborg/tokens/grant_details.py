"""What only some grants have, as one JSON text in the database; most grants have none of it."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta
from typing import cast

import orjson

from kronborg.core.json import JsonObject, JsonValue
from kronborg.tokens.model import NO_DETAILS, REFRESH_ABSOLUTE, REFRESH_IDLE, Grant, GrantDetails


def grant_end(details: GrantDetails, *, now: datetime) -> datetime:
    """When a grant that is made now ends whatever happens, and its refresh tokens with it."""
    return now + (REFRESH_ABSOLUTE if details.lifetime is None else timedelta(seconds=details.lifetime))


def idle_end(grant: Grant, *, now: datetime) -> datetime:
    """When a refresh token of a grant ends that is not used from now on."""
    idle = REFRESH_IDLE if grant.details.idle is None else timedelta(seconds=grant.details.idle)
    return min(now + idle, grant.expires_at)


def details_text(details: GrantDetails) -> str | None:
    """What is stored; None for nothing."""
    if details == NO_DETAILS:
        return None
    chosen: dict[str, JsonValue] = {}
    for one in fields(details):
        value = getattr(details, one.name)
        if value is not None and value != ():
            chosen[one.name] = list(value) if isinstance(value, tuple) else value
    return orjson.dumps(chosen).decode()


def details_from(text: str | None) -> GrantDetails:
    """What was stored."""
    if text is None:
        return NO_DETAILS
    stored: dict[str, JsonValue] = orjson.loads(text)
    asked = cast("list[JsonObject]", stored.pop("authorization_details", []))
    return GrantDetails(authorization_details=tuple(asked), **stored)  # type: ignore[arg-type]  # as `details_text` wrote it
