"""Who may reach whom: which organisation a person counts to when somebody wants to see or change them.

An administrator of an organisation sees everybody in it, and changes those who are in no other, and have no right over
Kronborg itself: or who brings a colleague into the own organisation could take over their account.
"""

from __future__ import annotations

from collections.abc import Collection

from kronborg.accounts.organisations_store import organisations_of
from kronborg.accounts.store import roles_of
from kronborg.core.db import ReadSession
from kronborg.core.policy import is_privileged


async def organisation_for(session: ReadSession, user_id: str, administers: Collection[str], *, change: bool) -> str:
    """The `organisation` of a person as a resource of policies, for somebody who administers these; empty for none."""
    if not administers:
        return ""
    belongs = [one.id for one in await organisations_of(session, user_id)]
    theirs = [one for one in belongs if one in administers]
    if not theirs:
        return ""
    if change and (len(theirs) < len(belongs) or is_privileged(await roles_of(session, user_id))):
        return ""
    return theirs[0]
