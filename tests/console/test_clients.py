"""Clients, their secrets, and APIs: made, changed and removed on the pages, with the checks of the admin API."""

from __future__ import annotations

import html
import re

import httpx
import pytest

from console.conftest import ADMIN, Console
from console.stage import stage
from kronborg.clients.model import Client
from kronborg.clients.scim_api import ensure_scim_api
from kronborg.clients.store import find_client, list_apis
from kronborg.core import clock, events

pytestmark = pytest.mark.anyio


async def stored(console: Console, client_id: str) -> Client | None:
    async with console.engine.database.read() as session:
        return await find_client(session, client_id)


def fields_of(page: httpx.Response) -> dict[str, str]:
    """What the largest form of a page would send as it stands."""
    found = max(re.findall(r"<form.*?</form>", page.text, re.S), key=len)
    values = {}
    for tag in re.findall(r"<input[^>]*>", found):
        name, kind = re.search(r'name="([^"]+)"', tag), re.search(r'type="([^"]+)"', tag)
        value = re.search(r'value="([^"]*)"', tag)
        if name and (kind is None or kind.group(1) != "checkbox" or " checked" in tag):
            values[name.group(1)] = html.unescape(value.group(1)) if value else ""
    for name, text in re.findall(r'<textarea[^>]*name="([^"]+)"[^>]*>(.*?)</textarea>', found, re.S):
        values[name] = html.unescape(text)
    for name, options in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', found, re.S):
        chosen = re.search(r'value="([^"]*)" selected', options)
        values[name] = chosen.group(1) if chosen else ""
    return values


@pytest.mark.parametrize(
    ("kind", "extra", "grants"),
    [
        ("web", {"redirect_uris": "https://a.example/cb"}, ("authorization_code", "refresh_token")),
        ("spa", {"redirect_uris": "https://a.example/cb\n"}, ("authorization_code", "refresh_token")),
        ("native", {"redirect_uris": "com.example.a:/cb"}, ("authorization_code", "refresh_token")),
        ("machine", {"scope:orders:read": "1"}, ("client_credentials",)),
        ("mcp", {"redirect_uris": "http://127.0.0.1/cb"}, ("authorization_code", "refresh_token")),
    ],
)
async def test_a_client_of_each_kind_is_made_with_what_is_usual_for_it(
    console: Console, kind: str, extra: dict[str, str], grants: tuple[str, ...]
) -> None:
    await stage(console)
    ada = await console.signed_in("ada", ADMIN)
    form = {"kind": kind, "id": "made", "name": "Made", **extra}

    answer = await ada.post("/console/clients/-/new", form, page=f"/console/clients/-/new?kind={kind}")

    made = await stored(console, "made")
    assert answer.status_code == 303, answer.text
    assert made is not None
    assert made.grants == grants
    assert made.web_origins == (("https://a.example",) if kind == "spa" else ())
    assert (await ada.get(answer.headers["location"])).status_code == 200


async def test_what_is_wrong_is_named_and_nothing_is_lost(console: Console) -> None:
    ada = await console.signed_in("ada", ADMIN)
    form = {"kind": "web", "id": "made", "name": "Made", "redirect_uris": "http://elsewhere.example/#x"}

    answer = await ada.post("/console/clients/-/new", form, page="/console/clients/-/new?kind=web")

    assert answer.status_code == 422
    assert "redirect_uris" in answer.text
    assert "http://elsewhere.example/#x" in answer.text
    assert await stored(console, "made") is None


async def test_a_new_client_does_not_take_the_place_of_another(console: Console) -> None:
    await stage(console)
    ada = await console.signed_in("ada", ADMIN)
    form = {"kind": "web", "id": "shop", "name": "Mine", "redirect_uris": "https://mine.example/cb"}

    answer = await ada.post("/console/clients/-/new", form, page="/console/clients/-/new?kind=web")

    shop = await stored(console, "shop")
    assert answer.status_code == 422
    assert shop is not None
    assert shop.name == "The Shop"


async def test_saving_a_form_as_it_stands_changes_nothing(console: Console) -> None:
    await stage(console)
    ada = await console.signed_in("ada", ADMIN)
    before = await stored(console, "shop")

    for tab in ("edit", "settings"):
        page = await ada.get(f"/console/clients/shop/{tab}")
        answer = await ada.http.post(f"/console/clients/shop/{tab}", data=fields_of(page))

        assert answer.status_code == 303, answer.text
    assert await stored(console, "shop") == before


async def test_settings_are_changed_by_their_names(console: Console) -> None:
    await stage(console)
    ada = await console.signed_in("ada", ADMIN)
    form = fields_of(await ada.get("/console/clients/shop/settings"))
    form |= {"require_pkce": "1", "refresh_token_lifetime": "3600", "default_acr_values": "a\nb"}

    answer = await ada.http.post("/console/clients/shop/settings", data=form)

    shop = await stored(console, "shop")
    assert answer.status_code == 303, answer.text
    assert shop is not None
    assert (shop.settings.require_pkce, shop.settings.refresh_token_lifetime) == (True, 3600)
    assert shop.settings.refresh_token_rotation


async def test_a_setting_that_cannot_be_is_named(console: Console) -> None:
    await stage(console)
    ada = await console.signed_in("ada", ADMIN)
    form = fields_of(await ada.get("/console/clients/shop/settings"))

    number = await ada.http.post("/console/clients/shop/settings", data=form | {"default_max_age": "soon"})
    profile = await ada.http.post("/console/clients/shop/settings", data=form | {"profile": "fapi2-security"})

    assert number.status_code == 422
    assert "default_max_age" in number.text
    assert profile.status_code == 422
    assert "FAPI 2.0 SP §5.3.2.1 (6)" in profile.text


async def test_of_two_who_change_a_client_the_second_is_told(console: Console) -> None:
    await stage(console)
    ada, bea = await console.signed_in("ada", ADMIN), await console.signed_in("bea", ADMIN)
    hers = fields_of(await ada.get("/console/clients/shop/edit"))
    other = fields_of(await bea.get("/console/clients/shop/edit"))

    first = await ada.http.post("/console/clients/shop/edit", data=hers | {"name": "First"})
    second = await bea.http.post("/console/clients/shop/edit", data=other | {"name": "Second"})

    shop = await stored(console, "shop")
    assert (first.status_code, second.status_code) == (303, 409)
    assert shop is not None
    assert shop.name == "First"


async def test_a_secret_is_shown_once_and_works_until_it_is_removed(console: Console) -> None:
    await stage(console)
    ada = await console.signed_in("ada", ADMIN)

    added = await ada.post("/console/clients/shop/secrets", {"days": "90"})
    again = await ada.get("/console/clients/shop/secrets")

    [secret] = re.findall(r'id="new-secret">([^<]+)<', added.text)
    assert secret not in again.text
    shop = await stored(console, "shop")
    assert shop is not None
    [new] = [one for one in shop.secrets if one.expires_at is not None]
    works = await token(console, secret)
    removed = await ada.post(f"/console/clients/shop/secrets/{new.id}/remove")
    assert (works, removed.status_code) == ("unauthorized_client", 303)
    assert await token(console, secret) == "invalid_client"


async def token(console: Console, secret: str) -> str:
    """What the token endpoint says to the shop with this secret: it may not use client credentials."""
    http = await console.browser()
    form = {"grant_type": "client_credentials"}
    answer = await http.http.post("/oauth/token", data=form, auth=("shop", secret))
    return str(answer.json()["error"])


async def test_a_client_is_disabled_and_enabled_and_says_who_did_it(console: Console) -> None:
    await stage(console)
    person = await console.person("ada", ADMIN)
    ada = await console.browser(person)

    await ada.post("/console/clients/shop/disable")
    disabled = await stored(console, "shop")
    await ada.post("/console/clients/shop/enable", page="/console/clients/shop")
    enabled = await stored(console, "shop")

    assert disabled is not None
    assert enabled is not None
    assert (disabled.disabled, enabled.disabled) == (True, False)
    async with console.engine.database.read() as session:
        [event] = [one for one in await events.latest(session) if one.name == "client.disabled"]
    assert event.actor == f"user:{person.id}"


async def test_a_client_is_deleted_only_when_its_id_was_typed(console: Console) -> None:
    await stage(console)
    ada = await console.signed_in("ada", ADMIN)

    wrong = await ada.post("/console/clients/shop/delete", {"typed": "show"})
    kept = await stored(console, "shop")
    right = await ada.post("/console/clients/shop/delete", {"typed": "shop"})

    assert (wrong.status_code, right.status_code) == (422, 303)
    assert kept is not None
    assert await stored(console, "shop") is None


async def test_clients_are_listed_some_at_a_time(console: Console) -> None:
    from kronborg.clients.model import ClientDraft
    from kronborg.clients.register import save_client
    from kronborg.core import clock

    async with console.engine.database.write() as session:
        for number in range(51):
            draft = ClientDraft(f"job-{number:03}", f"Job {number}", grants=("client_credentials",))
            await save_client(session, draft, actor="test", now=clock.now())
    ada = await console.signed_in("ada", ADMIN)

    first = await ada.get("/console/clients")
    [onward] = re.findall(r'href="([^"]+)" rel="next"', first.text)
    second = await ada.get(html.unescape(onward))
    part = await ada.http.get("/console/clients?q=job-00", headers={"hx-request": "true"})

    assert "job-049" in first.text
    assert "job-050" not in first.text
    assert "job-050" in second.text
    assert part.text.count("<tr>") == 11
    assert "<html" not in part.text


async def test_an_api_is_made_changed_and_deleted(console: Console) -> None:
    ada = await console.signed_in("ada", ADMIN)
    form = {
        "name": "Stock",
        "audience": "https://shop.example/stock",
        "token_format": "jwt",
        "minutes": "5",
        "scopes": "stock:read See what is there\nstock:write",
    }

    made = await ada.post("/console/apis/-/new", form)
    place = made.headers["location"].partition("?")[0]
    edit = fields_of(await ada.get(f"{place}/edit"))
    changed = await ada.http.post(f"{place}/edit", data=edit | {"scopes": "stock:read Look", "status_list": "1"})

    assert (made.status_code, changed.status_code) == (303, 303)
    async with console.engine.database.read() as session:
        [stock] = [api for api in await list_apis(session) if api.name == "Stock"]
    assert [(scope.name, scope.description) for scope in stock.scopes] == [("stock:read", "Look")]
    assert (stock.settings.status_list, stock.token_lifetime.total_seconds()) == (True, 300)
    wrong = await ada.post(f"{place}/delete", {"typed": "stock"})
    right = await ada.post(f"{place}/delete", {"typed": "https://shop.example/stock"})
    assert (wrong.status_code, right.status_code) == (422, 303)
    assert (await ada.get(place)).status_code == 404


@pytest.mark.parametrize("name", ["api", "scim"])
async def test_the_apis_of_kronborg_itself_are_not_deleted(console: Console, name: str) -> None:
    ada = await console.signed_in("ada", ADMIN)
    await ensure_scim_api(console.engine.database, issuer="http://localhost:8081", now=clock.now())
    async with console.engine.database.read() as session:
        [ours] = [api for api in await list_apis(session) if api.audience.endswith(f"8081/{name}")]

    answer = await ada.post(f"/console/apis/{ours.id}/delete", {"typed": ours.audience})

    assert answer.status_code == 409


async def test_names_of_clients_are_text_wherever_they_stand(console: Console) -> None:
    from kronborg.clients.model import ClientDraft
    from kronborg.clients.register import save_client
    from kronborg.core import clock

    draft = ClientDraft("x1", '<img src=x onerror="alert(1)">', grants=("password", "client_credentials"))
    async with console.engine.database.write() as session:
        await save_client(session, draft, actor="test", now=clock.now())
    ada = await console.signed_in("ada", ADMIN)

    for path in ("/console", "/console/clients", "/console/clients/x1", "/console/access/clients/x1"):
        assert "<img src=x" not in (await ada.get(path)).text, path
