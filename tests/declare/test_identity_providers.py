"""Identity providers in `kronborg.yaml`: plan, apply, secrets by reference, export, removal, places of mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pytest

from kronborg.core.errors import Invalid
from kronborg.federation.client_secrets import open_secret
from kronborg.federation.model import Provider
from kronborg.federation.providers_store import find_provider
from kronborg.gateway.declare.apply import apply
from kronborg.gateway.declare.export import export
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.plan import Plan, make_plan
from kronborg.gateway.declare.read import read_text
from kronborg.gateway.declare.secret_sources import Secrets

pytestmark = pytest.mark.anyio

FILE = """\
version: 1
groups:
  staff: {}
identity_providers:
  corp:
    kind: oidc
    name: Corp
    issuer: https://login.corp.example
    client_id: kronborg
    secret: { env: CORP_SECRET }
    home_domains: [corp.example]
    trust_email: true
    trusted_domains: [corp.example]
    groups: { /employees: staff }
  github:
    kind: oauth2
    preset: github
    name: GitHub
    client_id: other
    enabled: false
"""
ENV = {"CORP_SECRET": "the first secret"}


async def carry_out(installation: Installation, text: str, now: datetime, env: Mapping[str, str] = ENV) -> Plan:
    loaded = read_text(text, name="kronborg.yaml")
    return (await apply(installation, loaded, Secrets(env), actor="test", now=now)).plan


async def planned(installation: Installation, text: str, env: Mapping[str, str] = ENV) -> Plan:
    return (await make_plan(installation, read_text(text, name="kronborg.yaml"), Secrets(env))).plan


async def stored(installation: Installation, key: str) -> Provider | None:
    async with installation.database.read() as session:
        return await find_provider(session, key)


async def test_what_a_file_declares_is_made_and_planned_no_more(installation: Installation, now: datetime) -> None:
    made = await carry_out(installation, FILE, now)

    again = await planned(installation, FILE)

    corp, github = await stored(installation, "corp"), await stored(installation, "github")
    assert [change.action for change in made.changes] == ["create"] * 3
    assert again.changes == ()
    assert corp is not None
    assert github is not None
    assert open_secret(installation.vault, corp) == ENV["CORP_SECRET"]
    assert dict(corp.settings.groups) == {"/employees": "staff"}
    assert (github.settings.enabled, github.secret) == (False, None)


async def test_another_secret_is_told_as_changed_and_never_shown(installation: Installation, now: datetime) -> None:
    await carry_out(installation, FILE, now)

    plan = await planned(installation, FILE, {"CORP_SECRET": "the second secret"})
    await carry_out(installation, FILE, now, {"CORP_SECRET": "the second secret"})
    kept = await planned(installation, FILE, {})

    [change] = plan.changes
    assert [(field.name, field.after) for field in change.fields] == [("secret", "(changed)")]
    corp = await stored(installation, "corp")
    assert corp is not None
    assert open_secret(installation.vault, corp) == "the second secret"
    assert (kept.changes, len(kept.notes)) == ((), 1)


async def test_an_export_has_an_empty_plan_and_no_secret(installation: Installation, now: datetime) -> None:
    await carry_out(installation, FILE, now)

    async with installation.database.read() as session:
        text = await export(session, issuer=installation.issuer, gateway_url=installation.gateway_url)

    assert "identity_providers:" in text
    assert "SECRET_CORP" in text
    assert "the first secret" not in text
    assert (await planned(installation, text, {})).changes == ()


async def test_what_vanishes_is_removed(installation: Installation, now: datetime) -> None:
    await carry_out(installation, FILE, now)

    plan = await carry_out(installation, FILE[: FILE.index("  github:")], now)

    assert [(change.action, change.name) for change in plan.changes] == [("delete", "github")]
    assert await stored(installation, "github") is None


async def test_a_mistake_is_told_with_its_place(installation: Installation) -> None:
    wrong = FILE.replace("https://login.corp.example", "http://login.corp.example")

    with pytest.raises(Invalid) as refused:
        await planned(installation, wrong)

    [problem] = refused.value.problems
    assert problem.where.startswith("kronborg.yaml:8")
