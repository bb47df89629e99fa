"""Plan, apply and export on both databases: idempotence, drift, all or nothing, secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

import pytest

from declare.conftest import RICH
from kronborg.accounts.store import find_by_login
from kronborg.accounts.users import NewUser, UserChange, create_user, update_user
from kronborg.clients.register import ensure_admin_api
from kronborg.clients.store import find_client, list_apis
from kronborg.core.db import Database
from kronborg.core.errors import Conflict, Invalid
from kronborg.core.events import latest
from kronborg.gateway.declare.apply import Applied, apply
from kronborg.gateway.declare.export import export
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.plan import Plan, make_plan
from kronborg.gateway.declare.read import read_text
from kronborg.gateway.declare.secret_sources import Secrets
from kronborg.gateway.store import latest_published, list_routes
from kronborg.signin.passwords import set_password, verify_password

pytestmark = pytest.mark.anyio

SECRETS = {"BATCH_SECRET": "b" * 20 + "c" * 20, "ANNA_PASSWORD": "correct horse battery"}


async def carry_out(
    installation: Installation, text: str, now: datetime, *, env: Mapping[str, str] = SECRETS, digest: str | None = None
) -> Applied:
    loaded = read_text(text, name="kronborg.yaml")
    return await apply(installation, loaded, Secrets(env), actor="test", now=now, digest=digest)


async def planned(installation: Installation, text: str, *, env: Mapping[str, str] = SECRETS) -> Plan:
    return (await make_plan(installation, read_text(text, name="kronborg.yaml"), Secrets(env))).plan


@pytest.fixture
def rich() -> str:
    return RICH.read_text(encoding="utf-8")


async def test_a_plan_is_empty_after_its_apply(installation: Installation, rich: str, now: datetime) -> None:
    applied = await carry_out(installation, rich, now)

    again = await planned(installation, rich)

    assert len(applied.plan.changes) == 27
    assert {change.action for change in applied.plan.changes} == {"create"}
    assert (again.changes, again.unmanaged, again.notes) == ((), (), ())
    async with installation.database.read() as session:
        published = await latest_published(session)
    assert published is not None
    assert len(published.snapshot.routes) == 3


async def test_applying_twice_writes_nothing_the_second_time(
    installation: Installation, rich: str, now: datetime
) -> None:
    first = await carry_out(installation, rich, now)
    async with installation.database.read() as session:
        before = (await latest(session))[0].seq

    second = await carry_out(installation, rich, now)

    async with installation.database.read() as session:
        assert (await latest(session))[0].seq == before
    assert (second.snapshot, second.plan.changes) == (first.snapshot, ())


async def test_an_export_is_complete_and_its_plan_empty(installation: Installation, rich: str, now: datetime) -> None:
    await carry_out(installation, rich, now)

    async with installation.database.read() as session:
        text = await export(session, issuer=installation.issuer, gateway_url=installation.gateway_url)
    again = await planned(installation, text, env={})

    assert again.changes == ()
    assert "correct horse" not in text
    assert "bbbb" not in text
    assert re.search(r"secret: \{ ?env: SECRET_SHOP_BATCH ?\} +# set it to change the secret", text)
    loaded, original = read_text(text, name="x").document, read_text(rich, name="y").document
    assert loaded.routes.keys() == original.routes.keys()
    assert loaded.clients["robot"] == original.clients["robot"]
    assert set(loaded.users["anna"].groups) == {'Køkken & "bord"', "customers"}


async def test_an_export_applied_to_an_empty_store_gives_the_same_export(
    installation: Installation, rich: str, now: datetime
) -> None:
    await carry_out(installation, rich, now)
    async with installation.database.read() as session:
        first = await export(session, issuer=installation.issuer, gateway_url=installation.gateway_url)
    await carry_out(installation, "version: 1", now)
    env = {"SECRET_SHOP_BATCH": "b" * 40, "PASSWORD_ANNA": "correct horse battery"}

    await carry_out(installation, first, now, env=env)

    async with installation.database.read() as session:
        assert await export(session, issuer=installation.issuer, gateway_url=installation.gateway_url) == first


async def test_what_vanishes_from_the_file_is_removed_and_what_no_file_made_is_not(
    installation: Installation, rich: str, now: datetime
) -> None:
    await carry_out(installation, rich, now)
    async with installation.database.write() as session:
        await create_user(session, NewUser("carl"), actor="somebody", now=now)
    await ensure_admin_api(installation.database, issuer=installation.issuer, now=now)

    plan = await planned(installation, "version: 1")
    await carry_out(installation, "version: 1", now)

    assert {change.action for change in plan.changes} == {"delete"}
    assert [(one.kind, one.name) for one in plan.unmanaged] == [("user", "carl")]
    async with installation.database.read() as session:
        assert await find_by_login(session, "carl") is not None
        assert await find_by_login(session, "anna") is None
        assert [api.audience for api in await list_apis(session)] == [f"{installation.issuer}/api"]
        assert await list_routes(session) == ()


async def test_a_change_outside_the_file_is_shown_as_drift(
    installation: Installation, rich: str, now: datetime
) -> None:
    await carry_out(installation, rich, now)
    async with installation.database.write() as session:
        anna = await find_by_login(session, "anna")
        assert anna is not None
        await update_user(session, anna.id, UserChange(name="Somebody"), actor="somebody", now=now)

    plan = await planned(installation, rich.replace("roles: [owner]", "roles: [boss]"))

    (change,) = plan.changes
    assert (change.action, change.kind, change.name, change.drift) == ("update", "user", "anna", True)
    assert {(one.name, one.drift) for one in change.fields} == {("name", True), ("roles", False)}


async def test_nothing_is_half_applied_when_the_last_step_fails(
    installation: Installation, rich: str, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_arguments: object, **_named: object) -> None:
        raise Conflict("injected")

    monkeypatch.setattr("kronborg.gateway.declare.apply.publish_declared", refuse)
    with pytest.raises(Conflict, match="injected"):
        await carry_out(installation, rich, now)

    async with installation.database.read() as session:
        assert await latest(session) == []
        assert await list_apis(session) == ()
        assert await find_by_login(session, "anna") is None


async def test_apply_refuses_when_the_store_changed_since_the_plan(
    installation: Installation, rich: str, now: datetime
) -> None:
    plan = await planned(installation, rich)
    async with installation.database.write() as session:
        await create_user(session, NewUser("carl"), actor="somebody", now=now)

    with pytest.raises(Conflict):
        await carry_out(installation, rich, now, digest=plan.digest)
    fresh = await planned(installation, rich)
    await carry_out(installation, rich, now, digest=fresh.digest)

    assert (await planned(installation, rich)).changes == ()


async def test_secrets_are_shown_only_as_changed(installation: Installation, rich: str, now: datetime) -> None:
    await carry_out(installation, rich, now)
    env = {"BATCH_SECRET": "z" * 40, "ANNA_PASSWORD": "another long password"}

    plan = await planned(installation, rich, env=env)
    await carry_out(installation, rich, now, env=env)

    assert [(c.name, [(f.name, f.before, f.after) for f in c.fields]) for c in plan.changes] == [
        ("shop-batch", [("secret", None, "(changed)")]),
        ("anna", [("password", None, "(changed)")]),
    ]
    assert "zzzz" not in repr(plan)
    async with installation.database.read() as session:
        batch = await find_client(session, "shop-batch")
        anna = await find_by_login(session, "anna")
    assert batch is not None
    assert len(batch.secrets) == 1  # the one the file gave before is gone
    assert anna is not None
    passwords, database = installation.passwords, installation.database
    assert await verify_password(database, passwords, anna.id, "another long password")


async def test_a_secret_is_kept_again_when_its_method_needs_it_whole(
    installation: Installation, rich: str, now: datetime
) -> None:
    changed = rich.replace(
        "secret: { env: BATCH_SECRET }", "secret: { env: BATCH_SECRET }\n    auth_method: client_secret_jwt"
    )
    await carry_out(installation, rich, now)

    await carry_out(installation, changed, now)

    assert (await planned(installation, changed)).changes == ()
    async with installation.database.read() as session:
        batch = await find_client(session, "shop-batch")
    assert batch is not None
    assert [secret.sealed is not None for secret in batch.secrets] == [True]


async def test_a_password_the_person_changed_is_not_set_back(
    installation: Installation, rich: str, now: datetime, database: Database
) -> None:
    await carry_out(installation, rich, now)
    async with database.write() as session:
        anna = await find_by_login(session, "anna")
        assert anna is not None
        await set_password(
            session, anna.id, "my very own words", actor="anna", now=now, passwords=installation.passwords
        )

    plan = await planned(installation, rich)
    await carry_out(installation, rich, now)

    assert plan.changes == ()
    assert await verify_password(database, installation.passwords, anna.id, "my very own words")


async def test_a_missing_secret_is_an_error_for_a_new_object_and_a_note_for_an_old_one(
    installation: Installation, rich: str, now: datetime
) -> None:
    with pytest.raises(Invalid) as refused:
        await planned(installation, rich, env={})
    await carry_out(installation, rich, now)

    plan = await planned(installation, rich, env={})

    assert [p.where.split(" ")[1] for p in refused.value.problems] == [
        "clients.shop-batch.secret",
        "users.anna.password",
    ]
    assert plan.changes == ()
    assert len(plan.notes) == 2


async def test_the_events_tell_what_was_applied(installation: Installation, rich: str, now: datetime) -> None:
    await carry_out(installation, rich, now)

    async with installation.database.read() as session:
        events = await latest(session, limit=200)

    names = [event.name for event in events]
    assert names[0] == "config.applied"
    assert {"api.created", "client.created", "user.created", "route.created", "gateway.published"} <= set(names)
    assert {event.actor for event in events} == {"test"}
    assert "correct horse" not in repr(events)
