"""Groups that stand in one another: what members get, and what cannot be."""

from __future__ import annotations

from datetime import datetime

import pytest

from kronborg.accounts.groups import create_group, delete_group, update_group
from kronborg.accounts.model import MAX_DEPTH
from kronborg.accounts.store import find_group, roles_of
from kronborg.accounts.users import NewUser, create_user
from kronborg.core.db import Database, Session
from kronborg.core.errors import Invalid

pytestmark = pytest.mark.anyio


async def _chain(session: Session, now: datetime, *names: str) -> list[str]:
    made, parent = [], ""
    for name in names:
        group = await create_group(session, name, roles=(f"r-{name}",), parent=parent, actor="test", now=now)
        made.append(group.id)
        parent = name
    return made


async def test_members_of_a_group_have_the_roles_of_all_it_stands_in(database: Database, now: datetime) -> None:
    async with database.write() as session:
        top, _, low = await _chain(session, now, "all", "staff", "guard")
        user = await create_user(session, NewUser("hamlet", groups=("guard",)), actor="test", now=now)

        await update_group(session, top, name="Everyone", roles=("r-new",), actor="test", now=now)
        found = await find_group(session, low)
        roles = await roles_of(session, user.id)

    assert found is not None
    assert (found.lineage, found.parent) == (("guard", "staff", "Everyone"), "staff")
    assert roles == ("r-guard", "r-new", "r-staff")


async def test_a_group_moves_with_all_below_it_and_out_again(database: Database, now: datetime) -> None:
    async with database.write() as session:
        _, staff, low = await _chain(session, now, "all", "staff", "guard")
        await create_group(session, "other", roles=("r-other",), actor="test", now=now)

        await update_group(session, staff, parent="OTHER", actor="test", now=now)
        moved = await find_group(session, low)
        await update_group(session, staff, parent="", actor="test", now=now)
        alone = await find_group(session, low)

    assert moved is not None
    assert moved.effective_roles == ("r-guard", "r-other", "r-staff")
    assert alone is not None
    assert alone.lineage == ("guard", "staff")


async def test_circles_strangers_and_towers_are_refused(database: Database, now: datetime) -> None:
    async with database.write() as session:
        ids = await _chain(session, now, *(f"g{n}" for n in range(MAX_DEPTH)))
        tall = await create_group(session, "tall", actor="test", now=now)
        await create_group(session, "roof", parent="tall", actor="test", now=now)

    for group_id, parent in ((ids[0], "g0"), (ids[0], "g3"), (ids[1], "nobody"), (tall.id, "g8"), (tall.id, "g9")):
        with pytest.raises(Invalid) as refusal:
            async with database.write() as session:
                await update_group(session, group_id, parent=parent, actor="test", now=now)
        assert [problem.where for problem in refusal.value.problems] == ["parent"]


async def test_what_stood_in_a_deleted_group_stands_by_itself(database: Database, now: datetime) -> None:
    async with database.write() as session:
        top, _, low = await _chain(session, now, "all", "staff", "guard")

        await delete_group(session, top, actor="test", now=now)
        left = await find_group(session, low)

    assert left is not None
    assert (left.lineage, left.effective_roles) == (("guard", "staff"), ("r-guard", "r-staff"))
