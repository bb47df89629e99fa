"""Import people, with the hashes their passwords had elsewhere: in batches, each one transaction.

Who is there already, by id or username, is left as they are. So an import that was cut off is simply run again, and a
file that has grown makes only those who are new.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from kronborg.accounts.attributes import checked_attributes
from kronborg.accounts.model import User, folded
from kronborg.accounts.roles import unknown_roles
from kronborg.accounts.settings import Attribute
from kronborg.accounts.store import find_groups_by_names, insert_users
from kronborg.core.db import Database, ReadSession, Session
from kronborg.core.errors import Invalid, Problem
from kronborg.core.events import record
from kronborg.core.ids import new_id
from kronborg.core.whole import whole
from kronborg.provisioning.import_reading import Entry, Line, Wrong
from kronborg.provisioning.import_store import Taken, find_taken, insert_memberships, insert_passwords

BATCH = 500


@dataclass(frozen=True, slots=True)
class Report:
    """How far an import is: lines seen, people made, those there already, and lines that are wrong."""

    lines: int = 0
    made: int = 0
    there: int = 0
    wrong: int = 0


async def import_people(
    database: Database,
    lines: Iterable[Line],
    *,
    actor: str,
    now: datetime,
    schema: Sequence[Attribute] = (),
    dry_run: bool = False,
    wrong: Callable[[Wrong], None] = lambda _line: None,
    progress: Callable[[Report], None] = lambda _report: None,
) -> Report:
    """Make everybody who is not there yet; `wrong` hears of each line that makes nobody, `progress` of each batch.

    With `dry_run` everything is checked and nothing written. Passwords are not: they are somebody else's hashes.
    """
    report = Report()
    for batch in _batches(lines):
        entries = [line for line in batch if isinstance(line, Entry)]
        refused = [line for line in batch if isinstance(line, Wrong)]
        if dry_run:
            async with database.read() as reading:
                people, more = await _checked(reading, entries, schema, now=now)
        else:
            # One after the other: two imports of one file do not make the same person twice.
            async with whole(database) as session:
                people, more = await _checked(session, entries, schema, now=now)
                people = await _made(session, people, actor=actor, now=now)
        refused += more
        for one in sorted(refused, key=lambda one: one.line):
            wrong(one)
        there = len(batch) - len(refused) - len(people)
        report = Report(
            report.lines + len(batch), report.made + len(people), report.there + there, report.wrong + len(refused)
        )
        progress(report)
    return report


@dataclass(frozen=True, slots=True)
class _Person:
    """Somebody to be made, with hash and groups."""

    user: User
    encoded: str | None
    group_ids: tuple[str, ...]


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    remaining = iter(lines)
    while batch := list(islice(remaining, BATCH)):
        yield batch


async def _checked(
    session: ReadSession, entries: Sequence[Entry], schema: Sequence[Attribute], *, now: datetime
) -> tuple[list[_Person], list[Wrong]]:
    """Those who are new and right, and what is wrong with the others. Who is there already is in neither."""
    taken = await find_taken(
        session,
        ids=[entry.id for entry in entries if entry.id],
        usernames=[folded(entry.username) for entry in entries],
        emails=[folded(entry.email) for entry in entries if entry.email],
    )
    groups = await find_groups_by_names(session, sorted({name for entry in entries for name in entry.groups}))
    roles = {role for entry in entries for role in entry.roles}
    undeclared = {role for role in roles if await unknown_roles(session, (role,))} if roles else frozenset()
    people, wrong = [], []
    for entry in entries:
        if entry.id in taken.ids or (not entry.id and folded(entry.username) in taken.usernames):
            continue
        problems = _problems(entry, taken, groups, undeclared)
        try:
            attributes = checked_attributes(schema, {}, entry.attributes, by="admin")
        except Invalid as refusal:
            problems += refusal.problems
        if problems:
            wrong.append(Wrong(entry.line, tuple(problems)))
            continue
        # Within a batch nobody is in the database yet: whoever comes second is there already, as in the next batch.
        taken.add(entry.id, folded(entry.username), folded(entry.email or ""))
        user = replace(_user(entry, now), attributes=attributes)
        people.append(_Person(user, entry.encoded, tuple(groups[folded(name)].id for name in entry.groups)))
    return people, wrong


def _problems(entry: Entry, taken: Taken, groups: Collection[str], undeclared: Collection[str]) -> list[Problem]:
    problems = []
    if folded(entry.username) in taken.usernames:
        problems.append(Problem("username", "another account, with another id, has this username", "give each its own"))
    if entry.email and folded(entry.email) in taken.emails:
        problems.append(Problem("email", "another account has this address", "give each its own, or leave it out"))
    if any(folded(name) not in groups for name in entry.groups):
        problems.append(Problem("groups", "there is no group with this name", "create the group first"))
    if any(role in undeclared for role in entry.roles):
        problems.append(Problem("roles", "a role is not declared", "declare it with its API or client first"))
    return problems


def _user(entry: Entry, now: datetime) -> User:
    verified = now if entry.email_verified and entry.email else None
    return User(
        entry.id or new_id(),
        entry.username,
        entry.email,
        entry.name,
        entry.disabled,
        entry.roles,
        (),
        now,
        now,
        email_verified_at=verified,
        locale=entry.locale,
    )


async def _made(session: Session, people: Sequence[_Person], *, actor: str, now: datetime) -> list[_Person]:
    """Write them; those whose name somebody else has taken meanwhile are there already."""
    if not people:
        return []
    fresh = await insert_users(session, [person.user for person in people])
    made = [person for person in people if person.user.id in fresh]
    hashes = [(person.user.id, person.encoded) for person in made if person.encoded is not None]
    await insert_passwords(session, hashes, now=now)
    await insert_memberships(session, [(person.user.id, group) for person in made for group in person.group_ids])
    detail = {"made": len(made), "with_password": len(hashes)}
    await record(session, "users.imported", actor=actor, subject="users", now=now, detail=detail)
    return made
