"""What a client and its person do in CIBA, for the tests of it."""

from __future__ import annotations

from typing import Any

import httpx

from kronborg.clients.model import ClientDraft
from oauth.flow import Browser, Flow

GRANT = "urn:openid:params:grant-type:ciba"


SCOPES = ("openid", "profile", "catalogue:read", "cart:read")


BANK = ClientDraft("bank", "Bank of Elsinore", grants=(GRANT, "refresh_token"), scopes=SCOPES)


TILL = ClientDraft("till", "Till", grants=(GRANT,), scopes=SCOPES)


Begun = dict[str, Any]


async def ask(flow: Flow, client: ClientDraft = BANK, **form: str) -> httpx.Response:
    if client.id not in flow.secrets:
        await flow.client(client)
    usual = {"scope": "openid catalogue:read", "login_hint": "ada", "binding_message": "Pay 12 DKK: W4SCT"}
    given = {name: value for name, value in {**usual, **form}.items() if value}
    return await flow.call("/oauth/backchannel-authentication", client, **given)


async def begin(flow: Flow, client: ClientDraft = BANK, **form: str) -> Begun:
    answer = await ask(flow, client, **form)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def poll(flow: Flow, begun: Begun, client: ClientDraft = BANK) -> httpx.Response:
    return await flow.token(client, grant_type=GRANT, auth_req_id=begun["auth_req_id"])


async def at_home(flow: Flow, username: str = "ada") -> Browser:
    browser = flow.browser()
    await browser.sign_in(await browser.get("/signin"), username)
    return browser


async def answered(flow: Flow, decision: str = "allow", browser: Browser | None = None) -> httpx.Response:
    """Open the newest request and answer it."""
    browser = browser or await at_home(flow)
    listed = await browser.get("/account/requests")
    href = listed.text.split('href="/account/requests/')[1].split('"')[0]
    return await browser.press(await browser.get(f"/account/requests/{href}"), decision)


def error_of(response: httpx.Response) -> tuple[int, Any]:
    return response.status_code, response.json().get("error")
