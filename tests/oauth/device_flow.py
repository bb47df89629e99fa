"""What a device and its person do, for the tests of the device flow."""

from __future__ import annotations

from typing import Any

import httpx

from forms import forms_of
from kronborg.clients.model import ClientDraft
from kronborg.core.json import JsonValue
from oauth.flow import Browser, Flow, is_sign_in

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


TV = ClientDraft(
    "tv",
    "Telly",
    kind="public",
    auth_method="none",
    grants=(GRANT, "refresh_token"),
    scopes=("openid", "profile", "offline_access", "catalogue:read", "cart:read"),
)


RADIO = ClientDraft("radio", "Radio", grants=(GRANT,), scopes=("catalogue:read",))


Begun = dict[str, Any]


async def begin(flow: Flow, client: ClientDraft = TV, **form: str) -> Begun:
    """What a device is given."""
    if client.id not in flow.secrets:
        await flow.client(client)
    answer = await flow.call("/oauth/device_authorization", client, **{"scope": "openid catalogue:read", **form})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def poll(flow: Flow, begun: Begun, client: ClientDraft = TV, **form: str) -> httpx.Response:
    return await flow.token(client, grant_type=GRANT, device_code=begun["device_code"], **form)


async def type_in(browser: Browser, code: str) -> httpx.Response:
    """Open the page and send the code; sign in as ada where that is asked."""
    page = await browser.get("/device")
    [form] = forms_of(page)
    page = await browser.submit(page, form, {"user_code": code})
    return await browser.sign_in(page) if is_sign_in(page) else page


async def answered(flow: Flow, begun: Begun, decision: str = "allow", browser: Browser | None = None) -> httpx.Response:
    browser = browser or flow.browser()
    return await browser.press(await type_in(browser, begun["user_code"]), decision)


def error_of(response: httpx.Response) -> tuple[int, JsonValue]:
    return response.status_code, response.json().get("error")
