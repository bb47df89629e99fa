"""Circuit breakers of a live gateway: by errors and by slow calls, with and without a fallback, forced, resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.breaker_stage import QUICK, Stage, kept, staged
from gateway.live import Live, wait_until
from gateway.misbehaving import error, good, reset_in_body, slow
from kronborg.core import clock
from kronborg.gateway.breakers_store import Stand
from kronborg.gateway.envoy import admin
from kronborg.gateway.model import Service
from kronborg.gateway.resilience_model import Bounds, Ejection, Fallback

NEVER = Ejection(failures=1000)
"""So that the breaker decides, not the ejection of replicas."""


@pytest.fixture
def stage(gateway: Live) -> Iterator[Stage]:
    with staged(gateway) as one:
        yield one


def orders(stage: Stage) -> Service:
    return Service("orders", (stage.first.url,), breaker=QUICK, ejection=NEVER)


def phase(stage: Stage, breakers: object) -> str:
    states = getattr(breakers, "states", {})
    return str(states["orders"].phase) if "orders" in states else ""


def fail_until_open(stage: Stage, breakers: object) -> None:
    def is_open() -> bool:
        stage.statuses(3)
        return phase(stage, breakers) == "open"

    wait_until(is_open)


def test_without_a_fallback_an_open_breaker_refuses_at_once_and_calls_nobody(stage: Stage) -> None:
    stage.publish(orders(stage))
    stage.first.conduct = error
    breakers = stage.breakers()

    with kept(breakers):
        fail_until_open(stage, breakers)
        stage.first.calls.clear()
        answer = stage.live.get("/orders/1")

    assert answer.status == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].endswith("#temporary-reduced-capacity")
    assert answer.headers["retry-after"]
    assert stage.first.calls.total() == 0


def test_an_open_breaker_sends_everything_to_the_fallback_and_closes_when_the_service_is_well(stage: Stage) -> None:
    stage.publish(replace(orders(stage), fallback=Fallback(service="spare")))
    stage.first.conduct = error
    breakers = stage.breakers()

    with kept(breakers):
        fail_until_open(stage, breakers)
        posts = stage.statuses(20, method="POST")
        stage.first.conduct = good
        wait_until(lambda: set(stage.statuses(2)) == {200} and phase(stage, breakers) == "closed")
        stage.second.calls.clear()
        wait_until(lambda: stage.statuses(1) == [200] and stage.second.calls.total() == 0)

    assert posts == [200] * 20
    assert ("open", "calls") in stage.told
    assert ("closed", "calls") in stage.told


def test_slow_calls_open_it_although_each_succeeds(stage: Stage) -> None:
    lame = replace(QUICK, slow_after=timedelta(milliseconds=50))
    stage.publish(replace(orders(stage), breaker=lame, fallback=Fallback(status=200, body='{"orders":[]}')))
    stage.first.conduct = slow(0.08)
    breakers = stage.breakers()

    with kept(breakers):
        fail_until_open(stage, breakers)
        answer = stage.live.get("/orders/1")

    assert (answer.status, answer.body) == (200, b'{"orders":[]}')
    assert answer.headers["content-type"] == "application/json"


def test_answers_that_break_off_in_the_middle_open_it(stage: Stage) -> None:
    stage.publish(replace(orders(stage), fallback=Fallback(service="spare")))
    stage.first.conduct = reset_in_body
    breakers = stage.breakers()

    with kept(breakers), ThreadPoolExecutor(12) as crowd:
        # Envoy lets such a connection linger for a second before it closes it.
        wait_until(lambda: "orders" in breakers.states)
        list(crowd.map(lambda _: stage.statuses(1), range(12)))
        wait_until(lambda: phase(stage, breakers) == "open")
        answers = stage.statuses(10)

    assert answers == [200] * 10


def test_an_operator_forces_it_open_and_closed(stage: Stage) -> None:
    stage.publish(replace(orders(stage), fallback=Fallback(status=202, body="later", content_type="text/plain")))
    breakers = stage.breakers()

    with kept(breakers):
        stage.orders["orders"] = "open"
        # The proxy may still fall back for the test before: the order counts when it is told.
        wait_until(lambda: ("open", "order") in stage.told and stage.statuses(1) == [202])
        stage.first.conduct = error
        stage.orders["orders"] = "closed"
        wait_until(lambda: phase(stage, breakers) == "closed")
        wait_until(lambda: set(stage.statuses(10, method="POST")) == {503})
        forced = phase(stage, breakers)
        stage.orders.clear()
        fail_until_open(stage, breakers)

    assert forced == "closed"
    assert stage.told[:2] == [("open", "order"), ("closed", "order")]


def test_after_a_restart_of_the_control_process_it_goes_on_and_what_is_stale_goes(stage: Stage) -> None:
    stage.publish(replace(orders(stage), fallback=Fallback(status=202)))
    now = clock.now()
    long = replace(orders(stage), fallback=Fallback(status=202), breaker=replace(QUICK, open_for=timedelta(minutes=5)))
    stage.publish(long)
    asyncio.run(admin.set_runtime(stage.live.proxy.admin, {"breaker.gone.service.gone": "0"}))

    with kept(stage.breakers(Stand(stage.live.proxy.name, "orders", "open", now))):
        wait_until(lambda: stage.statuses(1) == [202])
        without = [stage.statuses(3)]
    without.append(stage.statuses(3))
    told = asyncio.run(admin.read_json(stage.live.proxy.admin, "/runtime?format=json"))
    with kept(stage.breakers()):
        wait_until(lambda: stage.statuses(1) == [200])

    # Nobody is there in between: what was said last holds.
    assert without == [[202] * 3] * 2
    assert "breaker.gone.service.gone" not in str(told)


def test_a_proxy_that_starts_again_is_told(stage: Stage) -> None:
    stage.publish(replace(orders(stage), fallback=Fallback(status=202)))
    stage.orders["orders"] = "open"

    with kept(stage.breakers()):
        wait_until(lambda: stage.statuses(1) == [202])
        stage.live.kill()
        stage.live.start()
        wait_until(lambda: stage.statuses(1) == [202])


def test_more_than_may_be_under_way_is_refused(stage: Stage) -> None:
    service = replace(orders(stage), breaker=None, bounds=Bounds(requests=0))
    stage.publish(service)

    answer = stage.live.get("/orders/1")

    assert answer.status == 503
    assert answer.json()["type"].endswith("#temporary-reduced-capacity")
    assert stage.first.calls.total() == 0
