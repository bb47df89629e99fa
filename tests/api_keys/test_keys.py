"""API keys and personal access tokens: made, traded, rotated, revoked; what bounds them at each use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from kronborg.accounts.users import delete_user, disable_user
from kronborg.api_keys import keys, store
from kronborg.api_keys.exchange import Uses, exchange_key
from kronborg.api_keys.model import KeyDraft, KeySettings, kind_of
from kronborg.api_keys.personal_data import tokens_about
from kronborg.clients.directory import changed
from kronborg.clients.model import ClientDraft
from kronborg.clients.register import save_client
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Conflict, Invalid, NotFound
from kronborg.tokens import feed, revoke
from kronborg.worker import Outbox
from token_site import CART, CATALOGUE, Site, claims_of, token_site

pytestmark = pytest.mark.anyio

RULES = KeySettings()
DRAFT = KeyDraft("Nightly import", (CATALOGUE,), ("catalogue:read",))


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with token_site(database, vault, now) as opened:
        yield opened


async def trade(
    site: Site, text: str, *, audience: str = CATALOGUE, address: str = "198.51.100.7"
) -> dict[str, object]:
    """What the JWT says that the gateway gets for a key; nothing for one that is refused."""
    found = await exchange_key(site.engine, Uses(), text, audience=audience, address=address, now=site.clock.now)
    return {} if found is None else claims_of(found[0].token)


async def test_a_key_stands_for_its_client_within_its_scopes(site: Site) -> None:
    await site.client("importer")

    made = await keys.make_for_client(site.engine, "importer", DRAFT, RULES, actor="test", now=site.clock.now)

    assert kind_of(made.text) == "api_key"
    claims = await trade(site, made.text)
    assert claims["client_id"] == claims["sub"] == "importer"
    assert (claims["scope"], claims["aud"], claims["jti"]) == ("catalogue:read", CATALOGUE, made.key.id)
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == 60
    assert await trade(site, made.text, audience=CART) == {}


async def test_no_key_is_kept_and_every_change_is_told(site: Site) -> None:
    await site.client("importer")

    made = await keys.make_for_client(site.engine, "importer", DRAFT, RULES, actor="test", now=site.clock.now)

    rows = await site.engine.database.lookup.all("SELECT * FROM api_keys_keys", ())
    assert made.text not in repr(rows)
    assert made.text.encode() not in bytes(rows[0][1])
    told = await site.engine.database.lookup.all(
        "SELECT name, detail FROM core_events WHERE subject = ?", (made.key.id,)
    )
    assert [row[0] for row in told] == ["api_key.created"]
    assert made.text not in repr(told)


async def test_altered_shortened_and_lengthened_keys_are_refused_without_the_database(site: Site) -> None:
    await site.client("importer")
    made = await keys.make_for_client(site.engine, "importer", DRAFT, RULES, actor="test", now=site.clock.now)
    text = made.text

    wrong = [text[:-1], text + "A", text[:-6] + "AAAAAA", text.replace("kro_key_", "kro_pat_"), text[8:], text.upper()]

    assert [kind_of(one) for one in wrong] == [None] * len(wrong)
    assert [await trade(site, one) for one in wrong] == [{}] * len(wrong)


async def test_what_the_client_may_not_any_more_its_key_may_not_either(site: Site) -> None:
    client = await site.client("importer")
    made = await keys.make_for_client(site.engine, "importer", DRAFT, RULES, actor="test", now=site.clock.now)

    async with site.engine.database.write() as session:
        await save_client(session, replace_scopes(client.id, ("cart:read",)), actor="test", now=site.clock.now)
    changed()
    narrowed = await trade(site, made.text)
    async with site.engine.database.write() as session:
        draft = replace(replace_scopes(client.id, ("cart:read",)), disabled=True)
        await save_client(session, draft, actor="test", now=site.clock.now)
    changed()

    assert narrowed["scope"] == ""
    assert await trade(site, made.text) == {}


def replace_scopes(client_id: str, scopes: tuple[str, ...]) -> ClientDraft:
    return ClientDraft(client_id, client_id, grants=("client_credentials",), scopes=scopes)


async def test_a_personal_token_carries_the_roles_of_the_moment_and_falls_with_its_person(site: Site) -> None:
    person = await site.person(roles=("clerk",))
    user_id = person.user.id

    made = await keys.make_for_person(site.engine, user_id, DRAFT, RULES, actor=user_id, now=site.clock.now)
    claims = await trade(site, made.text)
    async with site.engine.database.write() as session:
        await disable_user(session, user_id, actor="test", now=site.clock.now)

    assert (claims["sub"], claims["client_id"], claims["roles"]) == (user_id, f"pat:{user_id}", ["clerk"])
    assert await trade(site, made.text) == {}


@pytest.mark.parametrize("how", ["everything", "password"])
async def test_what_a_person_made_goes_with_all_they_gave_and_with_an_old_password(site: Site, how: str) -> None:
    person, now = await site.person(), site.clock.now
    user_id = person.user.id
    old = await keys.make_for_person(site.engine, user_id, DRAFT, RULES, actor=user_id, now=now)
    site.clock.pass_by(minutes=1)

    if how == "everything":
        await revoke.revoke_grants(site.engine, user_id=user_id, actor="t", reason="theft", now=site.clock.now)
    else:
        await revoke.revoke_offline(
            site.engine, user_id, given_before=site.clock.now, actor="t", reason="password.set", now=site.clock.now
        )
    # What is told late of an earlier moment brings nothing back.
    await revoke.revoke_offline(
        site.engine, user_id, given_before=now - timedelta(days=1), actor="t", reason="password.set", now=now
    )
    site.clock.pass_by(minutes=1)
    fresh = await keys.make_for_person(site.engine, user_id, DRAFT, RULES, actor=user_id, now=site.clock.now)

    listed = await store.list_keys(site.engine.database.lookup, user_id=user_id, limit=10)
    assert await trade(site, old.text) == {} != await trade(site, fresh.text)
    assert [one.id for one in listed] == [fresh.key.id]


async def test_a_revoked_key_is_refused_and_gateways_hear_of_it(site: Site) -> None:
    await site.client("importer")
    made = await keys.make_for_client(site.engine, "importer", DRAFT, RULES, actor="test", now=site.clock.now)

    await keys.revoke(site.engine, made.key.id, actor="test", now=site.clock.now)

    assert await trade(site, made.text) == {}
    page = await feed.read(site.engine.database.lookup, after=0)
    assert [(entry.kind, entry.subject) for entry in page.entries] == [("token", made.key.id)]
    with pytest.raises(NotFound):
        await keys.revoke(site.engine, made.key.id, actor="test", now=site.clock.now)


async def test_all_that_a_client_holds_includes_its_keys(site: Site) -> None:
    await site.client("importer")
    made = await keys.make_for_client(site.engine, "importer", DRAFT, RULES, actor="test", now=site.clock.now)
    site.clock.pass_by(seconds=5)

    await revoke.revoke_client(site.engine, "importer", actor="test", now=site.clock.now)

    assert await trade(site, made.text) == {}


async def test_a_rotated_key_goes_on_for_the_overlap_and_is_rotated_once(site: Site) -> None:
    await site.client("importer")
    old = await keys.make_for_client(site.engine, "importer", DRAFT, RULES, actor="test", now=site.clock.now)
    site.clock.pass_by(days=300)

    outcomes = await asyncio.gather(
        *(keys.rotate(site.engine, old.key.id, RULES, actor="test", now=site.clock.now) for _ in range(4)),
        return_exceptions=True,
    )

    (new,) = [one for one in outcomes if not isinstance(one, BaseException)]
    assert sum(isinstance(one, Conflict) for one in outcomes) == 3
    assert new.key.expires_at == site.clock.now + timedelta(days=365)
    assert (await trade(site, old.text)) != {} != (await trade(site, new.text))
    site.clock.pass_by(days=8)
    assert await trade(site, old.text) == {} != await trade(site, new.text)


@pytest.mark.parametrize(
    ("address", "fits"),
    [("192.0.2.9", True), ("::ffff:192.0.2.9", True), ("192.0.3.9", False), ("2001:db8::1", True), ("", False)],
)
async def test_a_key_bound_to_networks_is_good_from_there_only(site: Site, address: str, fits: bool) -> None:
    await site.client("importer")
    draft = replace(DRAFT, addresses=("192.0.2.0/24", "2001:db8::/32"))
    made = await keys.make_for_client(site.engine, "importer", draft, RULES, actor="test", now=site.clock.now)

    claims = await trade(site, made.text, address=address)

    assert bool(claims) is fits


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"scopes": ("cart:read",)}, "scopes"),
        ({"scopes": ("admin:write",)}, "scopes"),
        ({"audiences": ("https://unknown.example",)}, "audiences"),
        ({"audiences": ("http://localhost:8081/api",)}, "audiences"),
        ({"audiences": ()}, "audiences"),
        ({"lifetime": timedelta(days=366)}, "lifetime"),
        ({"lifetime": timedelta(seconds=1)}, "lifetime"),
        ({"addresses": ("192.0.2.1/24",)}, "addresses"),
        ({"name": " "}, "name"),
        ({"name": "a\u202eb"}, "name"),
    ],
)
async def test_what_cannot_stand_is_refused(site: Site, change: dict[str, Any], where: str) -> None:
    await site.client("importer")

    with pytest.raises(Invalid) as refused:
        await keys.make_for_client(
            site.engine,
            "importer",
            replace(DRAFT, **change),
            RULES,
            actor="test",
            now=site.clock.now,
        )

    assert where in {problem.where for problem in refused.value.problems}


async def test_uses_are_noted_now_and_then(site: Site) -> None:
    await site.client("importer")
    made = await keys.make_for_client(site.engine, "importer", DRAFT, RULES, actor="test", now=site.clock.now)
    uses, database, first = Uses(), site.engine.database, site.clock.now

    for _ in range(3):
        await exchange_key(site.engine, uses, made.text, audience=CATALOGUE, address="::1", now=site.clock.now)
        await uses.flush(database)
        site.clock.pass_by(seconds=25)

    found = await store.find_key(database.lookup, made.key.id)
    assert found is not None
    assert found.last_used_at == first


async def test_people_make_none_where_the_installation_says_so(site: Site) -> None:
    person = await site.person()

    with pytest.raises(Conflict):
        await keys.make_for_person(
            site.engine, person.user.id, DRAFT, KeySettings(personal=False), actor="test", now=site.clock.now
        )


async def test_the_export_of_a_person_lists_their_tokens_and_with_the_person_they_go(site: Site) -> None:
    engine, now = site.engine, site.clock.now
    user_id = (await site.person()).user.id
    made = await keys.make_for_person(engine, user_id, DRAFT, RULES, actor=user_id, now=now)
    ended = await keys.make_for_person(engine, user_id, DRAFT, RULES, actor=user_id, now=now)
    await keys.revoke(engine, ended.key.id, actor=user_id, now=now)

    told = await tokens_about(engine, user_id, now)
    async with engine.database.write() as session:
        await delete_user(session, user_id, actor="test", now=now)
    while await Outbox(engine).turn(now=now):
        pass

    listed = cast("list[dict[str, object]]", told["access_tokens"])
    assert [one["begins_with"] for one in listed] == [made.key.shown]
    assert made.text not in str(told)
    assert [await store.find_key(engine.database.lookup, one.key.id) for one in (made, ended)] == [None, None]
