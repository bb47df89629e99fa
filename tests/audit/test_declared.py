"""Webhooks that a file declares, with secrets it refers to."""

from __future__ import annotations

import base64
from datetime import datetime

import pytest

from declare.conftest import CHEAP
from kronborg.audit.webhooks import signs_with
from kronborg.audit.webhooks_store import find_webhook
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Invalid
from kronborg.gateway.declare.apply import Applied, apply
from kronborg.gateway.declare.export import export
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.read import read_text
from kronborg.gateway.declare.secret_sources import Secrets
from kronborg.signin.passwords import Passwords

pytestmark = pytest.mark.anyio

FILE = """
version: 1
webhooks:
  siem:
    url: https://siem.example/hook
    events: [user.*]
    secret: { env: SIEM }
"""


def secret(fill: int) -> str:
    return "whsec_" + base64.b64encode(bytes([fill]) * 32).decode()


@pytest.fixture
def installation(database: Database, vault: Vault) -> Installation:
    return Installation(database, vault, Passwords(CHEAP), "http://localhost:8081", "http://localhost:8080")


async def carry_out(installation: Installation, text: str, now: datetime, **env: str) -> Applied:
    return await apply(installation, read_text(text, name="kronborg.yaml"), Secrets(env), actor="test", now=now)


async def signing(installation: Installation, text: str) -> tuple[bool, int]:
    async with installation.database.read() as session:
        webhook = await find_webhook(session, "siem")
    assert webhook is not None
    return signs_with(installation.vault, webhook, text), len(webhook.secrets)


async def test_a_secret_is_that_of_the_file_and_is_changed_with_an_overlap(
    installation: Installation, now: datetime
) -> None:
    await carry_out(installation, FILE, now, SIEM=secret(1))
    first = await signing(installation, secret(1))
    again = await carry_out(installation, FILE, now, SIEM=secret(1))
    await carry_out(installation, FILE, now, SIEM=secret(2))

    assert first == (True, 1)
    assert again.plan.changes == ()
    assert await signing(installation, secret(2)) == (True, 2)


async def test_without_a_secret_one_is_made_and_stays(installation: Installation, now: datetime) -> None:
    made = await carry_out(installation, FILE, now)
    again = await carry_out(installation, FILE, now)

    assert (len(made.plan.changes), again.plan.changes) == (1, ())
    assert (await signing(installation, secret(1)))[1] == 1


async def test_a_wrong_secret_or_pattern_is_named_in_its_place(installation: Installation, now: datetime) -> None:
    with pytest.raises(Invalid) as short:
        await carry_out(installation, FILE, now, SIEM="short")
    with pytest.raises(Invalid) as pattern:
        await carry_out(installation, FILE.replace("user.*", '"?"'), now, SIEM=secret(1))

    assert "24 to 64 bytes" in short.value.problems[0].detail
    assert "is no name of an event" in pattern.value.problems[0].detail


async def test_it_is_exported_with_a_placeholder_and_removed_with_its_entry(
    installation: Installation, now: datetime
) -> None:
    await carry_out(installation, FILE, now, SIEM=secret(1))
    async with installation.database.read() as session:
        text = await export(session, issuer="http://localhost:8081", gateway_url="http://localhost:8080")
    again = await carry_out(installation, text, now)
    gone = await carry_out(installation, "version: 1\n", now)

    assert "SECRET_SIEM" in text
    assert again.plan.changes == ()
    assert [(change.action, change.kind) for change in gone.plan.changes] == [("delete", "webhook")]
