"""Templates, static files, brand, error pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import kronborg
from kronborg.core.brand import DARK_SURFACE, LIGHT_SURFACE, Brand, contrast, style_sheet
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Conflict, Forbidden, Invalid, NotFound, Overloaded, Problem, Refusal, TooMany
from kronborg.core.html import content_policy, initials, redirect_source, render
from kronborg.core.moments import ago
from kronborg.oauth.consent_page import (
    AppSignOutPage,
    AppsPage,
    ConsentPage,
    OAuthErrorPage,
    ScopeGroup,
    ShownApp,
)
from kronborg.sessions.model import Visit
from people_site import PeopleSite, people_site

pytestmark = pytest.mark.anyio

# But for letters: mail programs know no style sheets of ours.
TEMPLATES = sorted(
    p for p in Path(kronborg.__file__).parent.glob("*/templates/**/*.html") if p.parent.name != "letters"
)
NOW = datetime(2026, 11, 23, tzinfo=UTC)
EVIL = "<script>alert(1)</script>\"'&"
PERSON = Visit("u", "s", NOW, ("pwd",), EVIL, EVIL, EVIL)
GROUPS = (ScopeGroup(EVIL, (EVIL, "See your cart")),)
APP = ShownApp(EVIL, EVIL, EVIL, False, GROUPS, NOW, None)
PAGES = {
    "oauth/consent.html": ConsentPage(
        "/x", (("request", EVIL),), EVIL, EVIL, False, PERSON, "/signin?next=a&b=c", GROUPS
    ),
    "oauth/apps.html": AppsPage(PERSON, "apps", (APP, APP), EVIL, NOW),
    "oauth/sign_out.html": AppSignOutPage("/x", (("id_token_hint", EVIL),), EVIL, PERSON),
    "oauth/error.html": OAuthErrorPage("invalid_request", EVIL, EVIL, EVIL),
}


async def _show(request: Request) -> Response:
    name = f"oauth/{request.path_params['name']}.html"
    return render(request, name, PAGES[name], form_action=redirect_source("https://wishlist.example/callback?x"))


@pytest.mark.parametrize("name", ["consent", "apps", "sign_out", "error"])
async def test_pages_escape_what_they_are_given_and_name_where_their_form_ends(
    database: Database, vault: Vault, name: str
) -> None:
    async with people_site(database, vault, routes=(Route("/show/{name}", _show),)) as site:
        page = await site.visitor().get(f"/show/{name}")

    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "form-action 'self' https://wishlist.example;" in page.headers["content-security-policy"]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_inline_script_or_style(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:|\|\s*safe", text)


async def test_a_page_has_a_strict_policy_is_not_stored_and_names_its_language(site: PeopleSite) -> None:
    page = await site.visitor().get("/signin")

    assert page.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["vary"] == "HX-Request, Accept-Language, Cookie"
    assert '<html lang="en">' in page.text


async def test_static_files_are_kept_by_browsers_until_they_change(site: PeopleSite) -> None:
    visitor = site.visitor()
    text = (await visitor.get("/signin")).text
    [url] = re.findall(r'href="(/static/kronborg\.css\?v=\w+)"', text)

    named = await visitor.get(url, headers={"accept-encoding": "gzip"})
    bare = await visitor.get("/static/kronborg.css", headers={"accept-encoding": "identity"})
    same = await visitor.get("/static/kronborg.css", headers={"if-none-match": bare.headers["etag"]})

    assert named.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert named.headers["content-encoding"] == "gzip"
    assert named.content == bare.content
    assert bare.headers["cache-control"] == "no-cache"
    assert same.status_code == 304
    assert (await visitor.get("/static/../core/html.py")).status_code == 404
    assert (await visitor.get("/static/none.css")).status_code == 404


async def test_a_brand_shows_its_name_its_logo_and_its_colour(database: Database, vault: Vault, tmp_path: Path) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')

    async with people_site(database, vault, brand=Brand("Tivoli", "#ff8800", logo)) as site:
        page = await site.visitor().get("/signin")
        sheet = await site.visitor().get("/static/brand.css")

    assert 'alt="Tivoli"' in page.text
    assert re.search(r"/static/logo\.svg\?v=\w+", page.text)
    assert "--brand:#" in sheet.text
    with pytest.raises(ValueError, match="rrggbb"):
        Brand(colour="red;}")


@given(st.integers(0, 0xFFFFFF))
def test_any_brand_colour_can_be_read_in_light_and_dark(colour: int) -> None:
    sheet = style_sheet(Brand(colour=f"#{colour:06x}"))

    brands = re.findall(r"--brand:#(\w{6});.*?--on-brand:#(\w{6})", sheet)
    for (brand, ink), surface in zip(brands, (LIGHT_SURFACE, DARK_SURFACE), strict=True):
        back, text = tuple(bytes.fromhex(brand)), tuple(bytes.fromhex(ink))
        assert contrast((back[0], back[1], back[2]), surface) >= 4.5
        assert contrast((back[0], back[1], back[2]), (text[0], text[1], text[2])) >= 4.5


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("https://App.example:8443/cb?x=1", ("https://app.example:8443",)),
        ("http://127.0.0.1:5173/cb", ("http://127.0.0.1:5173",)),
        ("http://[::1]:5173/cb", ("http:",)),
        ("com.example.app:/cb", ("com.example.app:",)),
        ("https://bad;host/cb", ("https:",)),
        ("nonsense", ()),
    ],
)
def test_where_a_form_may_end_is_told_by_origin_or_scheme(uri: str, source: tuple[str, ...]) -> None:
    assert redirect_source(uri) == source
    content_policy(source)


@pytest.mark.parametrize("source", ["https://a.example; script-src *", "*", "'unsafe-inline'", "https://a b", "a"])
def test_nothing_else_gets_into_the_policy(source: str) -> None:
    with pytest.raises(ValueError, match="source"):
        content_policy((source,))


ERRORS: dict[str, tuple[Exception, int]] = {
    "400": (Refusal("no"), 400),
    "401": (HTTPException(401), 401),
    "403": (Forbidden("you may not do this"), 403),
    "404": (NotFound("nothing"), 404),
    "409": (Conflict("changed"), 409),
    "422": (Invalid(Problem("x", "it is wrong", "mend it")), 422),
    "429": (TooMany("slow", retry_after=timedelta(seconds=7)), 429),
    "503": (Overloaded("busy"), 503),
}


async def _fail(request: Request) -> Response:
    raise ERRORS[request.path_params["name"]][0]


@pytest.mark.parametrize("name", sorted(ERRORS))
async def test_an_error_is_a_page_for_people_and_a_problem_for_machines(
    database: Database, vault: Vault, name: str
) -> None:
    async with people_site(database, vault, routes=(Route("/fail/{name}", _fail),)) as site:
        visitor = site.visitor()

        page = await visitor.get(f"/fail/{name}")
        problem = await visitor.get(f"/fail/{name}", headers={"accept": "application/json"})

    assert (page.status_code, problem.status_code) == (ERRORS[name][1],) * 2
    assert f"Error {name}" in page.text
    assert page.headers["x-request-id"] in page.text
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["request_id"] == problem.headers["x-request-id"]
    if name == "429":
        assert page.headers["retry-after"] == problem.headers["retry-after"] == "7"


async def test_unknown_addresses_and_methods_have_a_page(site: PeopleSite) -> None:
    visitor = site.visitor()

    nowhere = await visitor.get("/nowhere/<script>")
    wrong = await visitor.http.delete("/signin", headers={"accept": "text/html"})

    assert (nowhere.status_code, wrong.status_code) == (404, 405)
    assert "There is nothing here" in nowhere.text
    assert "script>" not in nowhere.text
    assert "GET" in wrong.headers["allow"]


async def _crash(_request: Request) -> Response:
    raise RuntimeError("the secret inside")


async def test_a_bug_is_a_page_that_tells_nothing_but_its_number(database: Database, vault: Vault) -> None:
    async with people_site(database, vault, routes=(Route("/crash", _crash),)) as site:
        visitor = site.visitor()

        page = await visitor.get("/crash")
        problem = await visitor.get("/crash", headers={"accept": "*/*"})

    assert (page.status_code, problem.status_code) == (500, 500)
    assert "Something went wrong on our side" in page.text
    assert page.headers["x-request-id"] in page.text
    assert "secret inside" not in page.text + problem.text


async def test_home_is_for_strangers(site: PeopleSite) -> None:
    await site.person("hamlet")
    visitor = site.visitor()

    before = await visitor.get("/")
    await visitor.sign_in("hamlet")
    after = await visitor.get("/")

    assert "One sign-in for everything behind Kronborg" in before.text
    assert (after.status_code, after.headers["location"]) == (303, "/account")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "just now"), (-5, "just now"), (100, "1 minute ago"), (7200, "2 hours ago"), (86400 * 3, "3 days ago"),
        (86400 * 40, "on 14 October 2026"),
    ],
)  # fmt: skip
def test_moments_are_told_as_people_tell_them(seconds: int, shown: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == shown


@pytest.mark.parametrize(("name", "shown"), [("Hamlet of Kronborg", "HK"), ("wish", "W"), ("", "?"), ("--", "?")])
def test_initials_stand_for_a_name(name: str, shown: str) -> None:
    assert initials(name) == shown
