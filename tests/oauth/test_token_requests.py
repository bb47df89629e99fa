"""What machines may send: forms, credentials, PKCE; and that nothing malformed is ever a 500."""

import base64
from collections.abc import AsyncIterator
from datetime import datetime
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kronborg.core import opaque
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.oauth import pkce
from kronborg.oauth.errors import InvalidGrant, InvalidRequest
from kronborg.oauth.requests import MAX_FORM, basic_credentials, is_form, parse_form
from token_site import Site, token_site

FORM = {"content-type": "application/x-www-form-urlencoded"}
text = st.text(st.characters(min_codepoint=0x20, exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=30)


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with token_site(database, vault, now) as opened:
        await opened.client("poster", auth_method="client_secret_post")
        yield opened


@given(st.dictionaries(text.filter(bool), text, max_size=20))
def test_a_form_that_was_encoded_reads_back(values: dict[str, str]) -> None:
    form = parse_form(urlencode(values).encode())

    assert form.values == {name: value for name, value in values.items() if value}


@given(st.binary(max_size=200))
def test_any_octets_are_a_form_or_an_invalid_request(body: bytes) -> None:
    try:
        form = parse_form(body, repeatable=("resource",))
    except InvalidRequest:
        return

    assert all(value for value in form.values.values())
    assert all(character >= " " and character != "\x7f" for v in form.values.values() for character in v)


@pytest.mark.spec("RFC 9396 §2")
@pytest.mark.parametrize("name", ["authorization_details", "claims"])
def test_json_may_be_written_on_several_lines_and_nothing_else_may(name: str) -> None:
    indented = '[\r\n\t{"type": "payment"}\n]'

    form = parse_form(urlencode({name: indented}).encode())

    assert form.values == {name: indented}
    for other in (urlencode({"state": indented}), urlencode({name: "[\0]"})):
        with pytest.raises(InvalidRequest):
            parse_form(other.encode())


@pytest.mark.spec("RFC 6749 §3.2")
@pytest.mark.parametrize(
    "body", [b"a=1&a=2", b"a=&a=1", b"a=1&%61=2", b"a=%zz", b"a=%", b"a=%00", b"a=\xc3\xa9", b"a=%ff"]
)
def test_what_is_repeated_or_malformed_is_an_invalid_request(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_form(body)


@pytest.mark.spec("RFC 8707 §2")
def test_only_a_repeatable_parameter_may_come_several_times() -> None:
    form = parse_form(b"resource=a&resource=b&resource=c&scope=x", repeatable=("resource",))

    assert form.several == {"resource": ("a", "b", "c")}


@given(text.filter(lambda t: bool(t)), text)
def test_basic_reads_back_what_was_encoded(client_id: str, secret: str) -> None:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()

    assert basic_credentials(b"Basic " + base64.b64encode(pair)) == (client_id, secret)


@given(st.binary(max_size=100))
def test_any_octets_are_basic_or_nothing(header: bytes) -> None:
    assert basic_credentials(header) is None or header.lower().startswith(b"basic ")


@pytest.mark.parametrize(
    ("content_type", "yes"),
    [
        (b"application/x-www-form-urlencoded", True),
        (b"Application/X-WWW-Form-Urlencoded; charset=UTF-8", True),
        (b"application/x-www-form-urlencoded;charset=latin-1", False),
        (b"application/x-www-form-urlencodedx", False),
        (b"multipart/form-data", False),
        (b"", False),
    ],
)
def test_content_types(content_type: bytes, yes: bool) -> None:
    assert is_form(content_type) is yes


@pytest.mark.spec("RFC 7636 §4.1")
@given(st.text("ABCXYZabcxyz0189-._~", min_size=43, max_size=128))
def test_a_verifier_fits_its_own_challenge_and_no_other(verifier: str) -> None:
    challenge = pkce.challenge_of(verifier)

    pkce.check(verifier, challenge)

    assert pkce.is_challenge(challenge)
    with pytest.raises((InvalidGrant, InvalidRequest)):
        pkce.check(verifier[:-1] + ("a" if verifier[-1] != "a" else "b"), challenge)


@pytest.mark.spec("RFC 7636 §B")
def test_the_vector_of_the_specification() -> None:
    challenge = pkce.challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")

    assert challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@given(st.integers(0, opaque.LENGTH - 1), st.sampled_from("ABCabc019-_"))
def test_an_opaque_credential_with_another_character_is_not_well_formed(at: int, other: str) -> None:
    token = opaque.mint(opaque.ACCESS)
    changed = token[:at] + other + token[at + 1 :]

    assert opaque.well_formed(token, opaque.ACCESS)
    assert opaque.well_formed(changed, opaque.ACCESS) is (changed == token)
    assert not opaque.well_formed(token[:-1], opaque.ACCESS)
    assert not opaque.well_formed(token, opaque.REFRESH)


@pytest.mark.anyio
@pytest.mark.spec("RFC 6749 §5.2")
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/oauth/revoke"])
async def test_each_malformed_request_gets_its_error(site: Site, path: str) -> None:
    async def error(
        method: str = "POST", url: str = path, content: bytes = b"a=1", headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        answer = await site.http.request(method, url, content=content, headers={**FORM, **(headers or {})})
        return answer.status_code, str(answer.json()["error"])

    assert await error("GET") == (405, "invalid_request")
    assert await error("PUT") == (405, "invalid_request")
    assert await error(url=f"{path}?client_id=poster") == (400, "invalid_request")
    assert await error(headers={"content-type": "application/json"}) == (400, "invalid_request")
    assert await error(headers={"content-encoding": "gzip"}) == (400, "invalid_request")
    assert await error(content=b"x=" + b"a" * MAX_FORM) == (400, "invalid_request")
    assert await error(content=b"&".join(b"p%d=1" % n for n in range(60))) == (400, "invalid_request")
    assert await error(content=b"a=1&a=2") == (400, "invalid_request")
    assert await error(content=b"a=1") == (401, "invalid_client")
    assert await error(content=b"") == (401, "invalid_client")


@pytest.mark.anyio
@pytest.mark.spec("RFC 6749 §3.2")
async def test_unknown_parameters_are_ignored_and_empty_ones_absent(site: Site) -> None:
    known = {"client_id": "poster", "client_secret": site.secrets["poster"]}
    ask = {**known, "grant_type": "client_credentials", "scope": "cart:read"}

    unknown = await site.http.post("/oauth/token", data={**ask, "shoe_size": "43"})
    empty = await site.http.post("/oauth/token", data={**known, "grant_type": ""})
    other = await site.http.post("/oauth/token", data={**known, "grant_type": "urn:example:magic"})

    assert unknown.status_code == 200
    assert empty.json()["error"] == "invalid_request"
    assert other.json()["error"] == "unsupported_grant_type"


NAMES = (
    "grant_type",
    "client_id",
    "client_secret",
    "code",
    "code_verifier",
    "redirect_uri",
    "refresh_token",
    "scope",
    "resource",
    "token",
    "client_assertion",
    "client_assertion_type",
)
VALUES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "authorization_code",
            "refresh_token",
            "client_credentials",
            "poster",
            "catalogue:read",
            "https://shop.example/cart",
            "kro_at_" + "A" * 49,
            "kro_rt_" + "A" * 49,
            "kro_ac_" + "A" * 49,
            "eyJhbGciOiJub25lIn0.e30.AA",
        ]
    ),
)


@pytest.mark.anyio
async def test_a_storm_of_requests_never_meets_a_bug(site: Site) -> None:
    seen: set[int] = set()
    bodies: list[tuple[str, bytes, dict[str, str]]] = []

    @settings(max_examples=400, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        path=st.sampled_from(["/oauth/token", "/oauth/introspect", "/oauth/revoke"]),
        pairs=st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=8),
        proved=st.booleans(),
        header=st.one_of(st.none(), st.binary(max_size=40)),
    )
    def gather(path: str, pairs: list[tuple[str, str]], proved: bool, header: bytes | None) -> None:
        own = [("client_id", "poster"), ("client_secret", site.secrets["poster"])] if proved else []
        sent = [*own, *((n, v) for n, v in pairs if not proved or n not in ("client_id", "client_secret"))]
        body = "&".join(f"{n}={quote(v, errors='replace')}" for n, v in sent).encode()
        extra = {} if header is None else {"authorization": header.hex()}
        bodies.append((path, body, extra))

    gather()
    for path, body, extra in bodies:
        answer = await site.http.post(path, content=body, headers={**FORM, **extra})
        site.clock.pass_by(minutes=2)
        seen.add(answer.status_code)
        assert answer.status_code in (200, 400, 401, 429), (path, body, answer.text)

    assert 400 in seen
