"""Whatever is sent to the endpoints that browsers call: no bug, and no redirect to a place that is not registered."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kronborg.oauth.authorize_request import MARK, PARAMETERS
from kronborg.oauth.logout import PARAMETERS as LOGOUT_PARAMETERS
from oauth.flow import CART, CATALOGUE, CHALLENGE, WEB, WISH_LIST, Flow

pytestmark = pytest.mark.anyio

MANY = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FORM = {"content-type": "application/x-www-form-urlencoded"}
REGISTERED = [*WEB.redirect_uris, *WISH_LIST.redirect_uris, *WEB.post_logout_redirect_uris]

JUNK = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", " ", "\0", "\r\nlocation: https://attacker.example", "\ufffd", "x" * 5000, "%", "\ud800", "é"]
    ),
)
TRICKS = st.sampled_from(
    [
        *REGISTERED,
        "https://attacker.example/",
        "https://web.example@attacker.example/callback",
        "https://web.example/callback@attacker.example",
        "https://web.example/callback\\@attacker.example",
        "https://web.example/callback?next=//attacker.example",
        "//attacker.example",
        "javascript:alert(1)//https://web.example/callback",
    ]
)
LIKELY = {
    "client_id": st.sampled_from(["web", "wish-list", "resource-server"]),
    "redirect_uri": TRICKS,
    "post_logout_redirect_uri": TRICKS,
    "response_type": st.sampled_from(["code", "token", "code id_token", "none", "code code", " "]),
    "response_mode": st.sampled_from(
        ["query", "fragment", "form_post", "jwt", "query.jwt", "form_post.jwt", "jwt.jwt"]
    ),
    "claims": st.sampled_from(["{}", "{", '{"id_token":{"acr":{"essential":true,"values":["x",1]}}}', "[" * 900]),
    "authorization_details": st.sampled_from(["[]", '[{"type":"x"}]', '[{"type":{}}]', "[" * 900, "1e999"]),
    "dpop_jkt": st.sampled_from(["A" * 43, "A"]),
    "request": st.sampled_from(["e30.e30.", "e30.e30.e30", "a.b.c.d.e", "eyJhbGciOiJub25lIn0.e30."]),
    "request_uri": st.sampled_from(["urn:ietf:params:oauth:request_uri:" + "A" * 43, "urn:x", "https://[::1"]),
    "acr_values": st.sampled_from(["urn:kronborg:acr:password", "urn:kronborg:acr:multi-factor x", " "]),
    "scope": st.sampled_from(["openid", "openid catalogue:read", "cart:read", "admin:write", "a  b"]),
    "resource": st.sampled_from([CATALOGUE, CART, "https://shop.example/none", f"{CART}#x", "cart", "http://[::1"]),
    "code_challenge": st.sampled_from([CHALLENGE, CHALLENGE[1:]]),
    "code_challenge_method": st.sampled_from(["S256", "plain"]),
    "prompt": st.sampled_from(["none", "login", "consent", "none login", "select_account"]),
    "max_age": st.sampled_from(["0", "1", "999999999", "-1", "9" * 40, "١"]),
    "id_token_hint": st.sampled_from(["a.b.c", "e30.e30.e30", "eyJhbGciOiJub25lIn0.e30."]),
    MARK: st.sampled_from(["1.x", f"{'9' * 16}.{'A' * 43}", f"0.{'A' * 43}"]),
}


def requests(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Query strings: mostly plausible parameters, some repeated, some junk, some not encoded at all."""
    pair = st.sampled_from([*names, MARK, "unknown"]).flatmap(
        lambda name: st.tuples(st.just(name), LIKELY.get(name, JUNK) | JUNK)
    )
    plain = st.fixed_dictionaries({}, optional={name: LIKELY.get(name, JUNK) for name in names}).map(encoded)
    fixed = {"client_id": LIKELY["client_id"], "redirect_uri": TRICKS, "response_type": st.just("code")}
    others = {name: LIKELY.get(name, JUNK) for name in names if name not in (*fixed, "request", "request_uri")}
    sound = st.fixed_dictionaries(fixed, optional=others).map(encoded)
    mixed = st.lists(pair, max_size=12).map(lambda pairs: "&".join(encoded(dict([pair])) for pair in pairs))
    raw = st.binary(max_size=60).map(lambda body: quote(body, safe="=&%+;"))
    return st.one_of(plain, sound, mixed, raw)


def encoded(values: Mapping[str, str]) -> str:
    return urlencode(values, errors="surrogatepass")


def check(answer: httpx.Response) -> None:
    """No bug; and where a redirect leads away, it leads to a registered address."""
    assert answer.status_code < 500, answer.text
    location = answer.headers.get("location")
    if location is None:
        return
    assert answer.status_code == 303
    assert "\r" not in location
    assert "\n" not in location
    ours = location.startswith(("/signin?", "/oauth/", "/signout", "/account"))
    # Nothing but the answer may follow the address, and not in its path.
    assert ours or any(location == uri or location.startswith((f"{uri}?", f"{uri}#")) for uri in REGISTERED), location


@MANY
@given(query=requests(PARAMETERS))
async def test_authorize_by_a_stranger(flow: Flow, query: str) -> None:
    flow.http.cookies.clear()

    check(await flow.http.get(f"/oauth/authorize?{query}"))
    check(await flow.http.post("/oauth/authorize", content=query, headers=FORM))


@MANY
@given(query=requests(PARAMETERS))
async def test_authorize_by_somebody_signed_in(flow: Flow, query: str) -> None:
    if "kronborg_session" not in flow.http.cookies:
        await flow.code(flow.driver())

    check(await flow.http.get(f"/oauth/authorize?{query}"))
    check(await flow.http.post("/oauth/authorize", content=query, headers=FORM))


@MANY
@given(query=requests(LOGOUT_PARAMETERS))
async def test_logout(flow: Flow, query: str) -> None:
    if "kronborg_session" not in flow.http.cookies:
        await flow.code(flow.driver())

    check(await flow.http.get(f"/oauth/logout?{query}"))
    check(await flow.http.post("/oauth/logout", content=query, headers=FORM))


@MANY
@given(
    header=st.one_of(st.none(), st.binary(max_size=40), st.text(max_size=20).map(lambda t: f"Bearer {t}".encode())),
    body=st.binary(max_size=80) | st.text(max_size=20).map(lambda text: urlencode({"access_token": text}).encode()),
    query=st.text(max_size=20).map(quote),
)
async def test_userinfo(flow: Flow, header: bytes | None, body: bytes, query: str) -> None:
    headers = [(b"authorization", header)] if header is not None else []
    form = [(b"content-type", b"application/x-www-form-urlencoded"), *headers]

    answers = [
        await flow.http.get(f"/oauth/userinfo?{query}", headers=headers),
        await flow.http.post("/oauth/userinfo", content=body, headers=form),
    ]

    assert {answer.status_code for answer in answers} <= {400, 401}


@MANY
@given(body=st.binary(max_size=200), query=requests(PARAMETERS))
async def test_forms_of_ours(flow: Flow, body: bytes, query: str) -> None:
    for path in ("/oauth/consent", "/oauth/logout/confirm", "/account/apps"):
        check(await flow.http.post(path, content=body, headers=FORM))
        check(await flow.http.post(path, content=encoded({"request": query, "decision": "allow"}), headers=FORM))
