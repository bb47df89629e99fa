"""Teams: make, rename, suspend and remove them, say who pays, and who belongs to them. A team always has an owner."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from kronborg.core.db import Session
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.events import changes, record
from kronborg.core.ids import new_id
from kronborg.teams.model import MOST_APPS, MOST_MEMBERS, MOST_TEAMS, ROLES, App, Customer, Member, Role, Team
from kronborg.teams.store import (
    delete_app,
    delete_member,
    delete_team,
    find_app,
    find_member,
    find_team,
    insert_app,
    insert_team,
    list_apps,
    list_members,
    put_member,
    teams_of,
    update_team,
)

LONGEST_NAME = 80
_LONGEST_LINE = 120
_MOST_LINES = 5
_COUNTRY = re.compile(r"([A-Z]{2})?")
_TAX_ID = re.compile(r"([A-Za-z0-9][A-Za-z0-9 .-]{1,30})?")
_EMAIL = re.compile(r"([^@\s]{1,64}@[^@\s]{1,190})?")


async def create_team(session: Session, name: str, *, owner: str, actor: str, now: datetime) -> Team:
    """A new team with its first owner. Raises `Invalid`, or `Conflict` for who owns many already."""
    name = _name(name)
    owned = [team for team, role in await teams_of(session, owner) if role == "owner"]
    if len(owned) >= MOST_TEAMS:
        raise Conflict("you own as many teams as one person may")
    team = Team(new_id(), name, now, now)
    await insert_team(session, team)
    await put_member(session, Member(team.id, owner, "owner", now))
    await record(session, "team.created", actor=actor, subject=team.id, now=now, detail=changes(None, team))
    return team


async def change_team(
    session: Session,
    team_id: str,
    *,
    actor: str,
    now: datetime,
    name: str | None = None,
    customer: Customer | None = None,
    suspended: bool | None = None,
) -> Team:
    """Change what is said of a team. Raises `NotFound`, `Invalid`."""
    before = await _found(session, team_id)
    problems = () if customer is None else tuple(customer_problems(customer))
    if problems:
        raise Invalid(*problems)
    after = replace(
        before,
        name=before.name if name is None else _name(name),
        customer=before.customer if customer is None else customer,
        suspended=before.suspended if suspended is None else suspended,
    )
    if after == before:
        return before
    after = replace(after, updated_at=now)
    await update_team(session, after)
    told = "team.changed" if after.suspended == before.suspended else _switched(after)
    await record(session, told, actor=actor, subject=team_id, now=now, detail=changes(before, after))
    return after


async def remove_team(session: Session, team_id: str, *, actor: str, now: datetime) -> None:
    """Remove a team without apps. Raises `NotFound`, `Conflict`."""
    before = await _found(session, team_id)
    await delete_team(session, team_id)
    await record(session, "team.removed", actor=actor, subject=team_id, now=now, detail=changes(before, None))


async def set_role(session: Session, team_id: str, user_id: str, role: Role, *, actor: str, now: datetime) -> Member:
    """Take a person in, or give them another role. Raises `NotFound`, `Conflict` for the last owner, `Invalid`."""
    await _found(session, team_id)
    if role not in ROLES:
        raise Invalid(Problem("role", "there is no such role"))
    before = await find_member(session, team_id, user_id)
    if before is not None and before.role == role:
        return before
    if before is None and len(await list_members(session, team_id)) >= MOST_MEMBERS:
        raise Conflict("the team has as many members as it may")
    if role != "owner":
        await _keep_an_owner(session, team_id, user_id)
    member = Member(team_id, user_id, role, now if before is None else before.since)
    await put_member(session, member)
    detail = changes(before, member, but=("team_id",))
    await record(session, "team.member_changed", actor=actor, subject=team_id, now=now, detail=detail)
    return member


async def remove_member(session: Session, team_id: str, user_id: str, *, actor: str, now: datetime) -> None:
    """A person leaves. Raises `NotFound`, `Conflict` for the last owner."""
    before = await find_member(session, team_id, user_id)
    if before is None:
        raise NotFound("this person is not in the team")
    await _keep_an_owner(session, team_id, user_id)
    await delete_member(session, team_id, user_id)
    detail = changes(before, None, but=("team_id",))
    await record(session, "team.member_removed", actor=actor, subject=team_id, now=now, detail=detail)


async def adopt_app(session: Session, team_id: str, client_id: str, *, actor: str, now: datetime) -> App:
    """A client becomes an app of a team. Raises `NotFound`, `Conflict`."""
    team = await _found(session, team_id)
    if team.suspended:
        raise Conflict("the team is suspended")
    if len(await list_apps(session, team_id)) >= MOST_APPS:
        raise Conflict("the team has as many apps as it may")
    app = App(client_id, team_id, now, actor)
    await insert_app(session, app)
    await record(session, "team.app_added", actor=actor, subject=team_id, now=now, detail={"client": client_id})
    return app


async def release_app(session: Session, client_id: str, *, actor: str, now: datetime) -> None:
    """A client is no team's app any more. Raises `NotFound`."""
    app = await find_app(session, client_id)
    if app is None:
        raise NotFound("there is no such app")
    await delete_app(session, client_id)
    await record(session, "team.app_removed", actor=actor, subject=app.team_id, now=now, detail={"client": client_id})


def customer_problems(customer: Customer) -> Iterator[Problem]:
    """What is wrong with whom invoices are made out to."""
    if len(customer.address) > _MOST_LINES:
        yield Problem("address", f"has more than {_MOST_LINES} lines")
    for where, text in (("name", customer.name), *(("address", line) for line in customer.address)):
        if len(text) > _LONGEST_LINE or not text.isprintable():
            yield Problem(where, f"is longer than {_LONGEST_LINE} characters, or holds control characters")
    if _COUNTRY.fullmatch(customer.country) is None:
        yield Problem("country", "is no country; write two letters such as DK")
    if _TAX_ID.fullmatch(customer.tax_id) is None:
        yield Problem("tax_id", "is no tax number; write letters and digits")
    if _EMAIL.fullmatch(customer.email) is None or not customer.email.isprintable():
        yield Problem("email", "is no e-mail address")


async def _found(session: Session, team_id: str) -> Team:
    team = await find_team(session, team_id)
    if team is None:
        raise NotFound("there is no such team")
    return team


async def _keep_an_owner(session: Session, team_id: str, user_id: str) -> None:
    owners = [member.user_id for member in await list_members(session, team_id) if member.role == "owner"]
    if owners == [user_id]:
        raise Conflict("the team needs an owner; make somebody else one first")


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise Invalid(Problem("name", f"is empty, longer than {LONGEST_NAME} characters, or holds control characters"))
    return name


def _switched(team: Team) -> str:
    return "team.suspended" if team.suspended else "team.resumed"
