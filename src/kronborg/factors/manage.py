"""Add, rename and remove factors, and take all of them away from somebody who lost them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from kronborg.accounts.model import clean, printable
from kronborg.core.db import Session
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.events import record
from kronborg.core.languages import N_, Phrase
from kronborg.factors.model import MAX_FACTORS, MAX_NAME, Factor
from kronborg.factors.store import (
    count_factors,
    delete_all_of,
    delete_browsers,
    delete_factor_row,
    kinds_of,
    rename_factor_row,
    replace_recovery_codes,
)


def checked_name(name: str, *, default: str) -> str:
    """A name for a factor, the default for none. Raises `Invalid`."""
    given = clean(name)
    if len(given) > MAX_NAME or not printable(given):
        raise Invalid(
            Problem(
                "name",
                N_("this name cannot be shown"),
                Phrase(N_("use at most %(num)s printable characters"), num=MAX_NAME),
            )
        )
    return given or default


async def add_factor(session: Session, factor: Factor, insert: Callable[[], Awaitable[bool]], *, now: datetime) -> None:
    """Keep a factor that was proved. Raises `Conflict` when it is registered already, `Invalid` for one too many."""
    if await count_factors(session, factor.user_id) >= MAX_FACTORS:
        raise Invalid(Problem("name", N_("there are too many"), N_("remove one that you do not use any more")))
    if not await insert():
        raise Conflict("this passkey is registered already")
    detail = {"kind": factor.kind, "name": factor.name, "factor": factor.id}
    await record(session, "factor.added", actor=factor.user_id, subject=factor.user_id, now=now, detail=detail)


async def rename_factor(
    session: Session, user_id: str, factor_id: str, name: str, *, actor: str, now: datetime
) -> None:
    """Give a factor another name. Raises `NotFound`, `Invalid`."""
    given = checked_name(name, default="")
    if not given:
        raise Invalid(Problem("name", N_("this name is empty"), N_("write one that you will recognise")))
    if not await rename_factor_row(session, user_id, factor_id, given):
        raise NotFound("there is no such factor")
    await record(session, "factor.renamed", actor=actor, subject=user_id, now=now, detail={"factor": factor_id})


async def remove_factor(session: Session, user_id: str, factor_id: str, *, actor: str, now: datetime) -> None:
    """Take a factor away. Remembered browsers are forgotten, and recovery codes with the last. Raises `NotFound`."""
    kind = await delete_factor_row(session, user_id, factor_id)
    if kind is None:
        raise NotFound("there is no such factor")
    # A browser was remembered by a factor that is no more.
    await delete_browsers(session, user_id)
    if not await kinds_of(session, user_id):
        await replace_recovery_codes(session, user_id, (), now=now)
    detail = {"kind": kind, "factor": factor_id}
    await record(session, "factor.removed", actor=actor, subject=user_id, now=now, detail=detail)


async def reset_factors(session: Session, user_id: str, *, actor: str, now: datetime) -> int:
    """Take every factor, recovery code and remembered browser away; how many factors there were.

    For somebody who lost them all: the next sign-in is by password alone, and enrols where the policy asks for it.
    The caller has made sure that there is such a user.
    """
    kinds = await delete_all_of(session, user_id)
    for kind in kinds:
        detail = {"kind": kind, "reason": "reset"}
        await record(session, "factor.removed", actor=actor, subject=user_id, now=now, detail=detail)
    await record(session, "factor.reset", actor=actor, subject=user_id, now=now, detail={"count": len(kinds)})
    return len(kinds)
