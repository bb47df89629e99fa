"""Live counters of quotas on the command line."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from cli.shell import Shell
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.limits.counters_model import Kept
from kronborg.limits.store import save


def count(shell: Shell) -> None:
    """Two counters: one at its end, kept by a gateway on its own, and one at half."""

    async def work() -> None:
        database = await Database.open(f"sqlite:///{shell.folder / '.kronborg' / 'kronborg.db'}")
        now = clock.now()
        hour = timedelta(hours=1)
        async with database.write() as session:
            over = Kept("monthly", "gateway-1\tshop-web", now, now + hour, 10, 10)
            half = Kept("monthly", "batch", now, now + hour, 5, 10)
            await save(session, [half, over])
        await database.close()

    asyncio.run(work())


def test_those_nearest_to_their_end_come_first_and_a_reset_lets_one_begin_anew(shell: Shell) -> None:
    count(shell)

    listed = shell.json("quota", "list")
    shell.run("quota", "reset", "monthly", "shop-web", "--node", "gateway-1", "--yes")
    after = shell.json("quota", "list")
    nobody = shell.attempt("quota", "reset", "monthly", "nobody", "--yes")

    assert [(one["who"], one["node"], one["state"], one["used"]) for one in listed] == [
        ("shop-web", "gateway-1", "over", 10),
        ("batch", "", "fine", 5),
    ]
    assert [one["who"] for one in after] == ["batch"]
    assert nobody.returncode != 0
    assert "no such counter" in nobody.stderr


def test_counters_are_found_by_quota_and_by_who(shell: Shell) -> None:
    count(shell)

    assert [one["who"] for one in shell.json("quota", "list", "--who", "ba")] == ["batch"]
    assert shell.json("quota", "list", "--quota", "other") == []
