"""Who somebody is to the policies: their roles, and the organisations they administer."""

from __future__ import annotations

from kronborg.accounts.organisations_store import administered_by
from kronborg.accounts.store import roles_of
from kronborg.core.db import Database
from kronborg.core.policy import Principal


async def principal_of(database: Database, user_id: str) -> Principal:
    """A person with all roles, direct and by groups, as of now."""
    async with database.read() as session:
        return Principal(user_id, await roles_of(session, user_id), await administered_by(session, user_id))
