"""What cannot be published of limits, with its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kronborg.gateway.limits_model import Concurrency, SpikeArrest
from kronborg.gateway.model import Audience, Path, Route, Service, Snapshot
from kronborg.gateway.traffic_model import Share
from kronborg.gateway.validate import problems_of
from kronborg.limits.model import Quota

API = "https://shop.example/catalogue"
ROUTE = Route("shop", Path("prefix", "/shop"), "echo", audience=API)


def wheres(*routes: Route) -> list[str]:
    snapshot = Snapshot(
        issuer="http://localhost:8081",
        services=(Service("echo", ("http://127.0.0.1:9000",)),),
        routes=routes,
        audiences=(Audience(API),),
    )
    return [problem.where.removeprefix("routes.shop.") for problem in problems_of(snapshot)]


@pytest.mark.parametrize(
    ("arrest", "where"),
    [
        (SpikeArrest("5"), "rate"),
        (SpikeArrest("5ps", weight=0), "weight"),
        (SpikeArrest("5ps", weight=1001), "weight"),
        (SpikeArrest("5ps", per="header"), "identifier"),
        (SpikeArrest("5ps", identifier="partner"), "identifier"),
        (SpikeArrest("5ps", per="header", identifier="x-tenant"), "identifier"),
        (SpikeArrest("5ps", per="header", identifier="Partner"), "identifier"),
        (SpikeArrest("5ps", per="header", identifier="authorization"), "identifier"),
        (SpikeArrest("5ps", per="claim", identifier="a'b"), "identifier"),
        (SpikeArrest("5ps", weight_header="x-cost"), "weight_header"),
        (SpikeArrest("5ps", weight_header="cost", heaviest=0), "heaviest"),
    ],
)
def test_a_spike_arrest_that_cannot_be(arrest: SpikeArrest, where: str) -> None:
    first, second = wheres(replace(ROUTE, spike_arrest=arrest)), wheres(replace(ROUTE, rate_limit=arrest))

    assert (first, second) == ([f"spike_arrest.{where}"], [f"rate_limit.{where}"])


@pytest.mark.parametrize(
    ("quota", "where"),
    [
        (Quota("A b", 1), "name"),
        (Quota("q\n", 1), "name"),
        (Quota("q", -1), "count"),
        (Quota("q", 1, interval=0), "interval"),
        (Quota("q", 1, window="calendar"), "start"),
        (Quota("q", 1, start="2026-11-01T10:30:00"), "start"),
        (Quota("q", 1, window="calendar", start="tomorrow"), "start"),
        (Quota("q", 1, time_zone="Mars/Olympus"), "time_zone"),
        (Quota("q", 1, time_zone="../../etc/passwd"), "time_zone"),
        (Quota("q", 1, weight=-1), "weight"),
        (Quota("q", 1, per="claim"), "identifier"),
    ],
)
def test_a_quota_that_cannot_be(quota: Quota, where: str) -> None:
    assert wheres(replace(ROUTE, quotas=(quota,))) == [f"quotas.0.{where}"]


def test_a_public_route_knows_nobody() -> None:
    public = replace(ROUTE, public=True, audience=None)

    found = [wheres(replace(public, quotas=(Quota("q", 1, per=per),))) for per in ("client", "user", "key", "address")]

    assert found == [["quotas.0.per"]] * 3 + [[]]


def test_one_name_is_one_quota_but_for_the_weight() -> None:
    other = replace(ROUTE, name="other", path=Path("prefix", "/other"))
    quota = Quota("q", 10)

    same = wheres(replace(ROUTE, quotas=(quota,)), replace(other, quotas=(replace(quota, weight=3),)))
    differing = wheres(replace(ROUTE, quotas=(quota,)), replace(other, quotas=(replace(quota, count=3),)))
    twice = wheres(replace(ROUTE, quotas=(quota, quota)))

    assert (same, differing, twice) == ([], ["routes.other.quotas.0"], ["quotas"])


def test_a_bound_on_calls_at_once_is_held_or_not_published() -> None:
    bounded = replace(ROUTE, concurrency=Concurrency(5))
    split = replace(bounded, split=(Share("other", 10),))

    assert wheres(bounded) == []
    assert wheres(replace(bounded, concurrency=Concurrency(0))) == ["concurrency.count"]
    assert wheres(replace(bounded, public=True, audience=None, concurrency=Concurrency(5, per="client"))) == [
        "concurrency.per"
    ]
    assert "concurrency" in wheres(split)
