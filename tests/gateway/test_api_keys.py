"""API keys and personal access tokens at the gateway: what a request may prove itself with, and what it may not."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import pytest

from gateway.live import API, OTHER_API, Live, wait_until
from gateway.quota_desk import Desk
from kronborg.core import opaque
from kronborg.gateway.envoy.access_log import path_of
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Path, Route
from kronborg.limits.model import Quota

KEYS = Route(
    "keys", Path("prefix", "/keys"), "echo", audience=API, scopes=("catalogue:read",), credentials=("api_key",)
)
ANY = Route("any", Path("prefix", "/any"), "echo", audience=API, credentials=("token", "api_key", "personal_token"))
OTHER = Route("other", Path("prefix", "/other"), "echo", audience=OTHER_API, credentials=("token", "api_key"))
TOKENS = Route("tokens", Path("prefix", "/tokens"), "echo", audience=API)
PUBLIC = Route("public", Path("prefix", "/public"), "echo", public=True)


@pytest.fixture
def keyed(gateway: Live) -> Live:
    gateway.publish(KEYS, ANY, OTHER, TOKENS, PUBLIC)
    return gateway


def key_of(gateway: Live, kind: opaque.Kind = opaque.API_KEY, lifetime: int = 60, **claims: Any) -> str:
    """A key that the exchange knows."""
    text = opaque.mint(kind)
    gateway.exchange.answers[text] = (200, gateway.token(**claims), lifetime)
    return text


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key", "x-api-key"])
def test_a_key_reaches_the_service_as_a_token(keyed: Live, header: str) -> None:
    key = key_of(keyed)
    value = f"Bearer {key}" if header == "Authorization" else key

    answer = keyed.get("/keys", headers={header: value})
    again = keyed.get("/keys", headers={header: value})

    assert (answer.status, again.status) == (200, 200)
    assert key.encode() not in answer.body
    assert answer.seen("x-kronborg-credential") == ["api_key"]
    assert answer.seen("x-api-key") == []
    assert keyed.exchange.asked.count(key) == 1


def test_limits_count_each_key_on_its_own_and_records_name_it(gateway: Live) -> None:
    desk = Desk(gateway)
    quota = Quota(f"key-{os.urandom(4).hex()}", 2, per="key", unit="day")
    slow = replace(ANY, name="slow", path=Path("prefix", "/slow"), spike_arrest=SpikeArrest("1pm", per="key"))
    desk.publish(replace(ANY, quotas=(quota,)), slow)
    first, second = key_of(gateway, jti="key-one"), key_of(gateway, opaque.PERSONAL, jti="key-two")

    quoted = {key: [gateway.get("/any", token=key).status for _ in range(3)] for key in (first, second)}
    smoothed = {key: [gateway.get("/slow", token=key).status for _ in range(2)] for key in (first, second)}
    seen = gateway.get("/any", token=gateway.token(), headers={"X-Kronborg-Key": "key-one"})

    assert list(quoted.values()) == [[200, 200, 429]] * 2
    assert list(smoothed.values()) == [[200, 429]] * 2
    # Nobody says himself which key he has.
    assert (seen.status, seen.seen("x-kronborg-key")) == (200, [])
    wait_until(lambda: {"key-one", "key-two"} <= {json.loads(one).get("ke") for one in _records(gateway)})


def _records(gateway: Live) -> list[str]:
    return path_of(gateway.proxy).read_text().splitlines()


def test_a_route_says_which_credentials_it_takes(keyed: Live) -> None:
    key, personal = key_of(keyed), key_of(keyed, opaque.PERSONAL)
    shown = {"key": key, "personal": personal, "jwt": keyed.token()}

    answers = {
        path: {name: keyed.get(path, token=one).status for name, one in shown.items()}
        for path in ("/keys", "/any", "/tokens")
    }

    assert answers == {
        "/keys": {"key": 200, "personal": 401, "jwt": 401},
        "/any": {"key": 200, "personal": 200, "jwt": 200},
        "/tokens": {"key": 401, "personal": 401, "jwt": 200},
    }


def test_a_key_is_asked_for_again_at_another_api(keyed: Live) -> None:
    key = key_of(keyed)

    here, there = keyed.get("/any", token=key), keyed.get("/other", token=key)

    assert (here.status, there.status) == (200, 401)
    assert keyed.exchange.asked.count(key) == 2


@pytest.mark.spec("RFC 6750 §2")
def test_two_credentials_in_one_request_are_refused(keyed: Live) -> None:
    key, token = key_of(keyed), keyed.token()

    answers = [
        keyed.get("/any", token=token, headers={"X-API-Key": key}),
        keyed.get("/any", token=key, headers={"X-API-Key": key}),
        keyed.get("/any", headers=[("X-API-Key", key), ("X-API-Key", key)]),
        keyed.get("/any", headers=[("Authorization", f"Bearer {key}"), ("Authorization", f"Bearer {key}")]),
    ]

    assert [answer.status for answer in answers] == [400, 400, 401, 401]
    assert [answer.json()["reason"] for answer in answers[:3]] == ["two_credentials"] * 2 + ["invalid_token"]


@pytest.mark.parametrize(
    "twist",
    [
        lambda key: key[:-1],
        lambda key: key + "A",
        lambda key: key.upper(),
        lambda key: "kro_key_",
        lambda key: f" {key}",
        lambda key: key.replace("kro_key_", "kro_pat_"),
        lambda key: key.replace("kro_key_", "kro_at_"),
        lambda key: f"{key},{key}",
        lambda key: "kro_key_" + "x" * 200,
    ],
)
def test_whatever_is_not_the_key_itself_is_refused(keyed: Live, twist: object) -> None:
    text = twist(key_of(keyed))  # type: ignore[operator]

    answers = [keyed.get("/any", token=text), keyed.get("/any", headers={"X-API-Key": text})]

    assert 200 not in [answer.status for answer in answers][:1]
    assert answers[1].status in (401, 200 if text.strip() in keyed.exchange.answers else 401)


def test_a_key_is_never_taken_from_the_query_nor_under_our_own_headers(keyed: Live) -> None:
    key = key_of(keyed)

    answers = [
        keyed.get(f"/any?api_key={key}"),
        keyed.get(f"/any?access_token={key}"),
        keyed.get("/keys", token=keyed.token(), headers={"X-Kronborg-Credential": "api_key"}),
    ]

    assert [answer.status for answer in answers] == [401, 401, 401]


def test_a_key_is_not_passed_on_where_nobody_looks_at_it(keyed: Live) -> None:
    answer = keyed.get("/public", headers={"X-API-Key": key_of(keyed)})
    guarded = keyed.get("/tokens", token=keyed.token(), headers={"X-API-Key": "kro_key_x"})

    assert answer.seen("x-api-key") == []
    assert guarded.status in (200, 400)
    assert guarded.status == 400 or guarded.seen("x-api-key") == []


def test_scopes_hold_for_keys_too(keyed: Live) -> None:
    assert keyed.get("/keys", token=key_of(keyed, scope="catalogue:write")).status == 403


def test_what_the_exchange_binds_to_an_address_is_asked_for_by_address(keyed: Live) -> None:
    key = key_of(keyed)
    keyed.exchange.bound.add(key)

    statuses = [keyed.get("/any", token=key).status for _ in range(3)]

    assert statuses == [200, 200, 200]
    assert keyed.exchange.asked.count(key) == 2
    assert {told["x-kronborg-address"] for told in keyed.exchange.told[-2:]} == {"127.0.0.1"}
    assert {told["x-kronborg-audience"] for told in keyed.exchange.told[-2:]} == {API}


def test_without_such_routes_the_header_of_keys_is_stripped_at_the_door(gateway: Live) -> None:
    gateway.publish(replace(TOKENS), PUBLIC)

    answer = gateway.get("/public", headers={"X-API-Key": "kro_key_x"})

    assert answer.seen("x-api-key") == []
