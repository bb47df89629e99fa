"""Bulk import in the admin API."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field, JsonValue

from kronborg.accounts.organisations_api import check_right
from kronborg.accounts.settings import Attribute
from kronborg.core import clock
from kronborg.core.api import Body, Shown, WrongPart, caller_of, refusals
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.provisioning.import_people import BATCH, import_people
from kronborg.provisioning.import_reading import Wrong, entry_of

router = APIRouter()


class PeopleToImport(Body):
    """People, with the hashes that their passwords had elsewhere."""

    users: Annotated[list[dict[str, JsonValue]], Field(min_length=1, max_length=BATCH)]
    """Each with the fields of a user and, if there is one, `password_hash`: Argon2, bcrypt, PBKDF2 or scrypt."""
    dry_run: bool = False
    """Check everything and write nothing."""


class WrongUser(Shown):
    """What is wrong with one of them."""

    number: int
    """Its place in `users`, from 1."""
    problems: list[WrongPart]


class Imported(Shown):
    """What came of it. Who is there already, by id or username, stays as they are."""

    made: int
    there: int
    wrong: list[WrongUser]


@router.post("/users/import", tags=["users"], responses=refusals(422, 503))
async def import_users(request: Request, body: PeopleToImport) -> Imported:
    """Make many people at once; those who are wrong are told, and keep no others out."""
    if any(user.get("roles") or user.get("groups") for user in body.users):
        await check_right(request, "users:roles", Resource("user"))
    wrong: list[WrongUser] = []

    def heard(line: Wrong) -> None:
        parts = [WrongPart(where=one.where, detail=one.detail, mend=one.mend) for one in line.problems]
        wrong.append(WrongUser(number=line.line, problems=parts))

    schema: tuple[Attribute, ...] = request.app.state.people.settings.attributes
    report = await import_people(
        parts_of(request).database,
        [entry_of(number, user) for number, user in enumerate(body.users, 1)],
        actor=caller_of(request).actor,
        now=clock.now(),
        schema=schema,
        dry_run=body.dry_run,
        wrong=heard,
    )
    return Imported(made=report.made, there=report.there, wrong=wrong)
