"""Second factors and the protocol: step-up goes on in the same session; the password grant has no place for them."""

from __future__ import annotations

import pytest

from forms import forms_of
from kronborg.accounts.store import find_by_login
from kronborg.clients.settings import ClientSettings
from kronborg.core.jose import parse
from kronborg.factors.model import Factor
from kronborg.factors.recovery import make_codes
from kronborg.factors.store import insert_factor
from kronborg.oauth.acr import MULTI_FACTOR
from oauth.flow import WEB, Flow, answer_of, is_sign_in

pytestmark = pytest.mark.anyio


async def with_factor(flow: Flow) -> tuple[str, ...]:
    """`ada` has an authenticator app, and these recovery codes."""
    now = flow.clock.now
    async with flow.database.write() as session:
        user = await find_by_login(session, "ada")
        assert user is not None
        sealed = flow.engine.vault.seal(b"GEZDGNBVGY3TQOJQ", context="factors.totp:f1")
        await insert_factor(session, Factor("f1", user.id, "totp", "Phone", now, None), sealed=sealed)
        return await make_codes(session, flow.engine.vault, user.id, actor="test", now=now)


@pytest.mark.spec("RFC 9470 §5")
@pytest.mark.spec("RFC 9470 §6.2")
async def test_rfc9470_5__a_session_steps_up_and_keeps_its_id(flow: Flow) -> None:
    browser = flow.browser()
    before = parse((await flow.tokens(browser, scope="openid"))["id_token"]).claims
    codes = await with_factor(flow)
    flow.clock.pass_by(minutes=2)

    asked = await flow.authorize(browser, acr_values=MULTI_FACTOR)
    assert "One more step" in asked.text
    link = next(line for line in asked.text.split('"') if line.endswith("method=recovery"))
    page = await browser.get(link.replace("&amp;", "&"))
    [form] = [form for form in forms_of(page) if "code" in form.fields]
    answer = answer_of(await browser.submit(page, form, {"code": codes[0]}))
    after = parse((await flow.exchange(answer["code"])).json()["id_token"]).claims

    assert after["acr"] == MULTI_FACTOR
    assert after["amr"] == ["pwd", "otp", "mfa"]
    assert after["sid"] == before["sid"]
    assert int(str(after["auth_time"])) > int(str(before["auth_time"]))


async def test_a_client_may_require_several_factors_whatever_it_asks_for(flow: Flow) -> None:
    await flow.client(WEB, settings=ClientSettings(require_factors=True))
    browser = flow.browser()

    page = await flow.authorize(browser)
    assert is_sign_in(page)
    enrol = await browser.sign_in(page)

    assert "Protect your account" in enrol.text
    silent = await flow.authorize(browser, prompt="none")
    assert answer_of(silent)["error"] == "login_required"


@pytest.mark.spec("RFC 9700 §2.4")
async def test_rfc9700_2_4__the_password_grant_is_none_for_who_has_a_second_factor(flow: Flow) -> None:
    legacy = await flow.client(WEB, id="legacy", grants=("password", "refresh_token"))
    values = {"grant_type": "password", "username": "ada", "password": "to be or not to be", "scope": "openid"}
    before = await flow.call("/oauth/token", WEB, **{**values, "client_id": legacy.id})
    await with_factor(flow)

    after = await flow.call("/oauth/token", WEB, **{**values, "client_id": legacy.id})

    assert (before.status_code, after.status_code) == (200, 400)
    assert after.json()["error"] == "invalid_grant"
