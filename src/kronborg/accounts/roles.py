"""Roles that APIs and clients declare, and whether those given to people exist.

A role without a slash is global: every API is told of it. One with a slash belongs to the API or client named before
the slash, is told to nobody else, and is given only if it was declared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kronborg.accounts.model import declared_problems
from kronborg.accounts.roles_store import declared_by, replace_declared
from kronborg.core.db import ReadSession, Session
from kronborg.core.errors import Invalid, Problem


async def declare_roles(session: Session, prefix: str, owner: str, roles: Mapping[str, str]) -> None:
    """Let `owner` (`api:<id>`, `client:<id>`) declare these roles as `<prefix>/<name>`; none when it has no more.

    Raises `Invalid` with what is wrong, also when somebody else has the prefix.
    """
    problems = declared_problems(roles)
    if roles and any(one.owner != owner for one in await declared_by(session, (prefix,))):
        problems.append(Problem("roles", "another API or client declares roles under this name", "choose another name"))
    if problems:
        raise Invalid(*problems)
    await replace_declared(session, prefix, owner, roles)


async def unknown_roles(session: ReadSession, roles: Collection[str], *, had: Collection[str] = ()) -> list[Problem]:
    """What is wrong with roles about to be given, beside those that somebody `had`: each with a slash is declared."""
    new = {role for role in roles if "/" in role} - set(had)
    if not new:
        return []
    known = {one.full for one in await declared_by(session, [role.partition("/")[0] for role in new])}
    if new <= known:
        return []
    mend = "a role with a slash is declared by the API or client named before it"
    return [Problem("roles", "nobody declares such a role", mend)]
