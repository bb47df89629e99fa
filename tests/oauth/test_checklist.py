"""The forty requirements that new servers miss, and the attacks on them: each is proved by a test that can be named.

`MUSTS` lists clauses, each of which some test carries in a `spec` mark; `ATTACKS` lists the tests themselves.
What is proved nowhere else stands at the end of this file.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from kronborg.oauth.api import _metadata_paths as metadata_paths
from oauth.flow import ISSUER, WEB, WISH_LIST, Flow, Value, answer_of, is_consent, is_sign_in
from spec_coverage import proofs

ROOT = Path(__file__).parents[2]

MUSTS: dict[int, tuple[str, ...]] = {
    1: ("RFC 6749 §3.1", "RFC 6749 §3.2"),
    2: ("OIDC Core §3.1.2.1", "RFC 6749 §3.2"),
    3: ("RFC 6749 §3.1.2", "RFC 6749 §3.1.2.3"),
    4: ("RFC 9700 §2.1", "RFC 8252 §7.3"),
    5: ("RFC 6749 §4.1.2", "RFC 6749 §4.1.3", "RFC 6749 §10.5"),
    6: ("RFC 9700 §2.1.1", "RFC 9700 §4.8.2"),
    7: ("RFC 7636 §4.1",),
    8: ("RFC 6749 §2.3",),
    9: ("RFC 6749 §2.3.1",),
    10: ("RFC 6749 §5.2",),
    11: ("RFC 6749 §5.1", "RFC 6749 §3.3"),
    12: ("RFC 6749 §10.10",),
    13: ("RFC 6749 §10.10",),
    14: ("RFC 6749 §6",),
    15: ("RFC 9700 §2.2.2", "RFC 9700 §4.14.2"),
    16: ("RFC 9700 §4.12",),
    17: ("RFC 9207 §2",),
    18: ("RFC 8414 §3.1", "RFC 8414 §3"),
    19: ("RFC 6749 §10.12", "RFC 6749 §10.13"),
    20: ("RFC 9700 §2.1.2", "RFC 9700 §2.4"),
    21: ("RFC 9700 §4.15",),
    22: ("RFC 7009 §2.1", "RFC 7009 §2.2"),
    23: ("RFC 7662 §2.1", "RFC 7662 §2.2", "RFC 7662 §4"),
    24: ("RFC 9068 §2", "RFC 9068 §4"),
    25: ("RFC 7515 §4.1.11", "RFC 8725 §3.1"),
    26: ("RFC 8725 §3.11", "RFC 8725 §3.12"),
    27: ("RFC 8725 §3.10",),
    28: ("RFC 7523 §3", "RFC 10070 §2"),
    29: ("RFC 9126 §2.1", "RFC 9126 §2.2", "RFC 9126 §4"),
    30: ("RFC 9101 §5", "RFC 9101 §6.3"),
    31: ("RFC 9449 §4.3", "RFC 9449 §5", "RFC 9449 §7.1"),
    32: ("RFC 8705 §3",),
    33: ("RFC 8628 §3.3", "RFC 8628 §3.5"),
    34: ("RFC 8693 §2.1", "RFC 8693 §2.2.1"),
    35: ("RFC 8707 §2",),
    36: ("RFC 7591 §2", "RFC 7592 §2"),
    37: ("OIDC Core §2", "OIDC Core §12.2"),
    38: ("OIDC Core §3.1.2.1", "OIDC Core §3.1.2.6"),
    39: ("RFC 6750 §2", "RFC 6750 §3"),
    40: ("OIDC RP-Initiated Logout §2", "OIDC RP-Initiated Logout §3", "OIDC Back-Channel Logout §2.4"),
}

ATTACKS: dict[str, tuple[str, ...]] = {
    "alg none, HS/RS confusion, kid, jku, x5u, crit, duplicate JSON keys": (
        "oauth/test_attack_jose.py::test_no_forgery_opens_a_door_and_the_genuine_one_does",
        "oauth/test_dpop.py::test_a_proof_that_is_not_exactly_right_is_refused",
        "oauth/test_request_object.py::test_what_the_client_did_not_sign_is_refused",
    ),
    "JWE bombs": ("core/test_jwe.py::test_compression_is_refused_before_anything_is_inflated",),
    "oversized everything": (
        "oauth/test_checklist.py::test_what_is_too_large_is_refused_everywhere",
        "core/test_http.py::test_a_body_above_the_limit_is_refused_declared_or_not",
        "core/test_fetch.py::test_an_answer_that_is_not_as_it_should_be_is_refused",
    ),
    "mix-up": ("oauth/test_checklist.py::test_every_answer_says_who_it_comes_from",),
    "code injection": (
        "oauth/test_token_code.py::test_a_code_of_another_client_is_refused_and_stays_usable_for_its_own",
        "oauth/test_token_code.py::test_a_challenge_wants_its_verifier",
    ),
    "PKCE downgrade": ("oauth/test_token_code.py::test_a_verifier_without_a_challenge_is_refused",),
    "redirect tricks": (
        "oauth/test_redirects.py::test_rfc9700_2_1__a_uri_that_differs_in_one_character_is_another",
        "oauth/test_redirects.py::test_words_around_a_registered_uri_make_another_uri",
    ),
    "two client authentications": ("oauth/test_client_auth.py::test_two_methods_at_once_are_an_invalid_request",),
    "loosely encoded Basic credentials": (
        "oauth/test_client_auth.py::test_a_malformed_authorization_header_is_refused",
        "oauth/test_token_requests.py::test_any_octets_are_basic_or_nothing",
    ),
    "refresh reuse races": (
        "oauth/test_token_refresh.py::test_parallel_tabs_all_get_the_same_successor",
        "oauth/test_token_refresh.py::test_reuse_after_the_grace_ends_the_family_and_is_recorded",
    ),
    "audience confusion": (
        "oauth/test_introspect_and_revoke.py::test_a_resource_server_learns_nothing_of_tokens_for_others",
        "oauth/test_userinfo.py::test_a_token_that_is_not_for_us_is_invalid",
        "oauth/test_musts.py::test_no_kind_of_jwt_is_taken_for_another",
    ),
    "SSRF": (
        "core/test_fetch.py::test_an_address_that_is_not_public_is_not_called",
        "core/test_fetch.py::test_a_name_is_looked_up_once_and_its_address_called",
        "core/test_fetch.py::test_a_redirect_is_not_followed",
        "core/test_fetch.py::test_a_server_that_is_slow_is_given_up",
        "oauth/test_backchannel.py::test_no_address_inside_is_called",
        "oauth/test_request_object.py::test_an_address_inside_is_not_called_even_if_registered",
    ),
    "a state that one grant forgets": ("oauth/test_grants_and_states.py::test_a_grant_in_a_state",),
    "a history that nobody thought of": (
        "oauth/test_stateful.py::test_no_history_of_requests_gives_more_than_was_given",
    ),
}


@cache
def proved() -> frozenset[str]:
    return frozenset(f"{one.document} §{one.section}" for one in proofs(ROOT))


@pytest.mark.parametrize("number", MUSTS)
def test_each_must_is_proved(number: int) -> None:
    assert [clause for clause in MUSTS[number] if clause not in proved()] == []


def test_there_are_forty() -> None:
    assert list(MUSTS) == list(range(1, 41))


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_attack_has_its_tests(attack: str) -> None:
    missing = []
    for named in ATTACKS[attack]:
        path, _, name = named.partition("::")
        tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
        found = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
        if name not in found:
            missing.append(named)

    assert missing == []
    assert ATTACKS[attack]


@pytest.mark.anyio
@pytest.mark.spec("RFC 6749 §10.13")
async def test_no_page_of_the_protocol_may_be_framed(flow: Flow) -> None:
    browser = flow.browser()
    sign_in = await flow.authorize(browser, WISH_LIST)
    consent = await browser.sign_in(sign_in)
    pages = [
        sign_in,
        consent,
        await browser.get("/oauth/logout"),
        await browser.get("/signout"),
        await browser.get("/device"),
        await browser.get("/account"),
        await flow.authorize(browser, WISH_LIST, client_id="nobody"),
    ]

    assert is_sign_in(sign_in)
    assert is_consent(consent)
    assert all("frame-ancestors 'none'" in page.headers["content-security-policy"] for page in pages)
    assert all("'unsafe" not in page.headers["content-security-policy"] for page in pages)


@pytest.mark.spec("RFC 8414 §3.1")
def test_the_metadata_of_an_issuer_with_a_path_stands_at_both_addresses() -> None:
    paths = metadata_paths("https://id.example/tenant")

    assert set(paths) == {
        "/.well-known/openid-configuration/tenant",
        "/.well-known/oauth-authorization-server/tenant",
        "/tenant/.well-known/openid-configuration",
    }


@pytest.mark.anyio
async def test_what_is_too_large_is_refused_everywhere(flow: Flow) -> None:
    large = "x" * 40_000
    paths = ("token", "introspect", "revoke", "par", "device_authorization", "backchannel-authentication")

    answers = [await flow.http.post(f"/oauth/{path}", data={"client_id": "web", "scope": large}) for path in paths]
    queries = [
        await flow.http.get("/oauth/authorize", params={"client_id": "web", "state": large}),
        await flow.http.get("/oauth/logout", params={"client_id": "web", "state": large}),
    ]
    header = await flow.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {large}"})

    assert {answer.status_code for answer in (*answers, *queries)} <= {400, 401, 413, 414}
    assert header.status_code in (400, 401)
    assert all(len(answer.content) < 20_000 for answer in (*answers, *queries, header))


@pytest.mark.anyio
@pytest.mark.spec("RFC 9207 §2")
@pytest.mark.spec("RFC 9700 §4.4.2")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"response_type": "token"},
        {"scope": "openid unknown"},
        {"prompt": "none", "max_age": "0"},
        {"code_challenge": None, "code_challenge_method": None},
        {"response_mode": "fragment"},
        {"response_type": "code id_token", "response_mode": "fragment"},
        {"resource": "https://nowhere.example"},
        {"display": "hologram"},
    ],
    ids=str,
)
async def test_every_answer_says_who_it_comes_from(flow: Flow, changes: dict[str, Value]) -> None:
    browser = flow.browser()
    await flow.code(browser)

    answer = answer_of(await flow.authorize(browser, WEB, **changes))

    assert ("code" in answer) != ("error" in answer)
    assert (answer["iss"], answer["state"]) == (ISSUER, "state-1")
