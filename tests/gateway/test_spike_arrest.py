"""Spike arrest: the vectors of the field, per client, address and route."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from gateway.live import API, Live, wait_until
from kronborg.gateway.envoy import admin
from kronborg.gateway.envoy.access_log import path_of
from kronborg.gateway.limits_model import Per, SpikeArrest, bucket_of, wait_of
from kronborg.gateway.model import Path, Route
from kronborg.traffic.row_model import COLUMNS, row_of

ROUTE = Route("limited", Path("prefix", "/limited"), "echo", audience=API)
TOLERANCE = 0.04


def at(seconds: float, start: float) -> None:
    """Wait for the moment; the test is about time itself."""
    time.sleep(max(0.0, start + seconds - time.monotonic()))


def on_time(gateway: Live, spacing: float, calls: list[tuple[float, bool]]) -> list[tuple[float, bool]] | None:
    """What came of calls at these moments; None when the machine was too busy to make one that early."""
    token = gateway.token(client_id=f"client-{time.monotonic_ns()}")
    before = time.monotonic()
    outcomes = [(calls[0][0], gateway.get("/limited", token=token).status == 200)]
    after = time.monotonic()
    for moment, passes in calls[1:]:
        # One that passes is late enough by any clock, one that does not early enough.
        at(moment + TOLERANCE, after) if passes else at(moment, before)
        outcomes.append((moment, gateway.get("/limited", token=token).status == 200))
        if not passes and time.monotonic() > before + spacing - TOLERANCE:
            return None
    return outcomes


@pytest.mark.parametrize(("rate", "spacing"), [("2ps", 0.5), ("30pm", 2.0), ("5ps", 0.2)])
def test_calls_are_spaced_and_a_refused_one_consumes_nothing(gateway: Live, rate: str, spacing: float) -> None:
    gateway.publish(replace(ROUTE, spike_arrest=SpikeArrest(rate)))
    calls = [(0.0, True), (spacing / 2, False), (spacing, True)]

    outcomes = next(filter(None, (on_time(gateway, spacing, calls) for _ in range(20))))

    assert outcomes == calls


def test_a_hundred_refusals_do_not_delay_the_next_pass(gateway: Live) -> None:
    gateway.publish(replace(ROUTE, spike_arrest=SpikeArrest("1ps")))
    token = gateway.token()

    start = time.monotonic()
    first = gateway.get("/limited", token=token)
    last = time.monotonic()
    refused: list[int] = []
    while len(refused) < 100:
        status = gateway.get("/limited", token=token).status
        if time.monotonic() > start + 1 - TOLERANCE:
            last = time.monotonic()  # too late to be sure of a refusal
            break
        refused.append(status)
    at(1 + TOLERANCE, last)
    after = gateway.get("/limited", token=token)

    assert (first.status, set(refused) - {429}, after.status) == (200, set(), 200)


def test_the_answer_is_a_problem_with_retry_after(gateway: Live) -> None:
    gateway.publish(replace(ROUTE, spike_arrest=SpikeArrest("12pm")))
    token = gateway.token()

    gateway.get("/limited", token=token)
    refused = gateway.get("/limited", token=token)

    assert refused.status == 429
    assert refused.headers["retry-after"] == "5"
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert "www-authenticate" not in refused.headers


def test_burst_lets_so_many_through_at_once(gateway: Live) -> None:
    gateway.publish(replace(ROUTE, spike_arrest=SpikeArrest("6pm", burst=4)))
    token = gateway.token()

    statuses = [gateway.get("/limited", token=token).status for _ in range(6)]

    assert statuses == [200, 200, 200, 200, 429, 429]


def test_each_client_has_a_bucket_and_its_tokens_share_it(gateway: Live) -> None:
    gateway.publish(replace(ROUTE, spike_arrest=SpikeArrest("1pm")))

    first = gateway.get("/limited", token=gateway.token(client_id="one"))
    again = gateway.get("/limited", token=gateway.token(client_id="one", sub="another user"))
    other = gateway.get("/limited", token=gateway.token(client_id="two"))

    assert (first.status, again.status, other.status) == (200, 429, 200)


def test_each_user_has_a_bucket_whatever_the_client_and_a_machine_its_own(gateway: Live) -> None:
    gateway.publish(replace(ROUTE, spike_arrest=SpikeArrest("1pm", per="user")))

    first = gateway.get("/limited", token=gateway.token(client_id="spa", sub="ada"))
    elsewhere = gateway.get("/limited", token=gateway.token(client_id="app", sub="ada"))
    other = gateway.get("/limited", token=gateway.token(client_id="spa", sub="bob"))
    machine = gateway.get("/limited", token=gateway.token(client_id="batch", sub="batch"))

    assert (first.status, elsewhere.status, other.status, machine.status) == (200, 429, 200, 200)


def test_who_is_refused_for_its_token_consumes_nothing(gateway: Live) -> None:
    gateway.publish(replace(ROUTE, spike_arrest=SpikeArrest("1pm")))

    own = f"unfit-{time.monotonic_ns()}"  # the bucket of a client outlives the test that filled it

    unfit = gateway.token(aud="https://x.example", client_id=own)
    refused = [gateway.get("/limited", token=unfit).status for _ in range(3)]
    allowed = gateway.get("/limited", token=gateway.token(client_id=own))

    assert (refused, allowed.status) == ([401, 401, 401], 200)


@pytest.mark.parametrize("per", ["address", "route"])
def test_without_a_client_the_address_or_the_route_is_limited_before_any_token_is_read(gateway: Live, per: str) -> None:
    arrest = SpikeArrest("1pm", per="address" if per == "address" else "route")
    gateway.publish(
        replace(ROUTE, public=True, audience=None, spike_arrest=arrest),
        replace(ROUTE, name="guarded", path=Path("prefix", "/guarded"), spike_arrest=arrest),
    )

    public = [gateway.get("/limited", headers={"X-Forwarded-For": f"10.0.0.{n}"}).status for n in range(3)]
    guarded = [gateway.get("/guarded").status for _ in range(3)]

    assert public == [200, 429, 429]
    # What a route counts as a whole is only what may pass it.
    assert guarded == ([401, 429, 429] if per == "address" else [401, 401, 401])


def test_a_call_of_weight_5_occupies_five_spacings() -> None:
    """10pm w=5: 0 passes, 29 s is refused, 30 s passes. The bucket is filled at the rate of the vector."""
    bucket = bucket_of(SpikeArrest("10pm", weight=5))

    at_29 = 29 / bucket.every.total_seconds() * bucket.fill
    at_30 = 30 / bucket.every.total_seconds() * bucket.fill
    assert (bucket.size, at_29 < 5, at_30 >= 5) == (5, True, True)
    assert wait_of(SpikeArrest("10pm", weight=5)) == 30


def test_weights_take_their_spacings_from_a_live_bucket(gateway: Live) -> None:
    """300pm w=5, burst 2: two at once would be six tokens; one passes, and one second brings five more."""
    gateway.publish(replace(ROUTE, spike_arrest=SpikeArrest("300pm", weight=5)))
    token = gateway.token(client_id=f"client-{time.monotonic_ns()}")

    first, second = gateway.get("/limited", token=token), gateway.get("/limited", token=token)
    last = time.monotonic()
    at(1 + TOLERANCE, last)
    third = gateway.get("/limited", token=token)

    assert (first.status, second.status, third.status) == (200, 429, 200)
    assert second.headers["retry-after"] == "1"


def test_the_preset_lets_a_tenth_of_the_rate_come_at_once(gateway: Live) -> None:
    """300pm: 30 at once, the 31st is refused, and 200 ms later one passes."""
    gateway.publish(replace(ROUTE, spike_arrest=SpikeArrest("300pm", preset="apigee-runtime")))
    token = gateway.token(client_id=f"preset-{time.monotonic_ns()}")

    begun = time.monotonic()
    outcome: list[int] = []
    while 429 not in outcome:
        outcome.append(gateway.get("/limited", token=token).status)
    last = time.monotonic()
    at(0.2 + TOLERANCE, last)
    after = gateway.get("/limited", token=token)

    dripped = (last - begun) / 0.2
    assert 30 <= outcome.count(200) <= 30 + dripped
    assert after.status == 200


def test_a_header_and_a_claim_name_who_is_counted(gateway: Live) -> None:
    by_header = SpikeArrest("1pm", per="header", identifier="partner")
    by_claim = SpikeArrest("1pm", per="claim", identifier="org")
    gateway.publish(
        replace(ROUTE, spike_arrest=by_header),
        replace(ROUTE, name="claimed", path=Path("prefix", "/claimed"), spike_arrest=by_claim),
    )
    token = gateway.token()

    headers: list[dict[str, str]] = [{"Partner": "a"}, {"Partner": "b"}, {"Partner": "a"}, {}, {}]
    named = [gateway.get("/limited", token=token, headers=one).status for one in headers]
    orgs = ["x", "y", "x", None, None]
    claimed = [gateway.get("/claimed", token=gateway.token(org=org)).status for org in orgs]

    assert named == [200, 200, 429, 200, 429]
    assert claimed == [200, 200, 429, 200, 429]


def test_a_stated_weight_is_a_number_within_bounds_or_the_request_is_malformed(gateway: Live) -> None:
    arrest = SpikeArrest("1pm", weight_header="cost", heaviest=10)
    gateway.publish(replace(ROUTE, spike_arrest=arrest))
    token = gateway.token()

    odd = {
        gateway.get("/limited", token=token, headers={"Cost": value}).status
        for value in (
            "0",
            "-1",
            "11",
            "1e9",
            "99999999999999999999",
            "",
            "1 ,2",
            "+1",
            "\u0661".encode().decode("latin-1"),
        )
    }
    heavy, light, none = (
        gateway.get("/limited", token=token, headers=headers).status for headers in ({"Cost": "9"}, {}, {"Cost": "1"})
    )

    assert (odd, heavy, light, none) == ({400}, 200, 200, 429)


def test_shadow_refuses_nothing_and_is_seen(gateway: Live) -> None:
    gateway.publish(replace(ROUTE, spike_arrest=SpikeArrest("1pm", effect="shadow")))
    token = gateway.token()

    answers = [gateway.get("/limited", token=token) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert [answer.seen("x-kronborg-shadow") for answer in answers] == [[], ["spike_arrest"], ["spike_arrest"]]
    assert "ratelimit-policy" not in answers[0].headers
    told: Any = asyncio.run(admin.read_json(gateway.proxy.admin, "/stats?format=json&filter=http_local_rate_limit"))
    counted = {one["name"]: one["value"] for one in told["stats"]}
    assert counted["spike_arrest.http_local_rate_limit.rate_limited"] >= 2
    ids = {answer.seen("x-request-id")[0] for answer in answers[1:]}
    rows: dict[str, str] = {}

    def recorded() -> bool:
        for one in path_of(gateway.proxy).read_bytes().splitlines():
            row = row_of(one, "gateway-1")
            if row is not None and row[1] in ids:
                rows[str(row[1])] = str(row[COLUMNS.index("detail")])
        return rows.keys() == ids

    wait_until(recorded)
    assert set(rows.values()) == {"via_upstream shadow:spike_arrest"}


@pytest.mark.parametrize("lines", [("1", "2"), ("99", "1"), ("1", "99")])
def test_two_lines_of_a_weight_weigh_as_much_as_one_may(gateway: Live, lines: tuple[str, str]) -> None:
    gateway.publish(replace(ROUTE, spike_arrest=SpikeArrest("1pm", weight_header="cost", heaviest=10)))
    token = gateway.token(client_id="-".join(("two", *lines)))

    doubled = [gateway.get("/limited", token=token, headers=[("Cost", one) for one in lines]).status for _ in range(2)]

    assert doubled == [200, 429]


def test_what_the_first_rate_refuses_takes_nothing_from_the_second(gateway: Live) -> None:
    arrest, second = SpikeArrest("2ps"), SpikeArrest("1pm", burst=2)
    gateway.publish(replace(ROUTE, spike_arrest=arrest, rate_limit=second))
    token = gateway.token()

    begun = time.monotonic()
    flood = [gateway.get("/limited", token=token).status for _ in range(20)]
    at(0.5 + TOLERANCE, time.monotonic())
    again = gateway.get("/limited", token=token)
    at(0.5 + TOLERANCE, time.monotonic())
    over = gateway.get("/limited", token=token)

    assert flood[0] == 200
    assert set(flood[1:]) == {429} or time.monotonic() > begun + 2
    assert (again.status, over.status) == (200, 429)
    assert (over.json()["reason"], over.json()["violated-policies"]) == ("rate_limit", ["rate_limit"])
    assert over.headers["ratelimit"] == '"rate_limit";r=0;t=60'
    assert again.headers["ratelimit-policy"] == '"spike_arrest";q=2;w=1, "rate_limit";q=1;w=60'


@pytest.mark.spec("draft-ietf-httpapi-ratelimit-headers-10 §6.1")
def test_a_refusal_names_the_policy_and_when_to_come_back(gateway: Live) -> None:
    gateway.publish(replace(ROUTE, spike_arrest=SpikeArrest("12pm")))
    token = gateway.token()

    passed, refused = gateway.get("/limited", token=token), gateway.get("/limited", token=token)

    assert passed.headers["ratelimit-policy"] == '"spike_arrest";q=12;w=60'
    assert refused.headers["ratelimit"] == '"spike_arrest";r=0;t=5'
    assert refused.json()["violated-policies"] == ["spike_arrest"]
    assert refused.json()["reason"] == "spike_arrest"


@pytest.mark.parametrize("per", ["client", "route", "user"])
def test_a_flood_without_tokens_empties_nobodys_bucket(gateway: Live, per: Per) -> None:
    gateway.publish(replace(ROUTE, spike_arrest=SpikeArrest("1pm", per=per)))

    flood = {gateway.get("/limited", headers={"X-Kronborg-Client": "shop-web"}).status for _ in range(20)}
    after = gateway.get("/limited", token=gateway.token())

    assert (flood, after.status) == ({401}, 200)


def test_so_many_buckets_are_kept_that_a_crowd_pushes_nobody_out(gateway: Live) -> None:
    """The least recently used bucket is forgotten when there are more than `limiters`."""
    snapshot = gateway.snapshot(replace(ROUTE, spike_arrest=SpikeArrest("1pm")))
    gateway.deliver(replace(snapshot, limits=replace(snapshot.limits, limiters=64)))

    first = gateway.get("/limited", token=gateway.token(client_id="crowd-0")).status
    crowd = {gateway.get("/limited", token=gateway.token(client_id=f"crowd-{n}")).status for n in range(1, 60)}
    again = gateway.get("/limited", token=gateway.token(client_id="crowd-0")).status

    assert (first, crowd, again) == (200, {200}, 429)
