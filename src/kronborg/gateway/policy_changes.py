"""Make, change and remove the Cedar policies that routes share. A change holds from the next published version on."""

from __future__ import annotations

from datetime import datetime

from kronborg.core.db import ReadSession, Session
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.events import changes, record
from kronborg.gateway import shared_policies_store as store
from kronborg.gateway.access_model import NamedPolicy
from kronborg.gateway.model import Route
from kronborg.gateway.shared_policies import policy_problems
from kronborg.gateway.store import list_routes

MOST = 200


async def save_policy(session: Session, policy: NamedPolicy, *, actor: str, now: datetime) -> NamedPolicy:
    """Make the policy of this name so. Raises `Invalid`."""
    others = {each.name: each for each in await store.list_policies(session)}
    known = others.pop(policy.name, None)
    problems = list(policy_problems(policy))
    if known is None and len(others) >= MOST:
        problems.append(Problem("name", "there are 200 policies already"))
    if problems:
        raise Invalid(*problems)
    if known == policy:
        return known
    await store.put_policy(session, policy, now=now)
    name = "policy.created" if known is None else "policy.changed"
    await record(session, name, actor=actor, subject=policy.name, now=now, detail=changes(known, policy))
    return policy


async def remove_policy(session: Session, name: str, *, actor: str, now: datetime) -> None:
    """Remove a policy; routes that still name it cannot be published. Raises `NotFound`."""
    before = await store.find_policy(session, name)
    if before is None or not await store.delete_policy(session, name):
        raise NotFound("there is no policy with this name")
    await record(session, "policy.removed", actor=actor, subject=name, now=now, detail=changes(before, None))


async def retire_policy(session: Session, name: str, *, actor: str, now: datetime) -> None:
    """Remove a policy that no route names. Raises `NotFound`, `Conflict`."""
    if await routes_with(session, name):
        raise Conflict("routes need this policy: take it out of them first")
    await remove_policy(session, name, actor=actor, now=now)


async def routes_with(session: ReadSession, name: str) -> tuple[Route, ...]:
    """The routes that name a policy, as they are declared."""
    return tuple(route for route in await list_routes(session, search=f'"{name}"') if name in route.policies)
