"""Every route that the app has, by its own list: one that is added without a guard fails here."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from console.conftest import ADMIN, AUDITOR, SUPPORT, Console
from console.stage import Stage, stage
from console.test_pages import csrf_of
from kronborg.app import compose
from kronborg.core import clock
from kronborg.core.http import Edge, LimitBody, Shortcut
from kronborg.core.parts import Parts
from kronborg.factors.model import Factor
from kronborg.factors.store import insert_factor

pytestmark = pytest.mark.anyio

HELP = {"/console/access/users/{of}/end-sessions", "/console/access/sessions/{of}/end"}
"""What support may send besides two deeds to people."""
READING = ("/console/audit/-/verify", "/console/simulate")
"""What changes nothing, although it is sent."""
FROM_ELSEWHERE = {
    "/oauth/authorize",
    "/oauth/logout",
    "/oauth/userinfo",
    "/federation/{key}/callback",
    "/federation/{key}/acs",
    "/federation/{key}/backchannel-logout",
}
"""What other sites may post to: each goes by what is in the request, and changes nothing by the cookie alone."""
HTML = {"accept": "text/html"}
MACHINES = ("/oauth/register", "/oauth/token", "/oauth/par", "/access/v1/")


def routes_of(console: Console) -> Iterator[tuple[str, str]]:
    """Method and path of everything but what is mounted."""
    app = compose(Parts(console.engine.database, console.engine.vault, console.engine.issuer), console.engine)
    assert isinstance(app, Edge)
    assert isinstance(app.app, Shortcut)
    assert isinstance(app.app.app, LimitBody)
    assert isinstance(app.app.app.app, Starlette)
    for route in app.app.app.app.routes:
        if isinstance(route, Route):
            for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"}):
                yield method, route.path


def filled(path: str, there: Stage) -> str:
    """A path with what is on the stage in its places."""
    of = there.session if "/sessions/" in path else "shop" if "/clients/" in path else there.user
    known = {
        "user_id": there.user,
        "group_id": there.group,
        "organisation_id": there.organisation,
        "client_id": "shop",
        "api_id": there.api,
        "key_id": there.key,
        "secret_id": there.secret,
        "grant_id": there.grant,
        "session_id": there.session,
        "of": of,
        "deed": "delete",
        "change": "admin",
        "number": "1",
    }
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: known.get(found[1], "x"), path)


@pytest.mark.parametrize(
    ("roles", "reads"), [(None, False), ((), False), (("shopkeeper",), False), (AUDITOR, True), (SUPPORT, True)]
)
async def test_the_console_is_shut_to_who_has_no_right(
    console: Console, roles: tuple[str, ...] | None, reads: bool
) -> None:
    there = await stage(console)
    browser = await console.browser() if roles is None else await console.signed_in("eve", roles)
    form = {"typed": "x", "do": "disable", f"pick:{there.user}": "on"}
    form["csrf"] = "" if roles is None else await csrf_of(browser)
    looked = {303} if roles is None else {200, 303, 403, 404} if reads else {403}
    routes = [one for one in routes_of(console) if one[1].startswith("/console")]
    wrong = []

    for method, path in routes:
        if method == "GET":
            answer = await browser.get(filled(path, there))
            refused = answer.status_code in looked
        else:
            answer = await browser.http.request(method, filled(path, there), data=form, headers=HTML)
            refused = answer.status_code == 403 or (reads and path in READING) or (roles == SUPPORT and path in HELP)
        if roles is None and method == "GET":
            refused = refused and answer.headers["location"].startswith("/signin?")
        if not refused:
            wrong.append((method, path, answer.status_code))

    assert not wrong, sorted(wrong)
    assert len(routes) > 80


async def test_no_form_is_taken_without_its_token_but_from_where_it_must_be(console: Console) -> None:
    there = await stage(console)
    ada = await console.signed_in("ada", ADMIN)
    wrong = []

    for method, path in routes_of(console):
        if method == "GET" or path in FROM_ELSEWHERE or path.startswith(MACHINES):
            continue
        answer = await ada.http.request(method, filled(path, there), data={"typed": "x"}, headers=HTML)
        if answer.status_code != 403:
            wrong.append((method, path, answer.status_code))

    assert not wrong, sorted(wrong)


async def test_nobody_reaches_what_is_somebody_elses_in_the_account(console: Console) -> None:
    there, now = await stage(console), clock.now()
    async with console.engine.database.write() as session:
        await insert_factor(session, Factor("factor-1", there.user, "totp", "phone", now, now), sealed="x")
    eve = await console.signed_in("eve", ())
    token = await csrf_of(eve)

    page = await eve.get("/account/security/factors/factor-1")
    removed = await eve.http.post("/account/security/factors/factor-1", data={"csrf": token, "remove": "yes"})
    await eve.http.post(f"/account/sessions/{there.session}", data={"csrf": token})
    left = await (await console.signed_in("ada", ADMIN)).get(f"/console/access/sessions/{there.session}")

    assert (page.status_code, removed.status_code) == (404, 404)
    assert left.status_code == 200
