"""Spike arrest: the vectors of the field, per client, address and route."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from gateway.live import API, Live
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Path, Route

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

    refused = [gateway.get("/limited", token=gateway.token(aud="https://x.example")).status for _ in range(3)]
    allowed = gateway.get("/limited", token=gateway.token())

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
    assert guarded == [401, 429, 429]
