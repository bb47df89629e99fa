"""Sign-in and sign-out over HTTP."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.accounts.users import disable_user
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.events import latest
from kronborg.sessions.life import end_all_sessions, purge_sessions
from kronborg.sessions.tickets import Ticket, local_path
from kronborg.sessions.visits import sign_in_url, visit
from people_site import PASSWORD, PeopleSite, hidden, people_site

pytestmark = pytest.mark.anyio


async def test_the_right_password_leads_to_the_account_by_a_cookie_scripts_cannot_read(site: PeopleSite) -> None:
    await site.person("hamlet")
    visitor = site.visitor()

    answer = await visitor.sign_in("Hamlet")

    cookies = answer.headers.get_list("set-cookie")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert all("HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie for cookie in cookies)
    assert [cookie.split("=")[0] for cookie in cookies] == ["kronborg_session", "kronborg_device"]
    assert (await visitor.get("/account")).status_code == 200


async def test_with_https_the_cookies_are_secure_and_bound_to_the_host(database: Database, vault: Vault) -> None:
    async with people_site(database, vault, issuer="https://id.example") as site:
        await site.person("hamlet")

        answer = await site.visitor().sign_in("hamlet")

        cookies = answer.headers.get_list("set-cookie")
        assert len(cookies) == 2
        assert all(cookie.startswith("__Host-kronborg_") and "Secure" in cookie for cookie in cookies)
        assert all("Domain" not in cookie for cookie in cookies)


async def test_unknown_wrong_and_disabled_are_one_answer(site: PeopleSite) -> None:
    await site.person("hamlet")
    await site.person("ghost", disabled=True)
    answers = []

    for name, password in (("hamlet", "wrong password"), ("nobody", PASSWORD), ("ghost", PASSWORD)):
        answer = await site.visitor().sign_in(name, password)
        fields = hidden(answer.text)
        answers.append((answer.status_code, answer.text.replace(fields["csrf"], "").replace(name, "")))
        assert f'value="{name}"' in answer.text

    assert answers[0][0] == 422
    assert len({status for status, _ in answers}) == 1
    assert len({_without_ids(text) for _, text in answers}) == 1


def _without_ids(text: str) -> str:
    shown = text.split('<main class="journey-main"')[1].split("<footer")[0]
    # Every page has a challenge of its own for passkeys, and a token for each form.
    return re.sub(r'(data-options=|name="(?:sealed|csrf)" value=)"[^"]*"', "", shown)


async def test_nothing_typed_is_kept_in_events(site: PeopleSite) -> None:
    await site.visitor().sign_in("my secret password", "hamlet")

    async with site.parts.database.read() as session:
        events = await latest(session)

    assert [event.name for event in events] == ["signin.refused"]
    assert "secret" not in repr(events)


async def test_empty_fields_are_asked_for_again(site: PeopleSite) -> None:
    answer = await site.visitor().sign_in("", "")

    assert answer.status_code == 422
    assert "Enter your username and your password" in answer.text


async def test_too_many_attempts_say_when_to_come_back(site: PeopleSite) -> None:
    visitor = site.visitor()
    for _ in range(6):
        await visitor.sign_in("hamlet", "wrong password")

    answer = await visitor.sign_in("hamlet", "wrong password")

    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 3
    assert "Too many attempts. Wait" in answer.text


async def test_the_session_secret_changes_at_sign_in_and_a_planted_one_is_worth_nothing(site: PeopleSite) -> None:
    await site.person("hamlet")
    visitor = site.visitor()
    visitor.http.cookies.set("kronborg_session", "planted", domain="localhost.local", path="/")

    await visitor.sign_in("hamlet")
    mine = [cookie.value for cookie in visitor.http.cookies.jar if cookie.name == "kronborg_session"]

    other = site.visitor()
    other.http.cookies.set("kronborg_session", "planted")
    assert mine[-1] != "planted"
    assert not await other.is_signed_in()


async def test_signing_in_again_keeps_the_session_id_and_renews_its_secret(site: PeopleSite) -> None:
    hamlet = await site.person("hamlet")
    visitor = site.visitor()
    await visitor.sign_in("hamlet")
    before = visitor.http.cookies["kronborg_session"]

    await visitor.post("/signin", {"username": "hamlet", "password": PASSWORD}, page="/signout")

    after = visitor.http.cookies["kronborg_session"]
    stale = site.visitor()
    stale.http.cookies.set("kronborg_session", before)
    async with site.parts.database.read() as session:
        events = [event.name for event in await latest(session) if event.subject == hamlet.id]
    assert before != after
    assert not await stale.is_signed_in()
    assert await visitor.is_signed_in()
    assert events[0] == "session.renewed"


async def test_signing_in_as_somebody_else_ends_the_first_session(site: PeopleSite) -> None:
    await site.person("hamlet")
    await site.person("ophelia")
    visitor = site.visitor()
    await visitor.sign_in("hamlet")
    before = visitor.http.cookies["kronborg_session"]

    await visitor.post("/signin", {"username": "ophelia", "password": PASSWORD}, page="/signout")

    stale = site.visitor()
    stale.http.cookies.set("kronborg_session", before)
    assert not await stale.is_signed_in()
    assert "ophelia" in (await visitor.get("/account")).text


@pytest.mark.parametrize(("idle", "absolute"), [(timedelta(), timedelta(days=1)), (timedelta(days=1), timedelta())])
async def test_a_session_ends_when_idle_and_in_any_case(
    database: Database, vault: Vault, idle: timedelta, absolute: timedelta
) -> None:
    async with people_site(database, vault, idle=idle, absolute=absolute) as site:
        await site.person("hamlet")
        visitor = site.visitor()
        await visitor.sign_in("hamlet")
        # Browsers drop a cookie of no lifetime; a thief would not.

        signed_in = await visitor.is_signed_in()

        async with database.write() as session:
            purged = await purge_sessions(session, idle=idle, now=clock.now())
        assert not signed_in
        assert purged == 1


async def test_ended_sessions_and_disabled_people_are_out_at_once(site: PeopleSite) -> None:
    hamlet, ophelia = await site.person("hamlet"), await site.person("ophelia")
    one, two = site.visitor(), site.visitor()
    await one.sign_in("hamlet")
    await two.sign_in("ophelia")

    async with site.parts.database.write() as session:
        await end_all_sessions(session, hamlet.id, actor="admin", now=clock.now())
        await disable_user(session, ophelia.id, actor="admin", now=clock.now())

    assert not await one.is_signed_in()
    assert not await two.is_signed_in()


async def test_sign_out_asks_and_then_ends_the_session_on_the_server(site: PeopleSite) -> None:
    await site.person("hamlet")
    visitor = site.visitor()
    await visitor.sign_in("hamlet")
    secret = visitor.http.cookies["kronborg_session"]

    asked = await visitor.get("/signout")
    still_in = await visitor.is_signed_in()
    answer = await visitor.post("/signout")

    thief = site.visitor()
    thief.http.cookies.set("kronborg_session", secret)
    assert "Sign out?" in asked.text
    assert still_in
    assert (answer.status_code, answer.headers["location"]) == (303, "/signout")
    assert "You are signed out" in (await visitor.get("/signout")).text
    assert not await thief.is_signed_in()


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example", " /x", "", "x" * 10, "/" + "x" * 9000, "/\x7f", "https:evil.example", "///evil.example",
    ],
)  # fmt: skip
async def test_nobody_is_sent_elsewhere_after_sign_in(site: PeopleSite, path: str) -> None:
    await site.person("hamlet")

    answer = await site.visitor().post(
        "/signin", {"username": "hamlet", "password": PASSWORD, "next": path, "ticket": ""}
    )

    assert answer.headers["location"] == "/account"


@pytest.mark.parametrize("field", ["username", "password", "next"])
async def test_a_nul_in_the_form_is_refused_cleanly(site: PeopleSite, field: str) -> None:
    values = {"username": "hamlet", "password": PASSWORD, "next": "/account", "ticket": ""}

    answer = await site.visitor().post("/signin", {**values, field: "/\0"})

    assert answer.status_code == 422
    assert "set-cookie" not in answer.headers


async def test_after_sign_in_people_are_back_where_they_came_from() -> None:
    path = "/oauth/authorize?client_id=a&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&scope=a%20b"

    assert local_path(path) == path


async def test_strangers_are_sent_to_sign_in_and_back(site: PeopleSite) -> None:
    await site.person("hamlet")
    visitor = site.visitor()

    sent = await visitor.get("/account/security?x=1")
    back = await visitor.sign_in("hamlet", page=sent.headers["location"])

    assert sent.status_code == 303
    assert back.headers["location"] == "/account/security?x=1"


@pytest.mark.spec("RFC 9700 §4.12")
async def test_rfc9700_4_12__a_password_is_never_repeated_by_a_redirect(site: PeopleSite) -> None:
    await site.person("hamlet")

    answer = await site.visitor().sign_in("hamlet")

    assert answer.status_code == 303


TICKET = Ticket("Wish <List>", ("https://wishlist.example",), again=True, login_hint="hamlet")


async def _authorize(request: Request) -> Response:
    found = await visit(request)
    if found is None or "again" in request.query_params:
        return Response(sign_in_url(request, next_path="/authorize?x=1", ticket=TICKET))
    return Response(f"{found.username} {found.session_id} {found.amr[0]} {found.auth_time.isoformat()}")


async def test_a_ticket_names_the_app_asks_again_and_lets_the_form_lead_on(database: Database, vault: Vault) -> None:
    async with people_site(database, vault, routes=(Route("/authorize", _authorize),)) as site:
        await site.person("hamlet")
        visitor = site.visitor()
        url = (await visitor.get("/authorize")).text

        page = await visitor.get(url)
        answer = await visitor.sign_in("hamlet", page=url)
        known = (await visitor.get("/authorize")).text
        again = await visitor.get((await visitor.get("/authorize?again")).text)
        forged = await visitor.get(url.replace("x%3D1", "x%3D2"))

        assert "to continue to <strong><bdi>Wish &lt;List&gt;</bdi></strong>" in page.text
        assert "form-action 'self' https://wishlist.example;" in page.headers["content-security-policy"]
        assert 'value="hamlet"' in page.text
        assert answer.headers["location"] == "/authorize?x=1"
        assert known.startswith("hamlet ")
        assert known.split()[2] == "pwd"
        assert again.status_code == 200
        assert forged.headers["location"] == "/authorize?x=2"


@pytest.mark.parametrize("ticket", ["x", "x.y", "eyJ9.", "." * 50, "ø.ø"])
async def test_a_made_up_ticket_is_no_ticket(site: PeopleSite, ticket: str) -> None:
    page = await site.visitor().get(f"/signin?ticket={ticket}")

    assert page.status_code == 200
    assert "to your Kronborg account" in page.text


async def test_last_use_is_noted_at_most_once_a_minute(site: PeopleSite, database: Database) -> None:
    hamlet = await site.person("hamlet")
    visitor = site.visitor()
    await visitor.sign_in("hamlet")
    before = await _last_seen(database, hamlet.id)

    await visitor.get("/account")
    soon = await _last_seen(database, hamlet.id)

    assert soon == before


async def _last_seen(database: Database, user_id: str) -> object:
    row = await database.lookup.first("SELECT last_seen_at FROM signin_sessions WHERE user_id = ?", (user_id,))
    return None if row is None else row[0]
