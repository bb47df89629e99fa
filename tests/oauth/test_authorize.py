"""The authorization endpoint over HTTP: who is asked what, and what the client is told."""

from __future__ import annotations

import pytest

from oauth.flow import ISSUER, Flow, answer_of, is_sign_in

pytestmark = pytest.mark.anyio


@pytest.mark.spec("RFC 6749 §4.1.2")
@pytest.mark.spec("RFC 9207 §2")
async def test_a_person_signs_in_and_the_client_gets_a_code(flow: Flow) -> None:
    browser = flow.browser()

    page = await flow.authorize(browser)
    answer = await browser.sign_in(page)

    assert is_sign_in(page)
    assert answer.headers["location"].startswith("https://web.example/callback?")
    assert answer.headers["cache-control"] == "no-store"
    given = answer_of(answer)
    assert (given["state"], given["iss"]) == ("state-1", ISSUER)
    assert (await flow.exchange(given["code"])).status_code == 200
