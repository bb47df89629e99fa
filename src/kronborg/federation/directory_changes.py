"""Make, change and remove directories. Every verb works in the caller's transaction."""

from __future__ import annotations

from datetime import datetime

from kronborg.accounts.parting import Parting, part
from kronborg.core.crypto import Vault
from kronborg.core.db import Session
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.events import changes, record
from kronborg.core.json import JsonObject
from kronborg.federation import directory_store as store
from kronborg.federation.directory_check import MAX_DIRECTORIES, directory_problems
from kronborg.federation.directory_model import Directory, KeptDirectory

MAX_PASSWORD = 500


def password_context(key: str) -> str:
    """What the password of a directory's `bind_dn` is sealed for."""
    return f"federation.directory:{key}"


async def save_directory(
    session: Session, vault: Vault, directory: Directory, *, password: str | None = None, actor: str, now: datetime
) -> KeptDirectory:
    """Make the directory `directory.key` as drafted; without a password the one that is kept stays.

    Raises `Invalid` with everything that is wrong.
    """
    known = await store.find_directory(session, directory.key)
    problems = list(directory_problems(directory, has_password=bool(password or (known and known.sealed))))
    if password is not None and not 0 < len(password) <= MAX_PASSWORD:
        problems.append(Problem("bind_password", "is empty or longer than 500 characters", "give the password"))
    if known is None and len(await store.list_directories(session)) >= MAX_DIRECTORIES:
        problems.append(Problem("key", "there are 20 directories already"))
    if known is not None and known.directory.identity != directory.identity:
        # Links are by this attribute: under another one everybody would be a stranger, or somebody else.
        problems.append(
            Problem("id_attribute", "cannot change: accounts are tied by it", "remove the directory and make it anew")
        )
    if problems:
        raise Invalid(*problems)
    sealed = known.sealed if known else ""
    if password is not None:
        sealed = vault.seal(password.encode(), context=password_context(directory.key))
    if not directory.bind_dn:
        sealed = ""
    if known is not None and known.directory == directory and sealed == known.sealed:
        return known
    await store.save_directory_row(session, directory, sealed, now=now)
    name = "directory.created" if known is None else "directory.changed"
    detail = changes(known.directory if known else None, directory)
    await record(session, name, actor=actor, subject=directory.key, now=now, detail=detail)
    return KeptDirectory(directory, sealed, known.created_at if known else now, now, known.sync if known else None)


async def remove_directory(
    session: Session, key: str, *, accounts: Parting = "release", actor: str, now: datetime
) -> None:
    """Ask it no more, and let its people's accounts go. Raises `NotFound`."""
    if not await store.delete_directory_row(session, key):
        raise NotFound("there is no directory with this key")
    await store.delete_links(session, key)
    count = await part(session, f"ldap:{key}", accounts, actor=actor, now=now)
    detail: JsonObject = {"accounts": accounts, "count": count}
    await record(session, "directory.removed", actor=actor, subject=key, now=now, detail=detail)


def opened_password(vault: Vault, kept: KeptDirectory) -> str:
    """The password of `bind_dn`, for the connection only."""
    if not kept.sealed:
        return ""
    return vault.open(kept.sealed, context=password_context(kept.directory.key)).decode()


def require(kept: KeptDirectory | None) -> KeptDirectory:
    """The directory, or `NotFound`."""
    if kept is None:
        raise NotFound("there is no directory with this key")
    return kept
