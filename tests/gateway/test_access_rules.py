"""Rules by method, claims, step-up and addresses of a protected route, against a live Envoy."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any

import pytest

from gateway.live import API, Live
from kronborg.gateway.access_model import AccessRule, Addresses, ClaimRule, StepUp
from kronborg.gateway.model import Path, Route

READ, WRITE = AccessRule(("GET", "HEAD"), scopes=("catalogue:read",)), AccessRule(("POST",), ("catalogue:write",))
BY_METHOD = Route("methods", Path("prefix", "/methods"), "echo", audience=API, rules=(READ, WRITE))
CLAIMS = Route(
    "claims",
    Path("prefix", "/claims"),
    "echo",
    audience=API,
    rules=(
        AccessRule(claims=(ClaimRule("department", ("sales", "7", "true")),)),
        AccessRule(("POST",), claims=(ClaimRule("/address/country", ("DK",)), ClaimRule("groups", ("buyers",)))),
    ),
)
STRONG = Route("strong", Path("prefix", "/strong"), "echo", audience=API, step_up=StepUp(("phr", "mfa")))
FRESH = Route(
    "fresh",
    Path("prefix", "/fresh"),
    "echo",
    audience=API,
    rules=(AccessRule(("POST",), step_up=StepUp(max_age=timedelta(minutes=5))),),
)
ELSEWHERE = Route("elsewhere", Path("prefix", "/far"), "echo", audience=API, addresses=Addresses(("192.0.2.0/24",)))
HERE = Route("here", Path("prefix", "/here"), "echo", audience=API, addresses=Addresses(("127.0.0.1",)))
DENIED = Route(
    "denied", Path("prefix", "/denied"), "echo", public=True, addresses=Addresses((), ("::ffff:127.0.0.0/104",))
)


@pytest.fixture(scope="module")
def ruled(gateway: Live) -> Live:
    gateway.publish(BY_METHOD, CLAIMS, STRONG, FRESH, ELSEWHERE, HERE, DENIED)
    return gateway


@pytest.fixture(autouse=True)
def _published(gateway: Live) -> None:
    gateway.publish(BY_METHOD, CLAIMS, STRONG, FRESH, ELSEWHERE, HERE, DENIED)


@pytest.mark.parametrize(
    ("method", "scope", "status"),
    [
        ("GET", "catalogue:read", 200),
        ("GET", "catalogue:write", 403),
        ("POST", "catalogue:write", 200),
        ("POST", "catalogue:read", 403),
        ("POST", "catalogue:read catalogue:write", 200),
        ("DELETE", "", 200),
    ],
)
def test_each_method_asks_for_its_own_scopes(ruled: Live, method: str, scope: str, status: int) -> None:
    answer = ruled.request(method, "/methods", token=ruled.token(scope=scope))

    assert answer.status == status


@pytest.mark.parametrize(
    ("claims", "get", "post"),
    [
        ({}, 403, 403),
        ({"department": "sales"}, 200, 403),
        ({"department": ["it", "sales"]}, 200, 403),
        ({"department": 7}, 200, 403),
        ({"department": True}, 200, 403),
        ({"department": "Sales"}, 403, 403),
        ({"department": {"sales": "sales"}}, 403, 403),
        ({"department": "sales", "address": {"country": "DK"}, "groups": ["buyers"]}, 200, 200),
        ({"department": "sales", "address": {"country": "DK"}, "groups": "buyers"}, 200, 200),
        ({"department": "sales", "address": "DK", "groups": ["buyers"]}, 200, 403),
        ({"department": "sales", "address": {"country": "DK"}}, 200, 403),
    ],
)
def test_claims_are_compared_by_value_and_depth(ruled: Live, claims: dict[str, Any], get: int, post: int) -> None:
    token = ruled.token(**claims)

    answers = [ruled.request(method, "/claims", token=token) for method in ("GET", "POST")]

    assert [answer.status for answer in answers] == [get, post]


@pytest.mark.spec("RFC 9470 §3")
@pytest.mark.parametrize(("acr", "status"), [(None, 401), ("pwd", 401), ("mfa", 200), ("phr", 200), (["mfa"], 401)])
def test_a_sign_in_of_another_kind_is_challenged(ruled: Live, acr: object, status: int) -> None:
    answer = ruled.get("/strong", token=ruled.token(acr=acr))

    assert answer.status == status
    if status == 401:
        assert 'error="insufficient_user_authentication"' in answer.headers["www-authenticate"]
        assert 'acr_values="phr mfa"' in answer.headers["www-authenticate"]
        assert answer.json()["status"] == 401


@pytest.mark.spec("RFC 9470 §3")
@pytest.mark.parametrize(("age", "status"), [(None, 401), (10, 200), (400, 401), (-400, 401)])
def test_a_sign_in_too_long_ago_is_challenged_where_the_rule_says_so(ruled: Live, age: int | None, status: int) -> None:
    token = ruled.token(auth_time=None if age is None else int(time.time()) - age)

    read, written = ruled.get("/fresh", token=token), ruled.request("POST", "/fresh", token=token)

    assert (read.status, written.status) == (200, status)
    if status == 401:
        assert 'max_age="300"' in written.headers["www-authenticate"]


@pytest.mark.spec("RFC 6750 §3.1")
@pytest.mark.parametrize(
    ("method", "wanted"),
    [("GET", "catalogue:read"), ("POST", "catalogue:write"), ("DELETE", None)],
)
def test_rfc6750_3_1__the_challenge_names_the_scopes_of_the_method(
    ruled: Live, method: str, wanted: str | None
) -> None:
    without = ruled.request(method, "/methods").headers["www-authenticate"]
    too_little = ruled.request(method, "/methods", token=ruled.token(scope="openid"))

    assert re.findall(r'scope="([^"]*)"', without) == ([] if wanted is None else [wanted])
    assert too_little.status == (200 if wanted is None else 403)
    if wanted is not None:
        assert f'error="insufficient_scope", scope="{wanted}"' in too_little.headers["www-authenticate"]


@pytest.mark.spec("RFC 9470 §3", "RFC 9728 §5.1")
def test_rfc9470_3__the_challenge_says_where_the_api_is_described(ruled: Live) -> None:
    answer = ruled.get("/strong", token=ruled.token(acr="pwd"))

    challenge = answer.headers["www-authenticate"]
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'resource_metadata="http://localhost:8080/.well-known/oauth-protected-resource/strong"' in challenge


@pytest.mark.spec("RFC 9728 §2")
def test_rfc9728_2__the_document_lists_the_scopes_of_all_rules(ruled: Live) -> None:
    document = ruled.get("/.well-known/oauth-protected-resource/methods").json()

    assert document["scopes_supported"] == ["catalogue:read", "catalogue:write"]


def test_an_address_that_may_not_call_is_refused_and_one_that_may_still_needs_a_token(ruled: Live) -> None:
    token = ruled.token()

    answers = [
        ruled.get("/far", token=token),
        ruled.get("/far", token=token, headers={"X-Forwarded-For": "192.0.2.1"}),
        ruled.get("/here"),
        ruled.get("/here", token=token),
        ruled.get("/denied"),
    ]

    assert [answer.status for answer in answers] == [403, 403, 401, 200, 403]
    assert "www-authenticate" not in answers[0].headers
