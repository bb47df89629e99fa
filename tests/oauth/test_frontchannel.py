"""Front-channel logout: hidden frames for the clients of this session, and nobody else; then the browser goes on."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from html import unescape
from re import findall
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from forms import forms_of
from kronborg.clients.check import client_problems
from kronborg.clients.settings import ClientSettings
from kronborg.core.jose import parse
from kronborg.oauth.pages.logout import signed_out
from oauth.flow import ISSUER, WEB, WISH_LIST, Flow

pytestmark = [pytest.mark.anyio, pytest.mark.spec("OIDC Front-Channel Logout §2")]

BYE = WEB.post_logout_redirect_uris[0]


@pytest.fixture
async def listening(flow: Flow) -> Flow:
    """Both clients listen; the sign-out page knows whom to tell, as in the composed app."""
    for client, address in ((WEB, "https://web.example/out?kind=front"), (WISH_LIST, "https://wish.example/out")):
        await flow.client(client, settings=ClientSettings(frontchannel_logout_uri=address))
    flow.site.app.state.after_sign_out = partial(signed_out, flow.engine)
    return flow


def frames_in(page: httpx.Response) -> dict[str, dict[str, str]]:
    """The hosts that are framed, with the parameters they are given."""
    found = [urlsplit(unescape(address)) for address in findall(r'<iframe src="([^"]+)"', page.text)]
    return {parts.netloc: dict(parse_qsl(parts.query)) for parts in found}


def logout(**values: str) -> str:
    return f"/oauth/logout?{urlencode(values)}"


@pytest.mark.spec("OIDC Front-Channel Logout §3")
async def test_clients_of_the_session_are_framed_with_iss_and_sid(listening: Flow) -> None:
    browser = listening.browser()
    tokens = await listening.tokens(browser)
    sid = str(parse(tokens["id_token"]).claims["sid"])

    page = await browser.get(logout(id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE, state="s 1"))

    policy = page.headers["content-security-policy"]
    assert frames_in(page) == {"web.example": {"kind": "front", "iss": ISSUER, "sid": sid}}
    assert "frame-src https://web.example;" in policy
    assert "wish.example" not in policy + page.text
    assert page.headers["refresh"] == f"3; url={BYE}?state=s%201"
    assert f'href="{BYE}?state=s%201"' in page.text
    assert "Web shop" in page.text
    assert (await browser.get("/account")).url.path == "/signin"


async def test_our_own_sign_out_page_tells_them_all(listening: Flow) -> None:
    browser = listening.browser()
    await listening.code(browser)
    await listening.code(browser, WISH_LIST)
    asked = await browser.get("/signout")
    [form] = [form for form in forms_of(asked) if form.action == "/signout"]

    page = await browser.submit(asked, form, {})

    assert set(frames_in(page)) == {"web.example", "wish.example"}
    assert "frame-src https://web.example https://wish.example;" in page.headers["content-security-policy"]
    assert page.headers["refresh"] == "3; url=/signout"


async def test_the_question_frames_nobody_until_it_is_answered(listening: Flow) -> None:
    browser = listening.browser()
    await listening.code(browser)

    question = await browser.get(logout(client_id="web", post_logout_redirect_uri=BYE))
    answer = await browser.press(question, "sign_out")

    assert frames_in(question) == {}
    assert "frame-src" not in question.headers["content-security-policy"]
    assert set(frames_in(answer)) == {"web.example"}


async def test_without_anybody_to_tell_the_browser_goes_on_at_once(listening: Flow) -> None:
    await listening.client(WEB, settings=ClientSettings())
    browser = listening.browser()
    tokens = await listening.tokens(browser)

    answer = await browser.get(logout(id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE))

    assert answer.headers["location"] == BYE


async def test_a_disabled_client_is_not_framed(listening: Flow) -> None:
    browser = listening.browser()
    tokens = await listening.tokens(browser)
    await listening.code(browser, WISH_LIST)
    await listening.client(WISH_LIST, disabled=True)

    page = await browser.get(logout(id_token_hint=tokens["id_token"]))

    assert set(frames_in(page)) == {"web.example"}


@pytest.mark.parametrize(
    "address", ["https://other.example/out", "http://web.example/out", "https://web.example:8443/", "com.example:/out"]
)
async def test_only_an_address_beside_a_redirect_uri_may_be_framed(address: str) -> None:
    draft = replace(WEB, settings=ClientSettings(frontchannel_logout_uri=address))

    problems = client_problems(draft, scopes=WEB.scopes, audiences=())

    assert "settings.frontchannel_logout_uri" in {problem.where for problem in problems}


@pytest.mark.spec("OIDC Back-Channel Logout §2.1")
@pytest.mark.spec("OIDC Front-Channel Logout §3")
async def test_metadata_says_what_is_supported(flow: Flow) -> None:
    metadata = (await flow.http.get("/.well-known/openid-configuration")).json()

    names = [f"{way}_logout{what}_supported" for way in ("backchannel", "frontchannel") for what in ("", "_session")]
    assert all(metadata[name] is True for name in names)
