"""Forms are accepted from our own pages, in the browser they were given to, and from nowhere else."""

from __future__ import annotations

import pytest

from people_site import PASSWORD, PeopleSite, hidden

pytestmark = pytest.mark.anyio

POSTS = ["/signout", "/account", "/account/password", "/account/sessions/others", f"/account/sessions/{'0' * 36}"]


@pytest.mark.parametrize("path", POSTS)
async def test_every_form_needs_its_token(site: PeopleSite, path: str) -> None:
    await site.person("hamlet")
    visitor = site.visitor()
    await visitor.sign_in("hamlet")

    answers = [await visitor.post(path, {"csrf": token}, page="/account") for token in ("", "x", "a.b", "ø.ø")]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert await visitor.is_signed_in()


async def test_sign_in_with_a_stale_page_shows_the_form_once_more(site: PeopleSite) -> None:
    await site.person("hamlet")
    visitor = site.visitor()

    stale = await visitor.post("/signin", {"username": "hamlet", "password": PASSWORD, "csrf": "old.token"})

    assert stale.status_code == 403
    assert "Please sign in once more" in stale.text
    assert "location" not in stale.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://localhost:8081"},
    ],
)
async def test_a_form_sent_by_another_site_is_refused_in_spite_of_its_token(
    site: PeopleSite, headers: dict[str, str]
) -> None:
    await site.person("hamlet")
    visitor = site.visitor()
    await visitor.sign_in("hamlet")

    answer = await visitor.post("/signout", headers=headers)

    assert answer.status_code == 403
    assert "sent by another site" in answer.text
    assert await visitor.is_signed_in()


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:8081.evil.example", ""])
async def test_without_fetch_metadata_the_origin_decides(site: PeopleSite, origin: str) -> None:
    visitor = site.visitor()
    fields = hidden((await visitor.get("/signin")).text)

    refused = await visitor.http.post("/signin", data=fields, headers={"origin": origin})
    ours = await visitor.http.post("/signin", data=fields, headers={"origin": "http://localhost:8081"})

    assert refused.status_code == 403
    assert ours.status_code == 422


async def test_the_token_of_another_browser_or_of_before_sign_in_is_worth_nothing(site: PeopleSite) -> None:
    await site.person("hamlet")
    visitor, other = site.visitor(), site.visitor()
    early = hidden((await visitor.get("/signin")).text)["csrf"]
    theirs = hidden((await other.get("/signin")).text)["csrf"]
    await visitor.sign_in("hamlet")

    answers = [await visitor.post("/signout", {"csrf": token}) for token in (early, theirs)]

    assert [answer.status_code for answer in answers] == [403, 403]


async def test_a_browser_without_cookies_is_told_so(site: PeopleSite) -> None:
    visitor = site.visitor()
    await visitor.get("/signout")
    visitor.http.cookies.clear()

    answer = await visitor.http.post("/signout", data={"csrf": "a.b"}, headers={"accept": "text/html"})

    assert answer.status_code == 403
    assert "cookies are switched off" in answer.text


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("application/x-www-form-urlencoded", b"csrf=%ff%fe"),
        ("application/x-www-form-urlencoded", b"\xff\xfe=1"),
        ("application/x-www-form-urlencoded", b"a=1&a=2"),
        ("application/x-www-form-urlencoded", b"&".join(b"f%d=1" % n for n in range(300))),
        ("application/x-www-form-urlencoded", b"a=" + b"x" * 70_000),
    ],
)
async def test_a_body_that_is_no_form_is_refused(site: PeopleSite, content_type: str, body: bytes) -> None:
    visitor = site.visitor()
    await visitor.get("/signin")

    page = await visitor.http.post(
        "/signout", content=body, headers={"content-type": content_type, "accept": "text/html"}
    )
    machine = await visitor.http.post("/signout", content=body, headers={"content-type": content_type})

    assert (page.status_code, machine.status_code) == (422, 422)
    assert machine.headers["content-type"] == "application/problem+json"
