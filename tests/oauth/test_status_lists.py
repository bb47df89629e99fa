"""Token status lists: places in tokens, bits in lists, and how lists are served."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from kronborg.clients.model import ApiDraft, Scope
from kronborg.clients.register import save_api
from kronborg.clients.settings import ApiSettings, ClientSettings
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.jose import parse, unb64, verify
from kronborg.tokens.purge import purge
from kronborg.tokens.revoke import revoke_client, revoke_grants
from kronborg.tokens.status_lists import packed
from kronborg.tokens.status_places import BLOCK, CAPACITY, OPEN_FOR, permuted
from oauth.exchange_flow import GRANT as EXCHANGE
from oauth.exchange_flow import trade
from token_site import ISSUER, Site, claims_of, token_site

pytestmark = pytest.mark.anyio
LISTED = "https://shop.example/listed"
JWT_TYPE = "application/statuslist+jwt"


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with token_site(database, vault, now) as opened:
        async with database.write() as session:
            scopes = (Scope("listed:read", "Read"),)
            draft = ApiDraft(LISTED, "Listed", scopes, settings=ApiSettings(status_list=True))
            await save_api(session, draft, actor="test", now=now)
        await opened.client("batch", scopes=("catalogue:read", "listed:read"))
        await opened.web_client(scopes=("openid", "listed:read"), web_origins=("https://app.example",))
        await opened.client("listed-api", grants=(), scopes=(), audiences=(LISTED,))
        yield opened


async def issue(site: Site, client: str = "batch", scope: str = "listed:read") -> str:
    answer = await site.token(client, grant_type="client_credentials", scope=scope)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def person_token(site: Site, name: str = "hamlet") -> str:
    tokens = await site.tokens(await site.person(name), scopes=("openid", "listed:read"), audiences=(LISTED,))
    return str(tokens["access_token"])


def place(token: str) -> tuple[str, int]:
    reference = claims_of(token)["status"]["status_list"]
    return str(reference["uri"]), int(reference["idx"])


async def fetch(site: Site, uri: str, **headers: str) -> httpx.Response:
    return await site.http.get(uri.removeprefix(ISSUER), headers=headers)


async def status(site: Site, token: str) -> int:
    """What the draft tells a resource server to do, with a list that is fresh."""
    site.clock.pass_by(seconds=2)
    uri, idx = place(token)
    answer = await fetch(site, uri)
    jwt = parse(answer.text)
    verify(jwt, (await site.engine.keys.current(now=site.clock.now)).public, types=("statuslist+jwt",))
    listed: Any = jwt.claims["status_list"]
    assert jwt.claims["sub"] == uri
    assert listed["bits"] == 1
    octets = zlib.decompress(unb64(listed["lst"]))
    assert idx < len(octets) * 8
    return octets[idx >> 3] >> (idx & 7) & 1


async def test_a_token_that_was_traded_falls_with_the_client_it_speaks_for(site: Site) -> None:
    settings = ClientSettings(may_impersonate=True)
    await site.client("listed-api", grants=(EXCHANGE,), audiences=(LISTED,), scopes=("listed:read",), settings=settings)
    traded = await trade(site, await issue(site), "listed-api")
    token = str(traded.json()["access_token"])
    before = await status(site, token)

    await revoke_client(site.engine, "batch", actor="test", now=site.clock.now)

    assert (before, await status(site, token)) == (0, 1)


@pytest.mark.spec("draft-ietf-oauth-status-list §4.1")
def test_the_vector_of_the_draft() -> None:
    # status[0..15] of the example, as places whose bit is set
    invalid = (0, 3, 4, 5, 7, 8, 9, 13, 15)

    assert packed(invalid, capacity=16) == "eNrbuRgAAhcBXQ"


@pytest.mark.spec("draft-ietf-oauth-status-list §6.2")
async def test_a_token_of_such_an_api_names_its_place(site: Site) -> None:
    first, second = await issue(site), await issue(site)

    assert place(first)[0].startswith(f"{ISSUER}/oauth/status-lists/")
    assert place(first)[0] == place(second)[0]
    assert place(first)[1] != place(second)[1]
    assert "status" not in claims_of(await issue(site, scope="catalogue:read"))
    introspected = await site.introspect(first, "listed-api")
    assert introspected["status"] == claims_of(first)["status"]


async def test_only_such_tokens_cost_a_row(site: Site) -> None:
    await issue(site, scope="catalogue:read")
    await issue(site)

    [row] = await site.engine.database.lookup.all("SELECT count(*) FROM tokens_statuses")
    assert row[0] == 1


def test_each_place_is_given_once_and_in_no_order() -> None:
    given = [permuted(number, b"k" * 32) for number in range(CAPACITY)]

    assert sorted(given) == list(range(CAPACITY))
    assert given[:BLOCK] != sorted(given[:BLOCK])
    assert given != [permuted(number, b"l" * 32) for number in range(CAPACITY)]


@pytest.mark.spec("draft-ietf-oauth-status-list §7.1")
async def test_a_revoked_token_is_invalid_and_others_stay_valid(site: Site) -> None:
    revoked, other = await issue(site), await issue(site)

    await site.post("/oauth/revoke", "batch", token=revoked)

    assert (await status(site, revoked), await status(site, other)) == (1, 0)


@pytest.mark.parametrize("what", ["grant", "session", "user", "client"])
async def test_a_revocation_reaches_every_token_it_concerns(site: Site, what: str) -> None:
    token, other = await person_token(site), await person_token(site, "ophelia")
    claims = claims_of(token)
    assert await status(site, token) == 0

    site.clock.pass_by(seconds=1)
    match what:
        case "grant":
            await site.engine.database.writer.run(
                lambda execute: execute("UPDATE tokens_grants SET revoked_at = 1 WHERE id = ?", (claims["gid"],))
            )
            await revoke_client(site.engine, "batch", actor="test", now=site.clock.now)
        case "session":
            await revoke_grants(site.engine, session_id=claims["sid"], actor="test", reason="test", now=site.clock.now)
        case "user":
            await revoke_grants(site.engine, user_id=claims["sub"], actor="test", reason="test", now=site.clock.now)
        case _:
            await revoke_client(site.engine, "web", actor="test", now=site.clock.now)

    assert await status(site, token) == 1
    assert await status(site, other) == (1 if what == "client" else 0)


@pytest.mark.spec("draft-ietf-oauth-status-list §5.1", "draft-ietf-oauth-status-list §8.2")
async def test_how_a_list_is_served(site: Site) -> None:
    uri, _ = place(await issue(site))

    answer = await fetch(site, uri, **{"accept-encoding": "identity"})

    jwt = parse(answer.text)
    assert answer.headers["content-type"] == JWT_TYPE
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert jwt.header["typ"] == "statuslist+jwt"
    now = int(site.clock.now.timestamp())
    assert (jwt.claims["iat"], jwt.claims["exp"], jwt.claims["ttl"]) == (now, now + 3600, 60)
    assert (await fetch(site, uri, **{"if-none-match": answer.headers["etag"]})).status_code == 304


async def test_a_list_with_much_in_it_is_gzipped_for_who_takes_it(site: Site) -> None:
    token = await issue(site)
    uri, _ = place(token)
    list_id = uri.rpartition("/")[2]
    insert = """INSERT INTO tokens_statuses (list_id, idx, jti, client_id, grant_id, issued_at, expires_at)
        VALUES (?, ?, ?, ?, ?, ?, ?)"""

    def fill(execute: Any) -> None:
        taken = place(token)[1]
        for number in range(2000):
            idx = permuted(number, b"k" * 32)
            if idx != taken:
                execute(insert, (list_id, idx, str(number), "other", "no such grant", 1, 1 << 60))

    await site.engine.database.writer.run(fill)

    answer = await fetch(site, uri, **{"accept-encoding": "gzip"})

    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < len(answer.text)
    assert parse(answer.text).claims["sub"] == uri


@pytest.mark.spec("draft-ietf-oauth-status-list §8.1")
async def test_a_browser_app_may_read_it(site: Site) -> None:
    uri, _ = place(await issue(site))

    answer = await fetch(site, uri, origin="https://app.example")

    assert answer.headers["access-control-allow-origin"] == "https://app.example"


@pytest.mark.spec("draft-ietf-oauth-status-list §8.4")
async def test_history_is_not_kept(site: Site) -> None:
    uri, _ = place(await issue(site))

    answer = await fetch(site, f"{uri}?time=1686925000")

    assert answer.status_code == 501


@pytest.mark.spec("draft-ietf-oauth-status-list §9")
async def test_all_lists_are_listed(site: Site) -> None:
    uri, _ = place(await issue(site))

    answer = await site.http.get("/oauth/status-lists")
    metadata = (await site.http.get("/.well-known/oauth-authorization-server")).json()

    assert answer.json() == {"status_lists": [uri]}
    assert metadata["status_list_aggregation_endpoint"] == f"{ISSUER}/oauth/status-lists"


@pytest.mark.parametrize("list_id", ["nothing", "..", "x" * 2000, "a%00b"])
async def test_no_such_list(site: Site, list_id: str) -> None:
    answer = await site.http.get(f"/oauth/status-lists/{list_id}")

    assert answer.status_code in (400, 404)


async def test_a_list_is_closed_after_a_day_and_gone_when_its_last_token_is(site: Site) -> None:
    old, _ = place(await issue(site))
    site.clock.pass_by(seconds=OPEN_FOR.total_seconds())

    new, _ = place(await issue(site))
    site.clock.pass_by(seconds=OPEN_FOR.total_seconds() + 1)
    for _turn in range(2):
        await purge(site.engine, now=site.clock.now)

    assert old != new
    assert (await fetch(site, old)).status_code == 404
    assert (await fetch(site, new)).status_code == 200
    [row] = await site.engine.database.lookup.all("SELECT count(*) FROM tokens_statuses")
    assert row[0] == 0


async def test_two_processes_never_give_the_same_place(site: Site, vault: Vault) -> None:
    from kronborg.tokens.engine import open_engine
    from kronborg.tokens.reference import read_jwt

    other = await open_engine(
        site.engine.database, vault, issuer=ISSUER, session_idle=timedelta(hours=1), now=site.clock.now
    )
    access = await read_jwt(site.engine, await issue(site), now=site.clock.now)
    assert access is not None

    given = []
    for engine in (site.engine, other) * (BLOCK + 2):
        listed = await engine.places.give(engine.database, vault, ISSUER, access, now=site.clock.now)
        given.append(str(listed.claims["status"]))

    assert len(set(given)) == len(given)
