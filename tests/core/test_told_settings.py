"""Settings live in a file: the audit log tells how they changed between two starts, and no secret."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from kronborg.config import Settings
from kronborg.core.db import Database
from kronborg.core.events import latest
from kronborg.core.json import JsonObject
from kronborg.core.told_settings import shown_settings, tell_settings
from kronborg.factors.model import FactorSettings, SmsSettings
from kronborg.signin.model import SignInSettings

pytestmark = pytest.mark.anyio

BEFORE = Settings(
    issuer="https://id.example",
    database="postgresql://kronborg:hunter2@db.example:5432/kronborg?sslpassword=hunter3",
    master_key="hunter4",
    sign_in=SignInSettings(factors=FactorSettings(sms=SmsSettings(webhook="https://sms.example/send?token=hunter5"))),
)


async def told(database: Database) -> list[JsonObject]:
    async with database.read() as session:
        return [event.detail for event in await latest(session) if event.name == "settings.changed"]


async def test_other_settings_than_at_the_last_start_are_told(database: Database, now: datetime) -> None:
    after = replace(
        BEFORE,
        session_idle=timedelta(hours=1),
        sign_in=replace(BEFORE.sign_in, factors=replace(BEFORE.sign_in.factors, policy="required")),
    )

    for settings in (BEFORE, BEFORE, after, after):
        await tell_settings(database, settings, now=now)

    assert await told(database) == [
        {"changed": {"session_idle": [43200.0, 3600.0], "sign_in.factors.policy": ["optional", "required"]}}
    ]


async def test_no_secret_is_kept_or_told(database: Database, now: datetime) -> None:
    await tell_settings(database, BEFORE, now=now)
    await tell_settings(database, replace(BEFORE, database="", master_key="hunter6"), now=now)

    kept = await database.lookup.all("SELECT told FROM core_last_settings")
    events = await told(database)

    assert "hunter" not in repr([kept, events])
    assert events == [{"changed": {"database": ["postgresql://db.example:5432/kronborg", ""]}}]


def test_every_setting_is_shown() -> None:
    shown = shown_settings(BEFORE)

    assert shown["sign_in.factors.sms.webhook"] == "https://sms.example/send"
    assert shown["identity.port"] == 8081
    assert "(not shown)" not in shown.values()
