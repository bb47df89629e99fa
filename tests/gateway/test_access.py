"""Who passes a protected route, and how the rest is told no."""

from __future__ import annotations

import base64
import hmac
import json
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jwk import ECKey

from gateway.live import API, OTHER_API, Answer, Live, b64
from kronborg.gateway.model import Path, Route

READ = Route("read", Path("prefix", "/catalogue"), "echo", audience=API, scopes=("catalogue:read",))
BOTH = Route("both", Path("prefix", "/both"), "echo", audience=API, scopes=("catalogue:read", "catalogue:write"))
ROLES = Route("roles", Path("prefix", "/roles"), "echo", audience=API, roles=("admin", "clerk"))
PUBLIC = Route("public", Path("prefix", "/public"), "echo", public=True)


@pytest.fixture
def protected(gateway: Live) -> Live:
    gateway.publish(READ, BOTH, ROLES, PUBLIC)
    return gateway


POINTER = "http://localhost:8080/.well-known/oauth-protected-resource"


def challenge(path: str, error: str | None = None, scope: str | None = "catalogue:read") -> str:
    """What a refusal of the route at `path` says in WWW-Authenticate."""
    said = "" if error is None else f', error="{error}"'
    wanted = "" if scope is None else f', scope="{scope}"'
    return f'Bearer realm="kronborg"{said}{wanted}, resource_metadata="{POINTER}{path}"'


def assert_refused(answer: Answer, status: int, challenge: str | None) -> None:
    assert answer.status == status
    assert answer.headers.get("www-authenticate") == challenge
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert set(problem) == {"type", "title", "status", "detail", "reason", "request_id"}
    assert b"jwt" not in answer.body.lower()
    assert b"rbac" not in answer.body.lower()


INVALID = challenge("/catalogue", "invalid_token")


def test_a_valid_token_reaches_the_service(protected: Live) -> None:
    token = protected.token()

    answer = protected.get("/catalogue/items?page=2", token=token)

    assert answer.status == 200
    assert answer.json()["path"] == "/catalogue/items?page=2"
    assert answer.seen("authorization") == [f"Bearer {token}"]


@pytest.mark.spec("RFC 6750 §3.1")
def test_rfc6750_3_1__without_a_token_the_challenge_has_no_error_code(protected: Live) -> None:
    answer = protected.get("/catalogue/items")

    assert_refused(answer, 401, challenge("/catalogue"))


@pytest.mark.spec("RFC 6750 §3.1")
def test_rfc6750_3_1__a_missing_scope_is_named_in_the_challenge(protected: Live) -> None:
    answer = protected.get("/both", token=protected.token())

    assert_refused(answer, 403, challenge("/both", "insufficient_scope", "catalogue:read catalogue:write"))


def test_every_scope_of_a_route_is_required_and_none_may_hide_in_another(protected: Live) -> None:
    enough = protected.get("/both", token=protected.token(scope="catalogue:write openid catalogue:read"))
    longer = protected.get("/catalogue", token=protected.token(scope="catalogue:reader xcatalogue:read"))
    none = protected.get("/catalogue", token=protected.token(scope=None))

    assert (enough.status, longer.status, none.status) == (200, 403, 403)


def test_one_of_the_roles_is_enough_and_none_is_not(protected: Live) -> None:
    clerk = protected.get("/roles", token=protected.token(roles=["guest", "clerk"]))
    guest = protected.get("/roles", token=protected.token(roles=["guest"]))
    without = protected.get("/roles", token=protected.token())
    text = protected.get("/roles", token=protected.token(roles="admin"))

    assert (clerk.status, guest.status, without.status, text.status) == (200, 403, 403, 403)
    assert_refused(guest, 403, challenge("/roles", "insufficient_scope", None))


def test_a_role_from_one_request_does_not_stick_to_the_next(protected: Live) -> None:
    first = protected.get("/roles", token=protected.token(roles=["admin"]))
    second = protected.get("/roles", token=protected.token(roles=[]))

    assert (first.status, second.status) == (200, 403)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"aud": OTHER_API}, id="another audience"),
        pytest.param({"aud": None}, id="no audience"),
        pytest.param({"aud": API + "/x"}, id="a longer audience"),
        pytest.param({"aud": API[:-1]}, id="a shorter audience"),
        pytest.param({"aud": API.upper()}, id="an audience in capitals"),
        pytest.param({"aud": [OTHER_API, "shop-web"]}, id="other audiences"),
        pytest.param({"iss": "http://localhost:8081/"}, id="issuer with a slash"),
        pytest.param({"iss": "https://evil.example"}, id="another issuer"),
        pytest.param({"iss": None}, id="no issuer"),
        pytest.param({"exp": None}, id="no expiry"),
        pytest.param({"client_id": None}, id="no client"),
        pytest.param({"typ": "JWT"}, id="type of an ID token"),
        pytest.param({"typ": None}, id="no type"),
        pytest.param({"typ": "logout+jwt"}, id="type of a logout token"),
    ],
)
@pytest.mark.spec("RFC 9068 §4")
def test_rfc9068_4__a_token_that_is_not_for_this_route_is_invalid(protected: Live, changed: dict[str, object]) -> None:
    answer = protected.get("/catalogue", token=protected.token(**changed))  # type: ignore[arg-type]

    assert_refused(answer, 401, INVALID)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ('{"typ":"at+jwt","alg":"ES256","kid":"key-1"}', 200),
        ('{"alg":"ES256","typ":"at+jwt","kid":"key-1"}', 200),
        ('{ "alg": "ES256",\n "kid": "key-1", "typ" : "at+jwt" }', 200),
        ('{"alg":"ES256","kid":"key-1","cty":"at+jwt"}', 401),
        ('{"alg":"ES256","kid":"key-1","x":{"typ":"at+jwt"}}', 401),
        ('{"alg":"ES256","kid":"key-1","typ":"at+jwtx"}', 401),
        ('{"alg":"ES256","kid":"key-1","typ":"AT+JWT"}', 401),
        ('{"alg":"ES256","kid":"key-1","typ":["at+jwt"]}', 401),
        ('{"alg":"ES256","kid":"key-1","x":"\\"typ\\":\\"at+jwt\\""}', 401),
    ],
)
@pytest.mark.spec("RFC 9068 §4")
def test_rfc9068_4__the_type_is_read_wherever_it_stands_and_only_there(protected: Live, head: str, status: int) -> None:
    signed = f"{b64(head.encode())}.{b64(json.dumps(protected.claims()).encode())}"
    signature = protected.key.get_op_key("sign").sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(signature)

    answer = protected.get("/catalogue", token=f"{signed}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}")

    assert answer.status == status
    if status != 200:
        assert_refused(answer, status, INVALID)


def test_an_expired_token_is_invalid_and_one_not_yet_valid_too(protected: Live) -> None:
    now = int(time.time())

    old = protected.get("/catalogue", token=protected.token(exp=now - 10))
    early = protected.get("/catalogue", token=protected.token(nbf=now + 100))

    assert_refused(old, 401, INVALID)
    assert_refused(early, 401, INVALID)


def test_an_id_token_does_not_pass(protected: Live) -> None:
    id_token = protected.token(typ="JWT", aud="shop-web", client_id=None, scope=None, nonce="n")

    answer = protected.get("/public/../catalogue", token=id_token)

    assert_refused(answer, 401, INVALID)


@pytest.mark.spec("RFC 8725 §3.1")
@pytest.mark.parametrize("algorithm", ["none", "None", "NONE"])
def test_rfc8725_3_1__an_unsigned_token_does_not_pass(protected: Live, algorithm: str) -> None:
    header = b64(json.dumps({"alg": algorithm, "typ": "at+jwt"}, separators=(",", ":")).encode())
    payload = b64(json.dumps(protected.claims()).encode())

    empty = protected.get("/catalogue", token=f"{header}.{payload}.")
    some = protected.get("/catalogue", token=f"{header}.{payload}.AAAA")

    assert_refused(empty, 401, INVALID)
    assert_refused(some, 401, INVALID)


@pytest.mark.spec("RFC 8725 §3.1")
def test_rfc8725_3_1__the_public_key_is_not_taken_for_a_shared_secret(protected: Live) -> None:
    pem = protected.key.as_pem(private=False)
    for secret in (protected.keys.encode(), pem, pem.strip()):
        header = b64(json.dumps({"alg": "HS256", "kid": "key-1", "typ": "at+jwt"}, separators=(",", ":")).encode())
        signed = f"{header}.{b64(json.dumps(protected.claims()).encode())}"
        mark = b64(hmac.digest(secret, signed.encode(), "sha256"))

        answer = protected.get("/catalogue", token=f"{signed}.{mark}")

        assert_refused(answer, 401, INVALID)


@pytest.mark.spec("RFC 8725 §3.10")
def test_rfc8725_3_10__a_key_brought_along_is_not_believed(protected: Live) -> None:
    stranger = ECKey.generate_key("P-256", {"kid": "key-1"})
    header = {"alg": "ES256", "kid": "key-1", "typ": "at+jwt"}
    with_key = {**header, "jwk": stranger.as_dict(private=False)}
    payload = json.dumps(protected.claims()).encode()

    plain = protected.get("/catalogue", token=protected.token(key=stranger))
    brought = f"{b64(json.dumps(with_key, separators=(',', ':')).encode())}.{b64(payload)}.{'A' * 86}"
    own = protected.get("/catalogue", token=brought)

    assert_refused(plain, 401, INVALID)
    assert_refused(own, 401, INVALID)


def test_a_changed_payload_does_not_pass_even_when_the_token_was_seen(protected: Live) -> None:
    token = protected.token(scope="openid")
    head, payload, signature = token.split(".")
    more = json.loads(base64.urlsafe_b64decode(payload + "=="))
    more["scope"] = "catalogue:read"
    forged = f"{head}.{b64(json.dumps(more).encode())}.{signature}"

    first = protected.get("/catalogue", token=token)
    second = protected.get("/catalogue", token=forged)

    assert first.status == 403
    assert_refused(second, 401, INVALID)


def test_a_token_in_the_query_or_a_cookie_or_the_body_is_no_token(protected: Live) -> None:
    token = protected.token()

    query = protected.get(f"/catalogue?access_token={token}")
    cookie = protected.get("/catalogue", headers={"Cookie": f"access_token={token}"})
    form = protected.request(
        "POST",
        "/catalogue",
        body=f"access_token={token}".encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    for answer in (query, cookie, form):
        assert_refused(answer, 401, challenge("/catalogue"))


@pytest.mark.spec("RFC 9110 §11.1")
def test_rfc9110_11_1__the_scheme_may_be_lower_case(protected: Live) -> None:
    token = protected.token()

    lower = protected.get("/catalogue", headers={"Authorization": f"bearer {token}"})

    assert lower.status == 200


@pytest.mark.parametrize(
    "value",
    [
        "Basic {}",
        "{}",
        "Bearer  {}",
        "Basic x Bearer {}",
        "Bearer {} x",
        "Bearer {}, Bearer {}",
        "DPoP {}",
        "Bearer {},",
    ],
)
def test_anything_but_one_bearer_credential_is_refused(protected: Live, value: str) -> None:
    token = protected.token()

    answer = protected.get("/catalogue", headers={"Authorization": value.replace("{}", token)})

    assert answer.status == 401


def test_two_authorization_headers_are_refused_whichever_is_good(protected: Live) -> None:
    good, bad = f"Bearer {protected.token()}", "Bearer x.y.z"

    for pair in ((good, bad), (bad, good), (good, good)):
        answer = protected.get("/catalogue", headers=[("Authorization", value) for value in pair])

        assert answer.status == 401


def test_a_public_route_needs_nothing_and_hands_no_credential_on(protected: Live) -> None:
    answer = protected.get("/public/x", token="forged.token.here")

    assert answer.status == 200
    assert answer.seen("authorization") == []


def test_nothing_is_open_by_omission(protected: Live) -> None:
    unknown = protected.get("/elsewhere", token=protected.token())
    neighbour = protected.get("/catalogues", token=protected.token())

    assert_refused(unknown, 404, None)
    assert_refused(neighbour, 404, None)
