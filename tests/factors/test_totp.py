"""Authenticator apps: enrolled by a code, one use of each step, one step of patience (RFC 6238)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from factors.world import ADD, FACTORS, World, fields, give, to_factor
from kronborg.factors.totp import matching_step

pytestmark = pytest.mark.anyio

# RFC 6238 Appendix B, SHA-1, the last six digits.
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


@pytest.mark.spec("RFC 6238 Appendix B")
@pytest.mark.parametrize(("at", "code"), VECTORS)
def test_rfc6238_appendix_b__the_vectors(at: int, code: str) -> None:
    now = datetime.fromtimestamp(at, UTC)

    assert matching_step(SECRET, code, now=now) == at // 30


async def test_an_app_is_enrolled_and_asked_for(here: World) -> None:
    await here.person()
    visitor = await here.signed_in()

    app = await here.add_app(visitor, name="My phone")

    page = await visitor.get(FACTORS)
    assert "My phone" in page.text
    here.clock.pass_by(seconds=60)
    fresh = here.site.visitor()
    asked = await to_factor(fresh)
    assert not await fresh.is_signed_in()
    answer = await give(fresh, asked, {"code": app.code()})
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert await here.amr(fresh) == ["pwd", "otp", "mfa"]
    assert [one["kind"] for one in await here.events("factor.used")] == ["totp"]


async def test_a_secret_counts_only_once_a_code_of_it_was_typed(here: World) -> None:
    await here.person()
    visitor = await here.signed_in()

    wrong = await visitor.post(f"{ADD}/totp", {"code": "000000"})

    assert wrong.status_code == 422
    assert "This is not the code of this key" in wrong.text
    # The same key is shown again: it is in the app already.
    assert fields(wrong)["sealed"]
    assert (await here.site.visitor().sign_in("hamlet")).headers["location"] == "/account"


@pytest.mark.spec("RFC 6238 §5.2")
async def test_rfc6238_5_2__a_code_is_accepted_once(here: World) -> None:
    await here.person()
    app = await here.add_app(await here.signed_in())
    first, second = here.site.visitor(), here.site.visitor()

    enrolled = await give(first, await to_factor(first), {"code": app.code()})
    here.clock.pass_by(seconds=30)
    code = app.code()
    once = await give(first, await to_factor(first), {"code": code})
    twice = await give(second, await to_factor(second), {"code": code})

    assert (enrolled.status_code, once.status_code, twice.status_code) == (422, 303, 422)
    assert await here.amr(second) is None


@pytest.mark.spec("RFC 6238 §5.2")
@pytest.mark.parametrize(("ahead", "status"), [(-2, 422), (-1, 303), (0, 303), (1, 303), (2, 422)])
async def test_a_clock_may_be_half_a_minute_off(here: World, ahead: int, status: int) -> None:
    await here.person()
    app = await here.add_app(await here.signed_in())
    here.clock.pass_by(minutes=5)
    visitor = here.site.visitor()

    answer = await give(visitor, await to_factor(visitor), {"code": app.code(ahead=ahead)})

    assert answer.status_code == status


async def test_several_apps_each_work(here: World) -> None:
    await here.person()
    visitor = await here.signed_in()
    one = await here.add_app(visitor, name="One")

    two = await here.add_app(visitor, name="Two")

    for app in (one, two):
        here.clock.pass_by(seconds=60)
        browser = here.site.visitor()
        assert (await give(browser, await to_factor(browser), {"code": app.code()})).status_code == 303


async def test_what_is_kept_is_sealed(here: World) -> None:
    await here.person()

    app = await here.add_app(await here.signed_in())

    rows = await here.database.lookup.all("SELECT sealed, name, hint FROM factors_factors")
    assert app.secret not in repr(rows)
