"""Activity, the copy of everything that is kept, and the end of an account."""

from __future__ import annotations

import json

import pytest

from kronborg.accounts.links import make_link
from kronborg.accounts.store import find_user
from kronborg.accounts.users import UserChange, update_user
from kronborg.core import clock
from kronborg.core.events import latest, record
from kronborg.signin.store import read_password
from people_site import PASSWORD, PeopleSite, Visitor

pytestmark = pytest.mark.anyio

DATA = "/account/data"


async def signed_in(site: PeopleSite, name: str = "hamlet") -> Visitor:
    visitor = site.visitor()
    assert (await visitor.sign_in(name)).status_code == 303
    return visitor


async def test_activity_is_told_in_words_page_by_page(site: PeopleSite) -> None:
    user = await site.person("hamlet")
    await site.person("ophelia")
    await site.visitor(address="198.51.100.9").sign_in("hamlet", "wrong words here")
    visitor = await signed_in(site)
    async with site.parts.database.write() as session:
        for _ in range(40):
            await record(session, "browser.remembered", actor=user.id, subject=user.id, now=clock.now())
            await record(session, "grant.created", actor=user.id, subject=user.id, now=clock.now())

    first = await visitor.get("/account/activity")
    older = first.text.partition("?before=")[2].partition('"')[0]
    second = await visitor.get(f"/account/activity?before={older}")
    odd = await visitor.get("/account/activity?before=9999999999999999999999")

    assert first.text.count("A browser was remembered") == 30
    assert second.text.count("A browser was remembered") == 10
    assert "Somebody tried to sign in, in vain" in second.text
    assert "198.51.100.9" in second.text
    assert "The account was made" in second.text
    assert "by an administrator" in second.text
    assert "grant.created" not in first.text
    assert odd.status_code == 200


async def test_everything_kept_is_one_file_without_secrets(site: PeopleSite) -> None:
    user = await site.person("hamlet")
    async with site.parts.database.write() as session:
        await make_link(session, site.parts.vault, "reset", user.id, {"email": user.email}, now=clock.now())
    site.app.state.contributors = (_grants,)
    visitor = await signed_in(site)

    refused = await visitor.post(f"{DATA}/export", {"export_current": "wrong"}, page=DATA)
    answer = await visitor.post(f"{DATA}/export", {"export_current": PASSWORD}, page=DATA)
    told = json.loads(answer.text)
    async with site.parts.database.read() as session:
        hashed = await read_password(session, user.id)

    assert refused.status_code == 422
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"].startswith('attachment; filename="account-')
    assert told["account"]["username"] == "hamlet"
    assert told["links"][0]["purpose"] == "reset"
    assert told["grants"] == [user.id]
    assert {"session.begun", "password.set"} <= {event["name"] for event in told["events"]}
    assert len(told["sessions"]) == 1
    assert hashed is not None
    assert hashed not in answer.text
    assert visitor.http.cookies["kronborg_session"] not in answer.text


async def _grants(user_id: str, _now: object) -> dict[str, list[str]]:
    return {"grants": [user_id]}


async def test_an_account_is_deleted_by_its_person_who_proves_it(site: PeopleSite) -> None:
    user = await site.person("hamlet")
    visitor, other = await signed_in(site), await signed_in(site)

    unsure = await visitor.post(f"{DATA}/delete", {"username": "ophelia", "current": PASSWORD}, page=DATA)
    wrong = await visitor.post(f"{DATA}/delete", {"username": "hamlet", "current": "wrong"}, page=DATA)
    done = await visitor.post(f"{DATA}/delete", {"username": "Hamlet", "current": PASSWORD}, page=DATA)
    async with site.parts.database.read() as session:
        after = await find_user(session, user.id)
        names = [event.name for event in await latest(session, limit=10)]

    assert (unsure.status_code, wrong.status_code) == (422, 422)
    assert done.headers["location"] == "/account/deleted"
    assert "The account is deleted" in (await visitor.get("/account/deleted")).text
    assert after is None
    assert "user.deleted" in names
    assert not await other.is_signed_in()
    assert (await site.visitor().sign_in("hamlet")).status_code == 422


async def test_what_a_directory_keeps_is_not_deleted_here(site: PeopleSite) -> None:
    user = await site.person("hamlet")
    visitor = await signed_in(site)
    async with site.parts.database.write() as session:
        await update_user(session, user.id, UserChange(managed_by="scim:hr"), actor="test", now=clock.now())

    page = await visitor.get(DATA)
    posted = await visitor.post(f"{DATA}/delete", {"username": "hamlet", "current": PASSWORD}, page=DATA)

    assert "Only an administrator can delete this account" in page.text
    assert posted.status_code == 403


@pytest.mark.parametrize("path", ["/account/activity", DATA])
async def test_strangers_are_sent_to_sign_in(site: PeopleSite, path: str) -> None:
    answer = await site.visitor().get(path)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/signin?next=%2Faccount")
