"""The accounts at providers that an account here is linked to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from kronborg.core.db import ReadSession, Session
from kronborg.core.errors import Conflict, NotFound
from kronborg.core.events import record
from kronborg.federation.linking import MAX_LINKS
from kronborg.federation.model import Identity
from kronborg.federation.providers_store import delete_identity, find_provider, identities_of


class NotTheLastWay(Conflict):
    """Without it nobody could sign in to the account any more."""


class TooManyLinks(Conflict):
    """An account is linked to so many and no more."""


async def linked_accounts(session: ReadSession, user_id: str, *, bounded: bool = True) -> Sequence[Identity]:
    """What an account is linked to. Raises `TooManyLinks` when no further one may come, if `bounded`."""
    found = await identities_of(session, user_id)
    if bounded and len(found) >= MAX_LINKS:
        raise TooManyLinks("this account has as many linked accounts as there may be")
    return found


async def unlink(
    session: Session, user_id: str, provider: str, subject: str, *, other_ways: bool, now: datetime, actor: str = ""
) -> None:
    """Take a link away. Raises `NotFound`; `NotTheLastWay` when `other_ways` is false and no other provider is left."""
    mine = await identities_of(session, user_id)
    if not any((one.provider, one.subject) == (provider, subject) for one in mine):
        raise NotFound("there is no such linked account")
    others = [one.provider for one in mine if (one.provider, one.subject) != (provider, subject)]
    left = [await find_provider(session, key) for key in others]
    # Decided before anything is written: what a refusal finds written stands.
    if not other_ways and not any(one is not None and one.settings.enabled for one in left):
        raise NotTheLastWay("this is the last way to sign in")
    await delete_identity(session, provider, subject, user_id=user_id)
    detail = {"provider": provider}
    await record(session, "identity.unlinked", actor=actor or user_id, subject=user_id, now=now, detail=detail)
