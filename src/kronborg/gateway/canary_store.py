"""Rows of what the canary measured, some of each gateway's newest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast

from sqlalchemy import BigInteger, Column, Table, Text, delete, insert, select

from kronborg.core.db import ReadSession, Session, UtcDateTime, metadata

Outcome = Literal["refused", "late", "not_admitted", "unreachable"]
"""`refused` in time, or `late`: after more than a second or not at all while it was tried. `not_admitted`: the gateway
refused the token before it was revoked. `unreachable`: nobody answered."""

canary_table = Table(
    "gateway_canary",
    metadata,
    Column("proxy", Text, primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("micros", BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """One measurement: how long after its revocation the last worker of a gateway refused a token."""

    proxy: str
    at: datetime
    outcome: Outcome
    took: timedelta


async def add_result(session: Session, result: CanaryResult, *, keep_since: datetime) -> None:
    """A new row; those of this gateway from before `keep_since` go."""
    table = canary_table
    await session.execute(delete(table).where(table.c.proxy == result.proxy, table.c.at < keep_since))
    micros = result.took // timedelta(microseconds=1)
    await session.execute(insert(table).values(proxy=result.proxy, at=result.at, outcome=result.outcome, micros=micros))


async def canary_results(
    session: ReadSession, *, since: datetime, proxy: str | None = None, limit: int = 500
) -> tuple[CanaryResult, ...]:
    """What was measured at all gateways, or at one, since then, the newest first, at most `limit`."""
    table = canary_table
    wanted = select(table).where(table.c.at >= since)
    if proxy is not None:
        wanted = wanted.where(table.c.proxy == proxy)
    rows = await session.execute(wanted.order_by(table.c.at.desc()).limit(limit))
    return tuple(
        CanaryResult(row.proxy, row.at, cast("Outcome", row.outcome), timedelta(microseconds=row.micros))
        for row in rows
    )
