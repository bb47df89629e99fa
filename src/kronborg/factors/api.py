"""Factors in the admin API: what somebody has, and taking all of it away from somebody who lost it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request

from kronborg.accounts.store import find_user
from kronborg.core import clock
from kronborg.core.api import Shown, caller_of, refusals
from kronborg.core.errors import NotFound
from kronborg.core.parts import parts_of
from kronborg.core.whole import whole
from kronborg.factors.manage import reset_factors
from kronborg.factors.store import count_recovery_codes, list_factors

router = APIRouter(tags=["users"])

Id = Annotated[str, Path(max_length=64, pattern=r"^[0-9A-Za-z._-]+$")]


class ShownFactor(Shown):
    """One factor. `hint` is a number or an address, mostly hidden; the backup flags are those of a passkey."""

    id: str
    kind: Literal["passkey", "totp", "sms", "email"]
    name: str
    hint: str
    backup_eligible: bool
    backed_up: bool
    created_at: datetime
    last_used_at: datetime | None


class ShownFactors(Shown):
    """What somebody can sign in with besides a password."""

    factors: tuple[ShownFactor, ...]
    recovery_codes_left: int


@router.get("/users/{user_id}/factors", responses=refusals(404, 422))
async def read_factors(request: Request, user_id: Id) -> ShownFactors:
    """The factors of a person, and how many recovery codes are unused."""
    async with parts_of(request).database.read() as session:
        if await find_user(session, user_id) is None:
            raise NotFound("there is no such user")
        found = await list_factors(session, user_id)
        left, _ = await count_recovery_codes(session, user_id)
    return ShownFactors(factors=tuple(ShownFactor.model_validate(one) for one in found), recovery_codes_left=left)


@router.delete("/users/{user_id}/factors", status_code=204, responses=refusals(404, 422))
async def drop_factors(request: Request, user_id: Id) -> None:
    """Take every factor, recovery code and remembered browser of a person away.

    The next sign-in is by password alone, and enrols where the policy asks for it.
    """
    async with whole(parts_of(request).database) as session:
        if await find_user(session, user_id) is None:
            raise NotFound("there is no such user")
        await reset_factors(session, user_id, actor=caller_of(request).actor, now=clock.now())
