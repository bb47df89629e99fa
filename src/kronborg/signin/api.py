"""Passwords in the admin API."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import SecretStr, StringConstraints

from kronborg.accounts.store import find_user
from kronborg.core import clock
from kronborg.core.api import Body, caller_of, refusals
from kronborg.core.errors import NotFound
from kronborg.core.parts import part_of, parts_of
from kronborg.core.whole import whole
from kronborg.signin.passwords import Passwords, store_password

router = APIRouter()

Id = Annotated[str, Path(max_length=64, pattern=r"^[0-9A-Za-z._-]+$")]


class PasswordToSet(Body):
    """A new password."""

    password: Annotated[SecretStr, StringConstraints(max_length=4096)]


@router.post("/users/{user_id}/password", status_code=204, tags=["users"], responses=refusals(404, 422, 503))
async def set_user_password(request: Request, user_id: Id, body: PasswordToSet) -> None:
    """Set a person's password; every session of theirs ends."""
    database, passwords = parts_of(request).database, part_of(request, "passwords", Passwords)
    async with database.read() as reading:
        user = await find_user(reading, user_id)
    if user is None:
        raise NotFound("there is no such user")
    password = body.password.get_secret_value()
    await passwords.examine(password, user=user, database=database)
    encoded = await passwords.hash(password)
    async with whole(database) as session:
        if await find_user(session, user_id) is None:
            raise NotFound("there is no such user")
        actor, history = caller_of(request).actor, passwords.settings.history
        await store_password(session, user_id, encoded, actor=actor, now=clock.now(), history=history)
