"""Self-service over HTTP: profile, password, sessions."""

from __future__ import annotations

import re
from datetime import datetime

import pytest

from kronborg.signin.passwords import store_password
from people_site import PASSWORD, PeopleSite, Visitor

pytestmark = pytest.mark.anyio

NEW = "the rest is silence"
HTMX = {"hx-request": "true"}


def session_ids(text: str) -> list[str]:
    return re.findall(r'action="/account/sessions/([0-9a-f-]{36})"', text)


async def signed_in(site: PeopleSite, name: str = "hamlet", **browser: str) -> Visitor:
    visitor = site.visitor(**browser)
    answer = await visitor.sign_in(name)
    assert answer.status_code == 303
    return visitor


@pytest.mark.parametrize("path", ["/account", "/account/security"])
async def test_strangers_see_no_account(site: PeopleSite, path: str) -> None:
    answer = await site.visitor().get(path)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/signin?next=%2Faccount")


async def test_a_new_password_ends_every_other_session_and_the_old_secret_of_this_one(site: PeopleSite) -> None:
    await site.person("hamlet")
    here, there = await signed_in(site), await signed_in(site)
    secret = here.http.cookies["kronborg_session"]

    answer = await here.post("/account/password", {"current": PASSWORD, "new": NEW}, page="/account/security")

    stale = site.visitor()
    stale.http.cookies.set("kronborg_session", secret)
    assert answer.headers["location"] == "/account/security?done=password"
    assert await here.is_signed_in()
    assert not await there.is_signed_in()
    assert not await stale.is_signed_in()
    assert (await site.visitor().sign_in("hamlet")).status_code == 422
    assert (await site.visitor().sign_in("hamlet", NEW)).status_code == 303


async def test_a_password_that_an_administrator_sets_ends_every_session(site: PeopleSite, now: datetime) -> None:
    user = await site.person("hamlet")
    visitor = await signed_in(site)

    encoded = await site.signin.passwords.hash(NEW)
    async with site.parts.database.write() as session:
        await store_password(session, user.id, encoded, actor="client:operator", now=now)

    assert not await visitor.is_signed_in()


@pytest.mark.parametrize(
    ("current", "new", "where"), [("wrong password", NEW, "current"), (PASSWORD, "short", "new"), (PASSWORD, "", "new")]
)
async def test_a_password_is_not_changed_without_the_old_one_or_to_a_bad_one(
    site: PeopleSite, current: str, new: str, where: str
) -> None:
    await site.person("hamlet")
    visitor = await signed_in(site)

    answer = await visitor.post("/account/password", {"current": current, "new": new}, page="/account/security")

    assert answer.status_code == 422
    assert f'id="{where}-error"' in answer.text
    assert (await site.visitor().sign_in("hamlet")).status_code == 303


async def test_a_borrowed_browser_cannot_guess_the_password(site: PeopleSite) -> None:
    await site.person("hamlet")
    visitor = await signed_in(site)
    wrong = {"current": "wrong", "new": NEW}

    answers = [await visitor.post("/account/password", wrong, page="/account/security") for _ in range(12)]

    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_sessions_are_listed_with_device_and_address_this_one_first(site: PeopleSite) -> None:
    await site.person("hamlet")
    phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19 Mobile Safari/604.1"
    await signed_in(site, address="198.51.100.4", user_agent=phone)
    visitor = await signed_in(site)

    page = await visitor.get("/account/security")

    assert len(session_ids(page.text)) == 2
    assert page.text.index("Firefox on Linux") < page.text.index("Safari on iPhone")
    assert page.text.index("This browser") < page.text.index("198.51.100.4")


async def test_one_session_is_ended_with_and_without_htmx(site: PeopleSite) -> None:
    await site.person("hamlet")
    one, two, visitor = await signed_in(site), await signed_in(site), await signed_in(site)
    ids = session_ids((await visitor.get("/account/security")).text)

    plain = await visitor.post(f"/account/sessions/{ids[1]}", page="/account/security")
    fragment = await visitor.post(f"/account/sessions/{ids[2]}", page="/account/security", headers=HTMX)

    assert plain.headers["location"] == "/account/security?done=session#sessions"
    assert fragment.status_code == 200
    assert fragment.text.lstrip().startswith('<section class="panel" id="sessions"')
    assert session_ids(fragment.text) == ids[:1]
    assert "HX-Request" in fragment.headers["vary"]
    assert [await one.is_signed_in(), await two.is_signed_in(), await visitor.is_signed_in()] == [False, False, True]


async def test_all_other_sessions_are_ended(site: PeopleSite) -> None:
    await site.person("hamlet")
    other, visitor = await signed_in(site), await signed_in(site)

    await visitor.post("/account/sessions/others", page="/account/security")

    assert not await other.is_signed_in()
    assert await visitor.is_signed_in()


@pytest.mark.parametrize("headers", [{}, HTMX])
async def test_ending_this_session_signs_out(site: PeopleSite, headers: dict[str, str]) -> None:
    await site.person("hamlet")
    visitor = await signed_in(site)
    [mine] = session_ids((await visitor.get("/account/security")).text)

    answer = await visitor.post(f"/account/sessions/{mine}", page="/account/security", headers=headers)

    assert (answer.headers.get("hx-redirect") or answer.headers["location"]) == "/signout"
    assert not await visitor.is_signed_in()


async def test_nobody_ends_the_session_of_another(site: PeopleSite) -> None:
    await site.person("hamlet")
    await site.person("claudius")
    hamlet, claudius = await signed_in(site), await signed_in(site, "claudius")
    [target] = session_ids((await hamlet.get("/account/security")).text)

    for session_id in (target, "x", "%00", "../" + target):
        await claudius.post(f"/account/sessions/{session_id}", page="/account/security")

    assert await hamlet.is_signed_in()
