"""The browser that somebody sits at: what was proved is bound to its own cookie."""

from __future__ import annotations

import pytest

from factors.world import FACTORS, World, give
from kronborg.core.cookies import BROWSER
from kronborg.sessions.proof import Proof, seal_proof

pytestmark = pytest.mark.anyio


async def test_a_session_that_outlived_the_browsers_own_cookie_is_stepped_up_too(here: World) -> None:
    await here.person()
    visitor = here.site.visitor()
    await visitor.sign_in("hamlet")
    app = await here.add_app(await here.signed_in())
    visitor.http.cookies.delete(BROWSER)
    here.clock.pass_by(minutes=1)

    onward = await visitor.get(f"{FACTORS}/codes-are-asked-for")
    asked = await visitor.get(onward.headers["location"])
    page = await visitor.get(asked.headers["location"])
    given = await give(visitor, page, {"code": app.code()})

    assert "proof=" in asked.headers["location"]
    assert given.status_code == 303
    assert "mfa" in (await here.amr(visitor) or [])


async def test_a_proof_is_bound_to_some_browser(here: World) -> None:
    user = await here.person()
    sealed = seal_proof(here.vault, Proof(user.id, ("pwd",), here.clock.now), browser="")

    answer = await here.site.visitor().get(f"/signin/continue?proof={sealed}")

    assert answer.status_code == 403
