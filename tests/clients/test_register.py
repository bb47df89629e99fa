"""What may be registered, and what a change does to those who look things up."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from kronborg.clients import store
from kronborg.clients.directory import FRESH, Directory, changed
from kronborg.clients.model import ApiDraft, ClientDraft, Scope
from kronborg.clients.redirects import audience_problem, origin_problem, redirect_problem
from kronborg.clients.register import (
    add_secret,
    ensure_admin_api,
    remove_api,
    remove_client,
    remove_secret,
    save_api,
    save_client,
    set_disabled,
)
from kronborg.core import events
from kronborg.core.crypto import Vault
from kronborg.core.db import Database, Session
from kronborg.core.errors import Conflict, Invalid, NotFound

SHOP = ApiDraft("https://shop.example/cart", "Cart", (Scope("cart:read", "See"), Scope("cart:write", "Change")))
WEB = ClientDraft(
    "web",
    "Web",
    kind="public",
    auth_method="none",
    redirect_uris=("https://app.example/callback",),
    grants=("authorization_code",),
    scopes=("openid", "cart:read"),
)
pytestmark = pytest.mark.anyio


@pytest.fixture
async def session(database: Database, now: datetime) -> AsyncIterator[Session]:
    async with database.write() as opened:
        await save_api(opened, SHOP, actor="test", now=now)
        yield opened


@pytest.mark.spec("RFC 6749 §3.1.2")
@pytest.mark.spec("RFC 8252 §7")
@pytest.mark.parametrize(
    ("uri", "public", "good"),
    [
        ("https://app.example/cb", False, True),
        ("https://app.example:8443/cb?x=1", False, True),
        ("http://localhost:8080/shop/callback", True, True),
        ("http://127.0.0.1/cb", True, True),
        ("http://[::1]:9/cb", True, True),
        ("com.example.app:/cb", True, True),
        ("com.example.app:/cb", False, False),
        ("com.example.app://host/cb", True, False),
        ("myapp:/cb", True, False),
        ("http://app.example/cb", False, False),
        ("http://localhost.evil.example/cb", False, False),
        ("https://app.example/cb#fragment", False, False),
        ("https://app.example/cb#", False, False),
        ("https://user:pw@app.example/cb", False, False),
        ("https://app.example/../cb", False, False),
        ("https://app.example/%2e%2e/cb", False, False),
        ("https://APP.example/cb", False, False),
        ("https://*.example/cb", False, False),
        ("https://app.example:99999/cb", False, False),
        ("https:///cb", False, False),
        ("https://app.example/c b", False, False),
        ("https://app.example/cb\n", False, False),
        ("https://äpp.example/cb", False, False),
        ("//app.example/cb", False, False),
        ("/cb", False, False),
        ("javascript:alert(1)", True, False),
        ("data:text/html,x", True, False),
        ("", True, False),
        ("https://app.example/" + "a" * 2000, False, False),
    ],
)
def test_redirect_uris(uri: str, public: bool, good: bool) -> None:
    assert (redirect_problem(uri, public=public) is None) is good


@given(st.text(max_size=80), st.booleans())
def test_any_text_is_a_redirect_uri_or_has_a_problem(uri: str, public: bool) -> None:
    if redirect_problem(uri, public=public) is None:
        assert uri.isascii()
        assert "#" not in uri
        assert ":" in uri


@pytest.mark.parametrize(
    ("origin", "good"),
    [
        ("https://app.example", True),
        ("http://localhost:8080", True),
        ("https://app.example/", False),
        ("https://app.example?x", False),
        ("null", False),
        ("*", False),
        ("http://app.example", False),
    ],
)
def test_web_origins(origin: str, good: bool) -> None:
    assert (origin_problem(origin) is None) is good


@pytest.mark.spec("RFC 8707 §2")
@pytest.mark.parametrize(
    ("audience", "good"),
    [("https://shop.example/cart", True), ("urn:shop:cart", True), ("cart", False), ("https://a.example/#x", False)],
)
def test_audiences(audience: str, good: bool) -> None:
    assert (audience_problem(audience) is None) is good


def places(error: pytest.ExceptionInfo[Invalid]) -> list[str]:
    return [problem.where for problem in error.value.problems]


async def test_every_problem_of_a_client_is_named_at_once(session: Session, now: datetime) -> None:
    draft = ClientDraft(
        "a",
        "",
        kind="secret",
        auth_method="password",
        redirect_uris=("http://app.example/",),
        web_origins=("app",),
        grants=("telepathy",),
        scopes=("cart:fly",),
        audiences=("https://nowhere.example/",),
        jwks={"keys": []},
    )

    with pytest.raises(Invalid) as error:
        await save_client(session, draft, actor="test", now=now)

    assert places(error) == [
        "id",
        "name",
        "kind",
        "auth_method",
        "jwks",
        "grants[0]",
        "redirect_uris[0]",
        "web_origins[0]",
        "scopes[0]",
        "audiences[0]",
    ]
    assert await store.find_client(session, "a") is None


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"auth_method": "client_secret_basic"}, "auth_method"),
        ({"kind": "confidential"}, "auth_method"),
        ({"grants": ("client_credentials",)}, "grants"),
        ({"grants": ("refresh_token",)}, "grants"),
        ({"redirect_uris": ()}, "redirect_uris"),
        ({"redirect_uris": tuple(f"https://app.example/{n}" for n in range(21))}, "redirect_uris"),
        ({"id": "0197f9f2-0000-7000-8000-000000000000"}, "id"),
        ({"name": "Evil\u202ename"}, "name"),
        ({"scopes": ("openid", "openid")}, "scopes[1]"),
    ],
)
async def test_one_mistake_is_one_problem(session: Session, now: datetime, change: dict[str, Any], where: str) -> None:
    with pytest.raises(Invalid) as error:
        await save_client(session, replace(WEB, **change), actor="test", now=now)

    assert places(error) == [where]


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "AAAA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "EC"},
        {},
        "text",
    ],
)
async def test_only_good_public_keys_are_registered(session: Session, now: datetime, jwk: Any) -> None:
    draft = ClientDraft("signer", "Signer", auth_method="private_key_jwt", jwks={"keys": [jwk]})
    good = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"})
    leaked = replace(draft, jwks={"keys": [good.as_dict(private=True)]})
    public = {"keys": [good.as_dict(private=False)]}

    with pytest.raises(Invalid) as error:
        await save_client(session, draft, actor="test", now=now)
    with pytest.raises(Invalid) as private:
        await save_client(session, leaked, actor="test", now=now)
    saved = await save_client(session, replace(draft, jwks=public), actor="test", now=now)

    assert (places(error), places(private)) == (["jwks"], ["jwks"])
    assert saved.jwks is not None


async def test_scopes_are_unique_over_all_apis(session: Session, now: datetime) -> None:
    taken = ApiDraft("https://other.example/", "Other", (Scope("cart:read", ""), Scope("openid", ""), Scope("X", "")))

    with pytest.raises(Invalid) as error:
        await save_api(session, taken, actor="test", now=now)

    assert places(error) == ["scopes[0]", "scopes[1]", "scopes[2]"]


async def test_saving_the_same_again_changes_nothing_and_says_nothing(session: Session, now: datetime) -> None:
    client = await save_client(session, WEB, actor="test", now=now)
    later = now + timedelta(days=1)

    again = await save_client(session, WEB, actor="test", now=later)
    api = await save_api(session, SHOP, actor="test", now=later)
    other = await save_client(session, replace(WEB, name="Other"), actor="test", now=later)

    assert again == client
    assert api.updated_at == now
    assert (other.created_at, other.updated_at) == (now, later)
    names = [event.name for event in await events.latest(session)]
    assert names == ["client.changed", "client.created", "api.created"]


async def test_secrets_are_kept_by_digest_and_are_five_at_most(session: Session, vault: Vault, now: datetime) -> None:
    await save_client(session, ClientDraft("batch", "Batch"), actor="test", now=now)
    made = [await add_secret(session, vault, "batch", actor="test", now=now) for _ in range(5)]

    with pytest.raises(Conflict):
        await add_secret(session, vault, "batch", actor="test", now=now)
    await remove_secret(session, "batch", made[0].id, actor="test", now=now)
    with pytest.raises(NotFound):
        await remove_secret(session, "batch", made[0].id, actor="test", now=now)
    with pytest.raises(Invalid):
        await add_secret(session, vault, "batch", actor="test", now=now, secret="short")

    client = await store.find_client(session, "batch")
    assert client is not None
    assert len({new.secret for new in made}) == 5
    assert all(new.secret.startswith("kro_cs_") for new in made)
    assert len(client.secrets) == 4
    assert not any(new.secret.encode() in secret.digest for new in made for secret in client.secrets)


async def test_a_given_secret_is_added_once(session: Session, vault: Vault, now: datetime) -> None:
    await save_client(session, ClientDraft("batch", "Batch"), actor="test", now=now)
    given = "a secret from somewhere else, long enough"

    first = await add_secret(session, vault, "batch", actor="test", now=now, secret=given)
    second = await add_secret(session, vault, "batch", actor="test", now=now, secret=given)

    assert first.id == second.id


async def test_a_client_that_stops_using_secrets_loses_them(session: Session, vault: Vault, now: datetime) -> None:
    await save_client(session, ClientDraft("web", "Web"), actor="test", now=now)
    await add_secret(session, vault, "web", actor="test", now=now)

    await save_client(session, WEB, actor="test", now=now)

    client = await store.find_client(session, "web")
    assert client is not None
    assert client.secrets == ()
    with pytest.raises(Conflict):
        await add_secret(session, vault, "web", actor="test", now=now)


async def test_clients_are_listed_in_pages_and_found_by_part_of_a_name(session: Session, now: datetime) -> None:
    for name in ("alpha", "beta", "be_ta", "gamma"):
        await save_client(session, ClientDraft(name, f"The {name.title()} app"), actor="test", now=now)

    first = await store.list_clients(session, limit=2)
    rest = await store.list_clients(session, after=first[-1].id)
    found = await store.list_clients(session, search="be_")
    by_name = await store.list_clients(session, search="GAMMA APP")

    assert [client.id for client in (*first, *rest)] == ["alpha", "be_ta", "beta", "gamma"]
    assert [client.id for client in found] == ["be_ta"]
    assert [client.id for client in by_name] == ["gamma"]


async def test_removing_what_is_not_there_is_not_found(session: Session, now: datetime) -> None:
    with pytest.raises(NotFound):
        await remove_client(session, "nobody", actor="test", now=now)
    with pytest.raises(NotFound):
        await set_disabled(session, "nobody", disabled=True, actor="test", now=now)
    with pytest.raises(NotFound):
        await remove_api(session, "https://nowhere.example/", actor="test", now=now)


async def test_a_directory_sees_a_change_of_its_own_process_at_once(database: Database, now: datetime) -> None:
    directory = Directory(database)
    async with database.write() as session:
        await save_api(session, SHOP, actor="test", now=now)
        await save_client(session, WEB, actor="test", now=now)
    before = await directory.client("web", now=now)

    async with database.write() as session:
        await set_disabled(session, "web", disabled=True, actor="test", now=now)
        during = await directory.client("web", now=now)
    after = await directory.client("web", now=now)
    async with database.write() as session:
        await remove_client(session, "web", actor="test", now=now)
        await remove_api(session, SHOP.audience, actor="test", now=now)

    assert [client and client.disabled for client in (before, during, after)] == [False, False, True]
    assert await directory.client("web", now=now) is None
    assert (await directory.apis(now=now)).by_scope == {}


async def test_a_directory_sees_a_change_of_another_process_within_a_second(database: Database, now: datetime) -> None:
    directory = Directory(database)
    async with database.write() as session:
        await save_api(session, SHOP, actor="test", now=now)
        client = await save_client(session, WEB, actor="test", now=now)
    await directory.client("web", now=now)
    async with database.write() as session:  # what another process does: no call of `changed` here
        await store.replace_client(session, replace(client, disabled=True))

    stale = await directory.client("web", now=now)
    fresh = await directory.client("web", now=now + FRESH)

    assert [client and client.disabled for client in (stale, fresh)] == [False, True]
    assert timedelta(seconds=1) > FRESH
    changed()


async def test_the_admin_api_is_made_once(database: Database, now: datetime) -> None:
    await ensure_admin_api(database, issuer="http://localhost:8081", now=now)
    await ensure_admin_api(database, issuer="http://localhost:8081", now=now)

    async with database.read() as session:
        apis = await store.list_apis(session)
    assert [(api.audience, api.scope_names) for api in apis] == [
        ("http://localhost:8081/api", ("admin:read", "admin:write", "revocations:read", "services:register"))
    ]


async def test_switching_off_by_a_changed_registration_is_told_like_any_other(session: Session, now: datetime) -> None:
    for disabled in (False, True, True, False):
        await save_client(session, replace(WEB, disabled=disabled), actor="test", now=now)

    told = [event.name for event in await events.latest(session) if event.subject == "web"]
    assert told == ["client.enabled", "client.changed", "client.disabled", "client.changed", "client.created"]
