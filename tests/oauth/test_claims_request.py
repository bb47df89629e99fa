"""The claims parameter (OIDC Core §5.5): single claims by name, with the person's yes, and nothing unregistered."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.core.jose import parse
from kronborg.oauth.claims_request import SCOPE_OF, read_claims
from kronborg.oauth.errors import InvalidRequest
from kronborg.tokens.rich import texts
from oauth.flow import USERINFO, WEB, WISH_LIST, Flow, Value, answer_of, is_consent, is_sign_in

pytestmark = [pytest.mark.anyio, pytest.mark.spec("OIDC Core §5.5")]


def asked(**places: object) -> str:
    return orjson.dumps(places).decode()


async def test_a_claim_asked_for_by_name_is_told_where_it_was_asked_for(flow: Flow) -> None:
    wishes = asked(id_token={"email": None}, userinfo={"name": {"essential": True}})
    tokens = await flow.tokens(flow.browser(), scope="openid", claims=wishes, resource=USERINFO)

    told = parse(tokens["id_token"]).claims
    userinfo = (await flow.userinfo(tokens["access_token"])).json()
    assert told["email"] == "ada@kronborg.example"
    assert "name" not in told
    assert userinfo.keys() == {"sub", "name"}
    assert tokens["scope"] == "openid"


async def test_what_the_client_is_not_registered_for_is_not_told(flow: Flow) -> None:
    await flow.client(replace(WISH_LIST, first_party=True))
    tokens = await flow.tokens(flow.browser(), WISH_LIST, scope="openid", claims=asked(id_token={"email": None}))

    assert "email" not in parse(tokens["id_token"]).claims


async def test_the_person_is_asked_for_it(flow: Flow) -> None:
    browser = flow.browser()
    first = await browser.sign_in(await flow.authorize(browser, WISH_LIST, scope="openid"))
    await browser.press(first, "allow")

    wider = await flow.authorize(browser, WISH_LIST, scope="openid", claims=asked(userinfo={"name": None}))
    answer = await browser.press(wider, "allow")
    again = await flow.authorize(browser, WISH_LIST, scope="openid", claims=asked(userinfo={"name": None}))

    assert "See your name" not in first.text
    assert is_consent(wider)
    assert "See your name" in wider.text
    assert "code" in answer_of(answer)
    assert "code" in answer_of(again)


@pytest.mark.spec("OIDC Core §5.5.1")
async def test_a_certain_person_or_nobody(flow: Flow) -> None:
    browser = flow.browser()
    await flow.person("bob")
    ada = parse((await flow.tokens(browser))["id_token"]).claims["sub"]

    same = await flow.authorize(browser, claims=asked(id_token={"sub": {"value": ada}}))
    page = await flow.authorize(browser, claims=asked(id_token={"sub": {"value": "somebody-else"}}))
    other = await browser.sign_in(page, "bob")

    assert "code" in answer_of(same)
    assert is_sign_in(page)
    assert answer_of(other)["error"] == "login_required"


@pytest.mark.parametrize(
    "sent",
    [
        "x",
        "[]",
        '"text"',
        '{"id_token":[]}',
        '{"id_token":{"email":true}}',
        '{"id_token":{"email":{"essential":"yes"}}}',
        '{"id_token":{"email":null,"email":null}}',
        '{"userinfo":' + "{" * 3 + "}" * 2,
        '{"id_token":{' + ",".join(f'"c{number}":null' for number in range(51)) + "}}",
    ],
)
async def test_what_is_malformed_is_refused(flow: Flow, sent: str) -> None:
    told: dict[str, str] = answer_of(await flow.authorize(flow.browser(), claims=sent))

    assert (told["error"], told["state"]) == ("invalid_request", "state-1")


async def test_what_is_unknown_is_ignored(flow: Flow) -> None:
    wishes: Value = asked(id_token={"shoe_size": {"essential": True}}, verified={"x": 1}, userinfo=None)

    tokens = await flow.tokens(flow.browser(), WEB, claims=wishes)

    assert "shoe_size" not in parse(tokens["id_token"]).claims


LEAVES = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8)
WISH = st.none() | st.dictionaries(st.sampled_from(["essential", "value", "values", "x"]), LEAVES | st.lists(LEAVES))
PLACE = st.none() | st.dictionaries(st.sampled_from([*SCOPE_OF, "acr", "sub", "x"]), WISH | LEAVES, max_size=5)
DOCUMENT = st.dictionaries(st.sampled_from(["id_token", "userinfo", "other"]), PLACE | LEAVES, max_size=3)


@given(
    st.text(max_size=60) | DOCUMENT.map(lambda value: orjson.dumps(value).decode()),
    st.sets(st.sampled_from(["profile", "email"])),
)
def test_anything_is_read_or_refused_and_never_wider(sent: str, registered: set[str]) -> None:
    try:
        found = read_claims(sent, registered)
    except InvalidRequest:
        return

    assert found.scopes <= registered
    assert {SCOPE_OF[str(name)] for kept in (found.kept or {}).values() for name in texts(kept)} == found.scopes
