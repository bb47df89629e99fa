"""Authorization details (RFC 9396): asked for, shown, allowed exactly, and told to the API that they are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forms import forms_of
from kronborg.clients.directory import Apis
from kronborg.clients.model import Api, ApiDraft, Client, ClientDraft, Scope
from kronborg.clients.register import save_api
from kronborg.clients.settings import ApiSettings, ClientSettings
from kronborg.core.jose import parse
from kronborg.core.json import JsonObject, JsonValue
from kronborg.oauth.authorization_details import read_details
from kronborg.oauth.authorize_errors import InvalidAuthorizationDetails
from kronborg.tokens.rich import for_audience, within
from oauth.flow import CART, CATALOGUE, WEB, WISH_LIST, Browser, Flow, answer_of, is_consent, is_sign_in

PAYMENT: dict[str, JsonValue] = {
    "type": "payment",
    "locations": [CATALOGUE],
    "actions": ["initiate", "status"],
    "instructedAmount": {"currency": "EUR", "amount": "123.50"},
    "creditorName": "Merchant A",
    "urgent": True,
}
ORDER: dict[str, JsonValue] = {"type": "order", "actions": ["read"]}
TYPES = ("payment", "order")
SHOP = replace(WISH_LIST, settings=ClientSettings(authorization_details_types=TYPES))
OURS = replace(WEB, settings=ClientSettings(authorization_details_types=TYPES))

pytestmark = pytest.mark.anyio


def text(*details: Mapping[str, JsonValue]) -> str:
    return orjson.dumps(details).decode()


async def prepare(flow: Flow, *clients: ClientDraft) -> None:
    """The catalogue knows payments, the cart knows orders and payments."""
    async with flow.database.write() as session:
        for audience, name, form, known, scopes in (
            (CATALOGUE, "Catalogue", "jwt", ("payment",), ("catalogue:read", "catalogue:write")),
            (CART, "Cart", "reference", ("payment", "order"), ("cart:read",)),
        ):
            settings = ApiSettings(authorization_details_types=known)
            draft = ApiDraft(audience, name, tuple(Scope(s, s) for s in scopes), token_format=form, settings=settings)
            await save_api(session, draft, actor="test", now=flow.clock.now)
    for client in clients or (SHOP, OURS):
        await flow.client(client)


async def ask(flow: Flow, browser: Browser, client: ClientDraft, *details: Mapping[str, JsonValue]) -> httpx.Response:
    """Ask, and sign in."""
    page = await flow.authorize(browser, client, authorization_details=text(*details), scope=None)
    return await browser.sign_in(page) if is_sign_in(page) else page


@pytest.mark.spec("RFC 9396 §3")
@pytest.mark.spec("RFC 9396 §7")
@pytest.mark.spec("RFC 9396 §9.1")
async def test_what_is_allowed_stands_in_the_token(flow: Flow) -> None:
    await prepare(flow)
    browser = flow.browser()

    page = await ask(flow, browser, SHOP, PAYMENT)
    answer = await browser.press(page, "allow")
    tokens = (await flow.exchange(answer_of(answer)["code"], SHOP)).json()

    assert is_consent(page)
    assert tokens["authorization_details"] == [PAYMENT]
    assert parse(tokens["access_token"]).claims["authorization_details"] == [PAYMENT]
    assert (await flow.introspect(tokens["access_token"]))["authorization_details"] == [PAYMENT]
    again = (await flow.refresh(tokens["refresh_token"], SHOP)).json()
    assert again["authorization_details"] == [PAYMENT]


@pytest.mark.spec("RFC 9396 §11.2")
async def test_all_of_it_is_shown_and_escaped(flow: Flow) -> None:
    await prepare(flow)
    odd: dict[str, JsonValue] = {
        **PAYMENT,
        "note": "<script>alert(1)</script>",
        "lines": [{"item": "Lamp", "count": 2}],
        "nothing": None,
    }

    page = await ask(flow, flow.browser(), SHOP, odd)

    for shown in ("initiate", "status", "Catalogue", "123.50", "EUR", "Merchant A", "Lamp", "yes", "nothing"):
        assert shown in page.text
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text


@pytest.mark.spec("RFC 9396 §11.2")
async def test_a_yes_is_for_this_request_alone(flow: Flow) -> None:
    await prepare(flow)
    browser = flow.browser()
    await browser.press(await ask(flow, browser, SHOP, PAYMENT), "allow")

    same = await ask(flow, browser, SHOP, PAYMENT)
    dearer = await ask(flow, browser, SHOP, {**PAYMENT, "instructedAmount": {"currency": "EUR", "amount": "9999"}})
    silent = await flow.authorize(browser, SHOP, authorization_details=text(PAYMENT), scope=None, prompt="none")

    assert is_consent(same)
    assert is_consent(dearer)
    assert answer_of(silent)["error"] == "consent_required"


@pytest.mark.spec("RFC 9396 §11.2")
async def test_a_yes_to_one_is_no_yes_to_another_that_was_open(flow: Flow) -> None:
    await prepare(flow)
    browser = flow.browser()
    dear = await ask(flow, browser, SHOP, {**PAYMENT, "instructedAmount": {"currency": "EUR", "amount": "9999"}})
    cheap = await ask(flow, browser, SHOP, PAYMENT)
    flow.clock.pass_by(seconds=1)
    await browser.press(cheap, "allow")

    # The marked address of the dear one, as the browser has it.
    fields = next(form for form in _forms(dear) if "request" in form)
    reloaded = await browser.get(f"/oauth/authorize?{fields['request']}")

    assert is_consent(reloaded)


def _forms(page: httpx.Response) -> list[dict[str, str]]:
    return [form.fields for form in forms_of(page)]


@pytest.mark.spec("RFC 9396 §11.2")
async def test_an_allowed_request_is_answered_once(flow: Flow) -> None:
    await prepare(flow)
    browser = flow.browser()
    page = await ask(flow, browser, SHOP, PAYMENT)
    first = await browser.press(page, "allow")

    second = await browser.press(page, "allow")

    assert "code" in answer_of(first)
    assert answer_of(second)["error"] == "invalid_request_uri"


async def test_the_list_of_apps_tells_the_types(flow: Flow) -> None:
    await prepare(flow)
    browser = flow.browser()
    answer = await browser.press(await ask(flow, browser, SHOP, PAYMENT), "allow")
    await flow.exchange(answer_of(answer)["code"], SHOP)

    page = await browser.get("/account/apps")

    assert "What you allowed in detail" in page.text
    assert "payment" in page.text


async def test_our_own_clients_ask_nobody(flow: Flow) -> None:
    await prepare(flow)

    tokens = await flow.exchange(answer_of(await ask(flow, flow.browser(), OURS, PAYMENT))["code"], OURS)

    assert tokens.json()["authorization_details"] == [PAYMENT]


async def test_our_own_clients_may_wish_that_somebody_is_asked(flow: Flow) -> None:
    await prepare(flow)
    browser = flow.browser()
    await flow.code(browser, OURS)

    page = await flow.authorize(browser, OURS, authorization_details=text(PAYMENT), scope=None, prompt="consent")
    answer = await browser.press(page, "allow")

    assert is_consent(page)
    assert (await flow.exchange(answer_of(answer)["code"], OURS)).json()["authorization_details"] == [PAYMENT]


@pytest.mark.spec("RFC 9396 §6")
async def test_a_token_tells_its_api_what_is_for_it(flow: Flow) -> None:
    await prepare(flow)
    anywhere = {"type": "payment", "actions": ["status"]}
    code = answer_of(await ask(flow, flow.browser(), OURS, PAYMENT, ORDER, anywhere))["code"]

    catalogue = (await flow.exchange(code, OURS, resource=CATALOGUE)).json()
    cart = (await flow.refresh(catalogue["refresh_token"], OURS, resource=CART)).json()

    assert catalogue["authorization_details"] == [PAYMENT, anywhere]
    assert cart["authorization_details"] == [ORDER, anywhere]
    assert (await flow.introspect(cart["access_token"]))["authorization_details"] == [ORDER, anywhere]


@pytest.mark.spec("RFC 9396 §6")
async def test_a_token_request_may_ask_for_less_and_not_for_more(flow: Flow) -> None:
    await prepare(flow)
    less = {**PAYMENT, "actions": ["status"]}
    more = {**PAYMENT, "actions": ["initiate", "status", "cancel"]}
    other = {**PAYMENT, "instructedAmount": {"currency": "EUR", "amount": "9999"}}
    open_ended = {name: value for name, value in PAYMENT.items() if name != "actions"}
    code = answer_of(await ask(flow, flow.browser(), OURS, PAYMENT))["code"]

    wider = [await flow.exchange(code, OURS, authorization_details=text(one)) for one in (more, other, open_ended)]
    narrow = (await flow.exchange(code, OURS, authorization_details=text(less))).json()
    whole = (await flow.refresh(narrow["refresh_token"], OURS)).json()
    wide = await flow.refresh(whole["refresh_token"], OURS, authorization_details=text(more))

    assert [answer.json()["error"] for answer in wider] == ["invalid_authorization_details"] * 3
    assert narrow["authorization_details"] == [less]
    assert whole["authorization_details"] == [PAYMENT]
    assert wide.json()["error"] == "invalid_authorization_details"


async def test_without_details_none_can_be_asked_for_later(flow: Flow) -> None:
    await prepare(flow)
    code = await flow.code(flow.browser(), OURS)

    refused = await flow.exchange(code, OURS, authorization_details=text(PAYMENT))

    assert refused.json()["error"] == "invalid_authorization_details"
    assert "authorization_details" not in (await flow.exchange(code, OURS)).json()


@pytest.mark.spec("RFC 9396 §5")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param("", id="not-json"),
        pytest.param("{}", id="object"),
        pytest.param("[]", id="empty"),
        pytest.param('[{"actions":["read"]}]', id="no-type"),
        pytest.param('[{"type":5}]', id="number-as-type"),
        pytest.param('[{"type":"unknown"}]', id="unknown-type"),
        pytest.param('[{"type":"payment","type":"order"}]', id="twice"),
        pytest.param('[{"type":"payment","actions":"read"}]', id="text-for-list"),
        pytest.param('[{"type":"payment","actions":[1]}]', id="number-in-list"),
        pytest.param('[{"type":"payment","locations":["https://elsewhere.example"]}]', id="elsewhere"),
        pytest.param('[{"type":"order","locations":["https://shop.example/catalogue"]}]', id="wrong-api"),
        pytest.param('[{"type":"payment","identifier":5}]', id="identifier"),
        pytest.param('[{"type":"payment","x":NaN}]', id="nan"),
        pytest.param('[{"type":"payment","x":"\\u202e"}]', id="direction"),
        pytest.param('[{"type":"payment","x":"\\u0000"}]', id="nul"),
        pytest.param('[{"type":"payment","x":"\\ud800"}]', id="surrogate"),
        pytest.param('[{"type":"payment","x":' + "[" * 100 + "]" * 100 + "}]", id="deep"),
        pytest.param('[{"type":"payment","x":' + "9" * 100 + "}]", id="large-number"),
        pytest.param('[{"type":"payment"}' + ',{"type":"payment"}' * 10 + "]", id="many"),
        pytest.param('[{"type":"payment","x":"' + "x" * 2001 + '"}]', id="long"),
    ],
)
async def test_what_is_not_right_is_refused(flow: Flow, sent: str) -> None:
    await prepare(flow)

    details = sent or "["
    told = answer_of(await flow.authorize(flow.browser(), SHOP, authorization_details=details, scope=None))
    uri = SHOP.redirect_uris[0]
    pushed = await flow.call("/oauth/par", SHOP, response_type="code", redirect_uri=uri, authorization_details=details)

    assert (told["error"], told["state"]) == ("invalid_authorization_details", "state-1")
    assert (pushed.status_code, pushed.json()["error"]) == (400, "invalid_authorization_details")


async def test_a_client_asks_for_its_registered_types_only(flow: Flow) -> None:
    await prepare(flow, replace(SHOP, settings=ClientSettings(authorization_details_types=("order",))))

    told = answer_of(await flow.authorize(flow.browser(), SHOP, authorization_details=text(PAYMENT)))

    assert told["error"] == "invalid_authorization_details"


@pytest.mark.spec("RFC 9396 §6")
async def test_a_client_may_ask_for_itself(flow: Flow) -> None:
    settings = ClientSettings(authorization_details_types=TYPES)
    job = ClientDraft("job", "Job", grants=("client_credentials",), scopes=("cart:read",), settings=settings)
    await prepare(flow, job)
    grant = {"grant_type": "client_credentials"}

    alone = (await flow.token(job, **grant, authorization_details=text(PAYMENT))).json()
    beside = (await flow.token(job, **grant, scope="cart:read", authorization_details=text(ORDER))).json()
    elsewhere = await flow.token(job, **grant, resource=CART, authorization_details=text(PAYMENT, ORDER))
    unmeant = await flow.token(job, **grant, scope="cart:read", authorization_details=text(PAYMENT))
    wrong = await flow.token(job, **grant, authorization_details=text({"type": "unknown"}))

    assert alone["authorization_details"] == [PAYMENT]
    assert parse(alone["access_token"]).claims["authorization_details"] == [PAYMENT]
    assert (beside["scope"], beside["authorization_details"]) == ("cart:read", [ORDER])
    assert (await flow.introspect(beside["access_token"]))["authorization_details"] == [ORDER]
    assert elsewhere.json()["authorization_details"] == [ORDER]
    assert [a.json()["error"] for a in (unmeant, wrong)] == ["invalid_authorization_details"] * 2


async def test_large_details_are_pushed(flow: Flow) -> None:
    await prepare(flow)
    browser = flow.browser()
    large = {**PAYMENT, "lines": [{"item": f"item {number}", "note": "n" * 400} for number in range(25)]}
    sent = {"response_type": "code", "redirect_uri": SHOP.redirect_uris[0], "authorization_details": text(large)}

    pushed = await flow.call("/oauth/par", SHOP, code_challenge=None, **sent)
    names = ("redirect_uri", "response_type", "scope", "state", "nonce", "code_challenge", "code_challenge_method")
    outer = dict.fromkeys(names)
    page = await browser.sign_in(await flow.authorize(browser, SHOP, **outer, request_uri=pushed.json()["request_uri"]))
    answer = await browser.press(page, "allow")
    tokens = (await flow.exchange(answer_of(answer)["code"], SHOP, code_verifier=None)).json()

    assert tokens["authorization_details"] == [large]


async def test_the_metadata_lists_the_types(flow: Flow) -> None:
    await prepare(flow)

    metadata = (await flow.http.get("/.well-known/oauth-authorization-server")).json()

    assert metadata["authorization_details_types_supported"] == ["order", "payment"]


# --- properties ----------------------------------------------------------------------------------------------------

LEAVES = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
LISTS = st.lists(st.sampled_from(["read", "write", "cancel"]), max_size=3)
PLACES = st.lists(st.sampled_from([CATALOGUE, CART]), max_size=2)
DETAIL = st.fixed_dictionaries(
    {"type": st.sampled_from(["payment", "order", "unknown"])},
    optional={"actions": LISTS, "datatypes": LISTS, "locations": PLACES, "x": VALUES, "y": LEAVES},
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def api(audience: str, *types: str) -> Api:
    settings = ApiSettings(authorization_details_types=types)
    return Api(audience, audience, "Name", (), "jwt", timedelta(minutes=5), NOW, NOW, settings)


APIS = Apis({CATALOGUE: api(CATALOGUE, "payment"), CART: api(CART, "payment", "order")}, {}, frozenset())
CLIENT = Client(
    id="web",
    name="Web",
    kind="public",
    auth_method="none",
    redirect_uris=(),
    post_logout_redirect_uris=(),
    web_origins=(),
    grants=(),
    scopes=(),
    audiences=(),
    jwks=None,
    first_party=False,
    disabled=False,
    created_at=NOW,
    updated_at=NOW,
    settings=ClientSettings(authorization_details_types=TYPES),
)


@given(st.text(max_size=60) | st.lists(DETAIL | VALUES, max_size=4).map(lambda value: orjson.dumps(value).decode()))
def test_anything_is_read_or_refused_as_such(sent: str) -> None:
    try:
        found = read_details(sent, CLIENT, APIS)
    except InvalidAuthorizationDetails:
        return

    assert 1 <= len(found) <= 10
    assert all(one["type"] in TYPES for one in found)
    assert orjson.loads(orjson.dumps(found)) == orjson.loads(sent)


@given(st.lists(DETAIL, max_size=4), DETAIL)
def test_whatever_is_within_is_never_more(granted: Sequence[JsonObject], asked: JsonObject) -> None:
    if not within(asked, granted):
        return

    parents = [one for one in granted if one["type"] == asked["type"]]
    assert any(
        all(set(asked.get(name, ())) <= set(one[name]) for name in ("actions", "datatypes", "locations") if name in one)  # type: ignore[arg-type]
        and {n: v for n, v in asked.items() if n in ("x", "y")} == {n: v for n, v in one.items() if n in ("x", "y")}
        for one in parents
    )


@given(st.lists(DETAIL, max_size=5), st.sampled_from([CATALOGUE, CART, "https://other.example"]))
def test_an_api_is_told_of_its_own_types_only(details: Sequence[JsonObject], audience: str) -> None:
    told = for_audience(details, audience, APIS)

    known = APIS.by_audience.get(audience)
    types = () if known is None else known.settings.authorization_details_types
    assert all(one in details and one["type"] in types for one in told)
