"""Whole turns of alerts over a real database: what is measured, told, grouped, repeated and silenced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from kronborg.core.brand import Brand
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Invalid, NotFound
from kronborg.core.events import latest, record
from kronborg.core.letters import Letters
from kronborg.core.mail import open_letter
from kronborg.core.mail_store import due_letters
from kronborg.fleet.model import Node, Standing
from kronborg.fleet.store import add_node, record_standing
from kronborg.gateway.alert_model import READY, AlertRule
from kronborg.gateway.alert_rules import remove_rule, save_rule
from kronborg.gateway.breakers_store import Stand, put_stand
from kronborg.gateway.canary_store import CanaryResult, add_result
from kronborg.gateway.watch_model import AlertSettings
from kronborg.traffic.alerts import Turn, end_silence, evaluate, silence
from kronborg.traffic.alerts_store import firing, list_alerts, list_states
from kronborg.traffic.parts import Traffic
from kronborg.traffic.row_model import rows_of
from kronborg.traffic.sqlite_store import SqliteTraffic
from kronborg.traffic.surface_model import Day
from kronborg.traffic.surface_store import put_day
from traffic.lines import NOON, line

pytestmark = pytest.mark.anyio

ERRORS = AlertRule(
    "errors", "errors", 5, title="Many fail", lasting=timedelta(0), calm=timedelta(0), repeat=timedelta(hours=1)
)
OPS = AlertSettings(("ops@shop.example",))
TurnAt = Callable[[datetime], Awaitable[Turn]]


async def only(database: Database, *rules: AlertRule, now: datetime) -> None:
    """Let these rules hold and no other."""
    async with database.write() as session:
        for ready in READY:
            if ready.name not in {rule.name for rule in rules}:
                disabled = AlertRule(ready.name, "errors", 5, disabled=True)
                await save_rule(session, disabled, actor="test", now=now)
        for rule in rules:
            await save_rule(session, rule, actor="test", now=now)


@pytest.fixture
def store(tmp_path: Path) -> SqliteTraffic:
    return SqliteTraffic(tmp_path / "traffic")


@pytest.fixture
def turn_at(database: Database, vault: Vault, store: SqliteTraffic) -> TurnAt:
    letters, traffic = Letters(vault, "https://id.example", Brand()), Traffic(lambda: store)

    async def turn(now: datetime) -> Turn:
        return await evaluate(database, traffic, letters, OPS, now=now)

    return turn


async def letters_of(database: Database, vault: Vault, now: datetime) -> list[str]:
    async with database.read() as session:
        due = await due_letters(session, now=now, limit=50)
    return [open_letter(vault, one.id, one.sealed).text for one in due]


def failing(store: SqliteTraffic, minute: int, share: int) -> None:
    """A hundred requests in a minute after noon, of which so many fail."""
    made = [
        line(minute * 1000 + n, after=timedelta(minutes=minute, milliseconds=n), c=503 if n < share else 200)
        for n in range(100)
    ]
    store.write(rows_of(made, "gateway-1")[0])


async def test_failing_requests_fire_once_are_told_by_letter_and_event_and_are_resolved(
    database: Database, vault: Vault, store: SqliteTraffic, turn_at: TurnAt
) -> None:
    await only(database, ERRORS, now=NOON)
    failing(store, 0, 30)

    first = await turn_at(NOON + timedelta(minutes=1))
    second = await turn_at(NOON + timedelta(minutes=1, seconds=15))
    async with database.read() as session:
        standing = await firing(session)
    failing(store, 6, 0)
    over = await turn_at(NOON + timedelta(minutes=7))
    async with database.read() as session:
        [alert] = await list_alerts(session)
        events = [(one.name, one.subject) for one in await latest(session, limit=2)]
    letters = await letters_of(database, vault, NOON + timedelta(minutes=8))

    assert (len(first.fired), len(second.fired), len(over.resolved)) == (1, 0, 1)
    assert (standing[0].value, standing[0].told) == (30, True)
    assert alert.resolved_at == NOON + timedelta(minutes=7)
    assert events == [("alert.resolved", "errors"), ("alert.fired", "errors")]
    assert len(letters) == 2
    assert "Many fail (30 %, more than 5 %)" in letters[0]
    assert "https://id.example/console/alerts" in letters[0]


async def test_what_goes_on_is_told_again_after_the_repeat_interval_only(
    database: Database, store: SqliteTraffic, turn_at: TurnAt
) -> None:
    await only(database, ERRORS, now=NOON)
    told = []
    for minute in (0, 30, 59, 60, 61):
        failing(store, minute, 50)
        told.append(len((await turn_at(NOON + timedelta(minutes=minute + 1))).fired))

    async with database.read() as session:
        history = await list_alerts(session)

    assert told == [1, 0, 0, 1, 0]
    assert len(history) == 1


async def test_few_requests_are_no_data_and_a_rule_says_what_that_means(
    database: Database, store: SqliteTraffic, turn_at: TurnAt
) -> None:
    quiet = AlertRule("quiet", "errors", 5, lasting=timedelta(0), absence="fires")
    await only(database, ERRORS, quiet, now=NOON)
    store.write(rows_of([line(1, c=503)], "gateway-1")[0])

    turn = await turn_at(NOON + timedelta(minutes=1))

    assert [(rule.name, alert.peak) for rule, alert in turn.fired] == [("quiet", None)]


async def test_a_silence_tells_nobody_and_what_goes_on_after_it_is_told(
    database: Database, vault: Vault, store: SqliteTraffic, turn_at: TurnAt
) -> None:
    await only(database, ERRORS, now=NOON)
    failing(store, 0, 30)
    async with database.write() as session:
        await silence(session, "", reason="a move", until=NOON + timedelta(minutes=3), actor="ada", now=NOON)

    silent = await turn_at(NOON + timedelta(minutes=1))
    async with database.read() as session:
        [quiet] = await firing(session)
    letters = await letters_of(database, vault, NOON + timedelta(minutes=2))
    after = await turn_at(NOON + timedelta(minutes=4))

    assert (silent.fired, quiet.told, letters) == ([], False, [])
    assert len(after.fired) == 1


async def test_what_fires_together_is_one_letter(
    database: Database, vault: Vault, store: SqliteTraffic, turn_at: TurnAt
) -> None:
    breaker = AlertRule("breaker-open", "breaker_open", 0, title="Breaker", lasting=timedelta(0))
    await only(database, ERRORS, breaker, now=NOON)
    failing(store, 0, 30)
    async with database.write() as session:
        for name in ("orders", "stock"):
            await put_stand(session, Stand("gateway-1", name, "open", NOON))

    turn = await turn_at(NOON + timedelta(minutes=1))
    letters = await letters_of(database, vault, NOON + timedelta(minutes=2))

    assert len(turn.fired) == 3
    assert len(letters) == 1
    assert "Breaker: orders (1, more than 0)" in letters[0]


async def test_gateways_revocations_sign_ins_and_the_surface_are_measured(
    database: Database, store: SqliteTraffic, turn_at: TurnAt
) -> None:
    now = {"lasting": timedelta(0)}
    await only(
        database,
        AlertRule("gateway-silent", "gateway_silent", 60, **now),  # type: ignore[arg-type]
        AlertRule("revocation-late", "revocation_lag", 1000, **now),  # type: ignore[arg-type]
        AlertRule("sign-in-failures", "sign_in_failures", 0.5, **now),  # type: ignore[arg-type]
        AlertRule("surface-critical", "surface_critical", 0, **now),  # type: ignore[arg-type]
        AlertRule("surface-drop", "surface_drop", 10, **now),  # type: ignore[arg-type]
        now=NOON,
    )
    async with database.write() as session:
        await add_node(session, Node("gateway-2", "id-2", False, NOON - timedelta(days=1)))
        await record_standing(session, "id-2", Standing(NOON, live=True), now=NOON - timedelta(minutes=5))
        await add_result(session, CanaryResult("gateway-2", NOON, "late", timedelta(seconds=2)), keep_since=NOON)
        for _ in range(5):
            await record(session, "signin.refused", actor="anonymous", subject="x", now=NOON)
        for day, score, critical in (("2026-05-31", 90, 0), ("2026-06-01", 60, 1)):
            known = Day(day, NOON, 1, score, critical, 0, 0, 0)
            await put_day(session, known, shape="x", content=b"", findings=b"")

    turn = await turn_at(NOON + timedelta(minutes=1))

    assert {(rule.name, alert.subject, alert.value) for rule, alert in turn.fired} == {
        ("gateway-silent", "gateway-2", 360),
        ("revocation-late", "gateway-2", 2000),
        ("sign-in-failures", "", 1),
        ("surface-critical", "", 1),
        ("surface-drop", "", 30),
    }


async def test_a_rule_that_is_removed_or_disabled_leaves_nothing_firing(
    database: Database, store: SqliteTraffic, turn_at: TurnAt
) -> None:
    await only(database, ERRORS, now=NOON)
    failing(store, 0, 30)
    await turn_at(NOON + timedelta(minutes=1))
    await only(database, AlertRule("errors", "errors", 5, disabled=True), now=NOON)

    turn = await turn_at(NOON + timedelta(minutes=2))
    async with database.read() as session:
        left = [await firing(session), await list_states(session)]

    assert (turn.resolved, left) == ([], [(), ()])


async def test_silences_and_rules_need_a_reason_an_end_and_a_name(database: Database) -> None:
    async with database.write() as session:
        for reason, until in (("", NOON + timedelta(hours=1)), ("x", NOON), ("x", NOON + timedelta(days=99))):
            with pytest.raises(Invalid):
                await silence(session, "", reason=reason, until=until, actor="ada", now=NOON)
        with pytest.raises(NotFound):
            await silence(session, "nothing", reason="x", until=NOON + timedelta(hours=1), actor="ada", now=NOON)
        with pytest.raises(NotFound):
            await end_silence(session, "nothing", actor="ada", now=NOON)
        with pytest.raises(NotFound):
            await remove_rule(session, "errors", actor="ada", now=NOON)
