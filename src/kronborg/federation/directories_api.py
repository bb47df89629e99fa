"""LDAP directories in the admin API. The password of a directory goes in and never comes out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field, SecretStr, StringConstraints

from kronborg.accounts.parting import Parting
from kronborg.core import clock
from kronborg.core.api import Body, Page, Shown, Text, Word, caller_of, check_match, refusals, with_etag
from kronborg.core.errors import Conflict
from kronborg.core.parts import parts_of
from kronborg.core.whole import whole
from kronborg.federation import directory_changes as changes
from kronborg.federation import directory_store as store
from kronborg.federation.directory_model import Directory, KeptDirectory
from kronborg.federation.directory_sync import sync_directory
from kronborg.federation.directory_trial import try_directory

router = APIRouter()

Key = Annotated[str, Path(max_length=63, pattern=r"^[a-z0-9-]+$")]
Long = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Pem = Annotated[str, StringConstraints(max_length=200_000, pattern=r"^[^\x00]*$")]
Password = Annotated[SecretStr, StringConstraints(min_length=1, max_length=500)]


class DirectoryToSave(Body):
    """A directory as it shall be; empty texts mean the usual for its kind."""

    name: Word
    servers: Annotated[tuple[Long, ...], Field(min_length=1, max_length=10)]
    base: Long
    kind: Literal["ldap", "ad"] = "ldap"
    start_tls: bool = True
    ca: Pem = ""
    bind_dn: Long = ""
    bind_password: Password | None = None
    """Missing: the one that is kept stays."""
    bind_as: Text = ""
    filter: Long = ""
    id_attribute: Text = ""
    username_attribute: Text = ""
    email_attribute: Text = "mail"
    name_attribute: Text = ""
    attributes: Annotated[dict[str, Text], Field(max_length=50, default_factory=dict)]
    groups: Annotated[dict[str, Text], Field(max_length=500, default_factory=dict)]
    groups_base: Long = ""
    groups_by: Literal["member_of", "search", "in_chain"] = "member_of"
    nested_groups: bool = True
    trust_email: bool = False
    create: bool = True
    sync_seconds: Annotated[int, Field(ge=60, le=30 * 86400)] | None = None
    """Seconds between two syncs; null for none."""
    connect_seconds: Annotated[float, Field(ge=0.1, le=30)] = 3
    answer_seconds: Annotated[float, Field(ge=0.1, le=30)] = 5
    disabled: bool = False


class ShownSync(Shown):
    """What the last sync did."""

    at: datetime
    seen: int
    created: int
    updated: int
    disabled: int
    skipped: int
    problem: str


class ShownDirectory(Shown):
    """A directory."""

    key: str
    name: str
    servers: tuple[str, ...]
    base: str
    kind: Literal["ldap", "ad"]
    start_tls: bool
    ca: str
    bind_dn: str
    has_bind_password: bool
    bind_as: str
    filter: str
    id_attribute: str
    username_attribute: str
    email_attribute: str
    name_attribute: str
    attributes: dict[str, str]
    groups: dict[str, str]
    groups_base: str
    groups_by: Literal["member_of", "search", "in_chain"]
    nested_groups: bool
    trust_email: bool
    create: bool
    sync_seconds: int | None
    connect_seconds: float
    answer_seconds: float
    disabled: bool
    created_at: datetime
    updated_at: datetime
    sync: ShownSync | None


class ShownServer(Shown):
    """A server of a directory, tried; `problem` is empty when it answered and took `bind_dn`."""

    server: str
    problem: str


class Trial(Shown):
    """Each server, and how many people the search filter finds (at most 100 are looked at)."""

    servers: list[ShownServer]
    people: int
    problem: str


def _shown(kept: KeptDirectory) -> ShownDirectory:
    one = kept.directory
    values = {
        name: getattr(one, name) for name in Directory.__dataclass_fields__ if name in ShownDirectory.model_fields
    }
    return ShownDirectory(
        **{**values, "attributes": dict(one.attributes), "groups": dict(one.groups)},
        has_bind_password=bool(kept.sealed),
        sync_seconds=None if one.sync_every is None else int(one.sync_every.total_seconds()),
        connect_seconds=one.connect_timeout.total_seconds(),
        answer_seconds=one.answer_timeout.total_seconds(),
        created_at=kept.created_at,
        updated_at=kept.updated_at,
        sync=None if kept.sync is None else ShownSync.model_validate(kept.sync),
    )


def _drafted(key: str, body: DirectoryToSave) -> Directory:
    spans = {"bind_password", "sync_seconds", "connect_seconds", "answer_seconds"}
    values = {name: getattr(body, name) for name in DirectoryToSave.model_fields if name not in spans}
    return Directory(
        key=key,
        **values,
        sync_every=None if body.sync_seconds is None else timedelta(seconds=body.sync_seconds),
        connect_timeout=timedelta(seconds=body.connect_seconds),
        answer_timeout=timedelta(seconds=body.answer_seconds),
    )


@router.get("/directories", tags=["directories"])
async def read_directories(request: Request) -> Page[ShownDirectory]:
    """Every directory (there are at most 20)."""
    async with parts_of(request).database.read() as session:
        return Page(items=[_shown(kept) for kept in await store.list_directories(session)], next=None)


@router.get("/directories/{key}", tags=["directories"], responses=refusals(404, 422))
async def read_directory(request: Request, response: Response, key: Key) -> ShownDirectory:
    """One directory."""
    async with parts_of(request).database.read() as session:
        shown = _shown(changes.require(await store.find_directory(session, key)))
    with_etag(response, shown)
    return shown


@router.put("/directories/{key}", tags=["directories"], responses=refusals(412, 422))
async def save_directory(request: Request, response: Response, key: Key, body: DirectoryToSave) -> ShownDirectory:
    """Make or replace a directory. `If-Match` guards against changes made meanwhile."""
    parts, actor = parts_of(request), caller_of(request).actor
    password = None if body.bind_password is None else body.bind_password.get_secret_value()
    async with whole(parts.database) as session:
        before = await store.find_directory(session, key)
        check_match(request, None if before is None else _shown(before))
        kept = await changes.save_directory(
            session, parts.vault, _drafted(key, body), password=password, actor=actor, now=clock.now()
        )
    shown = _shown(kept)
    with_etag(response, shown)
    return shown


@router.delete("/directories/{key}", status_code=204, tags=["directories"], responses=refusals(404, 412, 422))
async def remove_directory(request: Request, key: Key, accounts: Parting = "release") -> None:
    """Ask a directory no more.

    The accounts of its people are released, to be ordinary ones that get a password by a reset; or disabled besides;
    or kept as they are, for a directory that is made again under this key.
    """
    async with whole(parts_of(request).database) as session:
        before = await store.find_directory(session, key)
        check_match(request, None if before is None else _shown(before))
        actor = caller_of(request).actor
        await changes.remove_directory(session, key, accounts=accounts, actor=actor, now=clock.now())


@router.post("/directories/{key}/test", tags=["directories"], responses=refusals(404, 422))
async def test_directory(request: Request, key: Key) -> Trial:
    """Try every server of a directory, and the search."""
    parts = parts_of(request)
    async with parts.database.read() as session:
        kept = changes.require(await store.find_directory(session, key))
    tried = await try_directory(parts.vault, kept)
    servers = [ShownServer(server=server, problem=problem) for server, problem in tried.servers]
    return Trial(servers=servers, people=tried.people, problem=tried.problem)


@router.post("/directories/{key}/sync", tags=["directories"], responses=refusals(404, 409, 422))
async def sync_now(request: Request, key: Key) -> ShownSync:
    """Sync a directory now; the answer comes when it is done."""
    parts = parts_of(request)
    async with parts.database.read() as session:
        if changes.require(await store.find_directory(session, key)).directory.disabled:
            raise Conflict("the directory is disabled")
    done = await sync_directory(parts.database, parts.vault, key, actor=caller_of(request).actor, now=clock.now())
    return ShownSync.model_validate(done)
