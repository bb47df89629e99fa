"""The sync of a directory: every person it has is made, brought up to date or, when gone, disabled.

Bounded: page by page, at most a million people, and never a mass disabling: a directory that suddenly knows hardly
anybody has more likely lost a permission than its people.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from kronborg.accounts.store import find_user
from kronborg.accounts.users import disable_user
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.events import record
from kronborg.core.json import JsonObject
from kronborg.core.log import get_logger
from kronborg.federation import directory_store as store
from kronborg.federation.directories import REFUSED, service_of
from kronborg.federation.directory_changes import require
from kronborg.federation.directory_entries import Above, groups_of, known_of
from kronborg.federation.directory_model import Directory, KeptDirectory, SyncResult
from kronborg.federation.directory_people import keep
from kronborg.federation.directory_reach import Reach
from kronborg.federation.ldap_client import Entry, LdapConnection, LdapRefused, LdapUnavailable, LdapWrong
from kronborg.federation.ldap_filter import for_everybody

log = get_logger("kronborg.directories")

MAX_PEOPLE = 1_000_000
FEW = 20
"""So many may be gone at once without a question."""
MOST = 0.25
"""Of more than that, at most this share; else nobody is disabled."""
BATCH = 100


@dataclass(slots=True)
class _Counts:
    seen: int = 0
    created: int = 0
    updated: int = 0
    skipped: int = 0
    disabled: int = 0


async def sync_due(database: Database, vault: Vault, *, now: datetime) -> int:
    """Sync every directory whose time has come; how many."""
    async with database.read() as session:
        found = await store.list_directories(session)
    due = [kept for kept in found if _is_due(kept, now)]
    for kept in due:
        await sync_directory(database, vault, kept.directory.key, now=now)
    return len(due)


def _is_due(kept: KeptDirectory, now: datetime) -> bool:
    every = kept.directory.sync_every
    if kept.directory.disabled or every is None:
        return False
    return kept.sync is None or now - kept.sync.at >= every


async def sync_directory(
    database: Database, vault: Vault, key: str, *, actor: str = "system", now: datetime
) -> SyncResult:
    """Sync one directory now. Raises `NotFound`. What goes wrong on the way is in the result; what was done stands."""
    async with database.write() as session:
        kept = require(await store.find_directory(session, key))
        # Said before it begins: of two workers, the second sees that its time has not come.
        await store.write_sync(session, key, SyncResult(now, problem="under way, or broken off"))
    counts, problem = _Counts(), ""
    try:
        async with Reach(kept.directory).connected(service_of(vault, kept)) as connection:
            await _people(database, kept.directory, connection, counts, now)
        problem = await _gone(database, kept.directory, counts, now)
    except LdapUnavailable as failed:
        problem = failed.reason
    except LdapWrong:
        problem = REFUSED
    except LdapRefused as refused:
        problem = f"the directory refused the search (result {refused.code})"
    done = SyncResult(now, counts.seen, counts.created, counts.updated, counts.disabled, counts.skipped, problem)
    async with database.write() as session:
        await store.write_sync(session, key, done)
        detail: JsonObject = {
            "seen": done.seen,
            "created": done.created,
            "updated": done.updated,
            "disabled": done.disabled,
            "skipped": done.skipped,
            "problem": done.problem,
        }
        await record(session, "directory.synced", actor=actor, subject=key, now=now, detail=detail)
    if problem:
        log.warning("directory_sync", directory=key, reason=problem)
    return done


async def _people(
    database: Database, directory: Directory, connection: LdapConnection, counts: _Counts, now: datetime
) -> None:
    sought = for_everybody(directory.search_filter)
    above: Above = {}
    async for page in connection.everything(directory.base, sought, directory.asked_attributes):
        for entry in page:
            if counts.seen >= MAX_PEOPLE:
                raise LdapUnavailable("there are more than a million people")
            counts.seen += 1
            await _person(database, directory, connection, entry, counts, above, now)


async def _person(
    database: Database,
    directory: Directory,
    connection: LdapConnection,
    entry: Entry,
    counts: _Counts,
    above: Above,
    now: datetime,
) -> None:
    known = known_of(directory, entry, now=now)
    if known is None:
        counts.skipped += 1
        return
    groups = await groups_of(connection, directory, entry, above)
    kept = await keep(database, directory, known, groups, create=True, now=now)
    if kept is None:
        counts.skipped += 1
    elif kept.change == "created":
        counts.created += 1
    elif kept.change == "updated":
        counts.updated += 1


async def _gone(database: Database, directory: Directory, counts: _Counts, now: datetime) -> str:
    """Disable those whose entries are there no more; why not, if not."""
    key = directory.key
    async with database.read() as session:
        gone = await store.count_links(session, key, unseen_since=now)
        everybody = await store.count_links(session, key)
    if gone > FEW and gone > everybody * MOST:
        return f"{gone} of {everybody} people were not found any more: nobody was disabled, look at base and filter"
    while True:
        async with database.write() as session:
            links = await store.unseen_links(session, key, since=now, limit=BATCH)
            for link in links:
                user = await find_user(session, link.user_id)
                ours = user is not None and user.managed_by == directory.manager and not user.disabled
                if ours:
                    await disable_user(session, link.user_id, actor=directory.manager, now=now)
                    counts.disabled += 1
                await store.write_link(session, replace(link, shut=True, seen_at=now))
        if len(links) < BATCH:
            return ""
