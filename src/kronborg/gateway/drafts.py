"""Drafts: named sets of changes, looked at and judged as a whole, published as one version or discarded.

A draft holds only what it changes, each with what stood there when it was decided. What others publish meanwhile shows
through; where they changed the same object, that is a conflict, and nothing is published until somebody has looked:
`rebase` takes the newest as what the change was decided against.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from kronborg.core.db import ReadSession, Session
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.events import record
from kronborg.gateway.access_model import NamedPolicy
from kronborg.gateway.difference import Difference, difference
from kronborg.gateway.drafts_store import (
    Change,
    Draft,
    Kind,
    Thing,
    delete_draft,
    drop_change,
    find_draft,
    insert_draft,
    list_changes,
    list_drafts,
    put_change,
    touch_draft,
)
from kronborg.gateway.model import Route, Service, Snapshot
from kronborg.gateway.policy_changes import remove_policy, save_policy
from kronborg.gateway.publish import clean_comment, draft, problems_here, publish_declared
from kronborg.gateway.routing import remove_route, remove_service, save_route, save_service
from kronborg.gateway.shared_policies_store import find_policy
from kronborg.gateway.snapshot import digest as digest_of
from kronborg.gateway.snapshot import freeze
from kronborg.gateway.store import find_route, find_service, latest_mark, latest_published
from kronborg.gateway.validate import name_is_valid

MOST_DRAFTS = 100
MOST_CHANGES = 1000
MOVED = "something else was published since this draft was looked at: look at it again"


@dataclass(frozen=True, slots=True)
class Clash:
    """An object that the draft changes and somebody else has changed since: as the draft knew it, and as it is now."""

    kind: Kind
    name: str
    knew: Thing | None
    now: Thing | None


@dataclass(frozen=True, slots=True)
class Looked:
    """A draft beside what is published. `digest` names this draft against this state: publish with it, and what was
    looked at is what is published."""

    draft: Draft
    changes: tuple[Change, ...]
    snapshot: Snapshot
    difference: Difference
    problems: tuple[Problem, ...]
    clashes: tuple[Clash, ...]
    published: int
    digest: str

    @property
    def ready(self) -> bool:
        """Whether it could be published now."""
        return bool(self.difference) and not self.problems and not self.clashes


async def make_draft(session: Session, name: str, *, comment: str = "", actor: str, now: datetime) -> Draft:
    """A new, empty draft. Raises `Invalid`, `Conflict`."""
    if not name_is_valid(name):
        raise Invalid(Problem("name", "the name is not valid", "use a-z, 0-9 and -, at most 63 characters"))
    if await find_draft(session, name) is not None:
        raise Conflict("there is a draft with this name")
    if len(await list_drafts(session)) >= MOST_DRAFTS:
        raise Conflict("there are too many drafts: publish or discard some")
    base, _ = await latest_mark(session)
    made = Draft(name, clean_comment(comment), base, actor, now, now)
    await insert_draft(session, made)
    await record(session, "draft.created", actor=actor, subject=name, now=now, detail={"comment": made.comment})
    return made


async def draft_named(session: ReadSession, name: str) -> Draft:
    """One draft. Raises `NotFound`."""
    found = await find_draft(session, name)
    if found is None:
        raise NotFound("there is no draft with this name")
    return found


async def discard(session: Session, name: str, *, actor: str, now: datetime) -> None:
    """Throw a draft away. Raises `NotFound`."""
    found = await draft_named(session, name)
    await delete_draft(session, name)
    await record(session, "draft.discarded", actor=actor, subject=name, now=now, detail={"changes": found.changes})


async def wish(
    session: Session, name: str, kind: Kind, subject: str, after: Thing | None, *, actor: str, now: datetime
) -> None:
    """Let the draft make, change or (`after` None) remove one object. A wish for what stands already is let go of.

    Raises `NotFound` when there is no such draft, or nothing to remove; `Conflict` when the draft holds too much.
    """
    found = await draft_named(session, name)
    before = await _declared(session, kind, subject)
    if after is None and before is None and not await drop_change(session, name, kind, subject):
        raise NotFound("there is nothing with this name to remove")
    if after == before:
        await drop_change(session, name, kind, subject)
    else:
        if found.changes >= MOST_CHANGES:
            raise Conflict("the draft holds too many changes: publish it, or use a second one")
        await put_change(session, name, Change(kind, subject, after, before, actor, now))
    await touch_draft(session, name, now=now)


async def undo(session: Session, name: str, kind: Kind, subject: str, *, now: datetime) -> None:
    """Let go of what the draft wants of one object. Raises `NotFound`."""
    await draft_named(session, name)
    if not await drop_change(session, name, kind, subject):
        raise NotFound("the draft changes nothing of this name")
    await touch_draft(session, name, now=now)


async def rebase(session: Session, name: str, *, now: datetime) -> None:
    """Take what is declared now as what every change of the draft was decided against. Raises `NotFound`."""
    await draft_named(session, name)
    for change in await list_changes(session, name):
        before = await _declared(session, change.kind, change.name)
        if before == change.after:
            await drop_change(session, name, change.kind, change.name)
        elif before != change.before:
            await put_change(session, name, replace(change, before=before))
    base, _ = await latest_mark(session)
    await touch_draft(session, name, now=now, base=base)


async def look(session: ReadSession, name: str, *, issuer: str, gateway_url: str) -> Looked:
    """The draft beside what is published: what would change, what is wrong with it, what clashes. Raises `NotFound`."""
    found = await draft_named(session, name)
    changes = await list_changes(session, name)
    declared = await draft(session, issuer=issuer, gateway_url=gateway_url)
    wanted = over(declared, changes)
    published = await latest_published(session)
    known: Mapping[tuple[str, str], Thing] = {
        **{("service", one.name): one for one in declared.services},
        **{("route", one.name): one for one in declared.routes},
        **{("policy", one.name): one for one in declared.policies},
    }
    clashes = tuple(
        Clash(change.kind, change.name, change.before, there)
        for change in changes
        if (there := known.get((change.kind, change.name))) not in (change.before, change.after)
    )
    before = declared if published is None else published.snapshot
    differs = difference(Snapshot("") if published is None else before, wanted)
    version, mark = (0, "") if published is None else (published.snapshot.version, published.digest)
    named = hashlib.sha256(f"{mark} {digest_of(freeze(wanted))}".encode()).hexdigest()[:32]
    problems = await problems_here(session, wanted)
    return Looked(found, changes, wanted, differs, problems, clashes, version, named)


def over(declared: Snapshot, changes: Sequence[Change]) -> Snapshot:
    """What is declared, with the changes of a draft made."""
    services = {one.name: one for one in declared.services}
    routes = {one.name: one for one in declared.routes}
    policies = {one.name: one for one in declared.policies}
    for change in changes:
        match change.after:
            case Service() as service:
                services[change.name] = service
            case Route() as route:
                routes[change.name] = route
            case NamedPolicy() as policy:
                policies[change.name] = policy
            case None if change.kind == "service":
                services.pop(change.name, None)
            case None if change.kind == "policy":
                policies.pop(change.name, None)
            case None:
                routes.pop(change.name, None)
    return replace(
        declared,
        services=tuple(services.values()),
        routes=tuple(routes.values()),
        policies=tuple(policies[name] for name in sorted(policies)),
    )


async def publish_draft(
    session: Session,
    name: str,
    *,
    issuer: str,
    gateway_url: str,
    actor: str,
    now: datetime,
    comment: str = "",
    digest: str | None = None,
) -> Snapshot:
    """Make the draft's changes and publish them as one version; the draft is gone then.

    Raises `Invalid` with every reason against it, `Conflict` when others changed the same objects since, or, with
    `digest`, when anything is not as it was looked at.
    """
    looked = await look(session, name, issuer=issuer, gateway_url=gateway_url)
    if digest is not None and digest != looked.digest:
        raise Conflict(MOVED)
    if looked.clashes:
        raise Conflict("others changed the same objects since: look at the draft, then rebase it")
    if looked.problems:
        raise Invalid(*looked.problems)
    await _carry_out(session, looked.changes, actor=actor, now=now)
    published = await publish_declared(
        session,
        issuer=issuer,
        gateway_url=gateway_url,
        author=actor,
        now=now,
        comment=comment or looked.draft.comment or f"Draft {name}",
    )
    await delete_draft(session, name)
    detail = {"version": published.version, "changes": len(looked.changes)}
    await record(session, "draft.published", actor=actor, subject=name, now=now, detail=detail)
    return published


async def _carry_out(session: Session, changes: Sequence[Change], *, actor: str, now: datetime) -> None:
    """Services and shared policies come before the routes that name them, and go after."""
    for change in changes:
        match change.after:
            case Service() as service:
                await save_service(session, service, actor=actor, now=now)
            case Route() as route:
                await save_route(session, route, actor=actor, now=now)
            case NamedPolicy() as policy:
                await save_policy(session, policy, actor=actor, now=now)
            case None if change.kind == "route" and await find_route(session, change.name) is not None:
                await remove_route(session, change.name, actor=actor, now=now)
            case None:
                pass
    for change in changes:
        if change.after is None and change.kind == "service" and await find_service(session, change.name) is not None:
            await remove_service(session, change.name, actor=actor, now=now)
        if change.after is None and change.kind == "policy" and await find_policy(session, change.name) is not None:
            await remove_policy(session, change.name, actor=actor, now=now)


async def _declared(session: ReadSession, kind: Kind, name: str) -> Thing | None:
    if kind == "policy":
        return await find_policy(session, name)
    return await find_service(session, name) if kind == "service" else await find_route(session, name)
