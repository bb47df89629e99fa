"""Services that misbehave in every way, behind a gateway that knows somebody else to ask: nothing idempotent fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway import misbehaving
from gateway.breaker_stage import ROUTE, Stage, staged
from gateway.live import Live, wait_until
from gateway.misbehaving import Misbehave, good
from kronborg.gateway.model import Service
from kronborg.gateway.resilience_model import Ejection, Fallback, HealthCheck, Replica, Retries

NEVER = Ejection(failures=1000)
BEFORE_AN_ANSWER: dict[str, Misbehave] = {
    "error": misbehaving.error,
    "reset": misbehaving.reset,
    "flapping": misbehaving.flapping(3),
    "two lengths": misbehaving.two_lengths,
    "huge headers": misbehaving.huge_headers,
    "no http": misbehaving.no_http,
    "hang": misbehaving.hang,
}
HARMLESS: dict[str, Misbehave] = {
    "byte by byte": misbehaving.byte_by_byte,
    "too long": misbehaving.too_long,
}


@pytest.fixture
def stage(gateway: Live) -> Iterator[Stage]:
    with staged(gateway) as one:
        yield one


@pytest.mark.spec("RFC 9110 §9.2.2")
@pytest.mark.parametrize("name", [*BEFORE_AN_ANSWER, *HARMLESS])
def test_no_idempotent_request_fails_while_there_is_a_fallback_and_no_post_is_sent_twice(
    stage: Stage, name: str
) -> None:
    quick = Retries(per_try=timedelta(milliseconds=100))
    stage.publish(Service("orders", (stage.first.url,), fallback=Fallback(service="spare"), retries=quick), ROUTE)
    stage.first.conduct = (BEFORE_AN_ANSWER | HARMLESS)[name]

    idempotent = stage.statuses(20) + stage.statuses(5, method="PUT") + stage.statuses(5, method="DELETE")
    stage.first.bodies.clear()
    stage.second.bodies.clear()
    for number in range(8):
        stage.live.request("POST", "/orders/1", body=b"order %d" % number)
    arrived = stage.first.bodies + stage.second.bodies

    assert idempotent == [200] * 30
    assert len(arrived) == len(set(arrived)) == 8


@pytest.mark.parametrize("conduct", [misbehaving.error, misbehaving.reset, misbehaving.hang])
def test_with_a_healthy_replica_nothing_idempotent_fails(stage: Stage, conduct: Misbehave) -> None:
    stage.first.conduct = conduct
    replicas = (Replica(stage.first.url, weight=3), Replica(stage.second.url))
    retries = Retries(per_try=timedelta(milliseconds=100), budget=100)
    stage.publish(Service("orders", (), replicas=replicas, retries=retries, ejection=Ejection(failures=3)))

    answers = stage.statuses(30)

    assert answers == [200] * 30
    assert 0 < stage.first.calls["GET"] <= 6


def test_a_service_that_dies_is_replaced_for_posts_too_for_they_never_reached_it(stage: Stage) -> None:
    stage.publish(Service("orders", (stage.first.url,), fallback=Fallback(service="spare"), ejection=NEVER))
    before = stage.statuses(2)
    stage.first.stop()

    after = stage.statuses(10) + stage.statuses(10, method="POST")

    assert before == [200] * 2
    assert after == [200] * 20
    assert len(stage.second.bodies) == 10


def test_a_post_is_sent_again_only_with_a_key_and_where_the_route_says_so(stage: Stage) -> None:
    service = Service("orders", (stage.first.url,), fallback=Fallback(service="spare"), ejection=NEVER)
    stage.first.conduct = misbehaving.error
    key = {"X-Idempotency-Key": "one"}

    stage.publish(service)
    without = stage.live.request("POST", "/orders/1", body=b"x", headers=key).status
    stage.publish(service, replace(ROUTE, retry_keyed=True))
    keyed = stage.live.request("POST", "/orders/1", body=b"x", headers=key).status
    bare = stage.live.request("POST", "/orders/1", body=b"x").status

    assert (without, keyed, bare) == (503, 200, 503)


def test_callers_cannot_ask_for_retries_themselves(stage: Stage) -> None:
    stage.publish(Service("orders", (stage.first.url,), fallback=Fallback(service="spare"), ejection=NEVER))
    stage.first.conduct = misbehaving.error
    wish = {"X-Envoy-Retry-On": "5xx,retriable-status-codes", "X-Envoy-Max-Retries": "9"}

    answer = stage.live.request("POST", "/orders/1", body=b"x", headers=wish)

    assert answer.status == 503
    assert stage.first.calls["POST"] == 1
    assert stage.second.calls.total() == 0


@pytest.mark.parametrize("conduct", [misbehaving.too_short, misbehaving.reset_in_body])
def test_an_answer_that_breaks_off_is_never_passed_on_as_whole(stage: Stage, conduct: Misbehave) -> None:
    stage.publish(Service("orders", (stage.first.url,)))
    stage.first.conduct = conduct

    answers = stage.statuses(1)

    assert answers == [0]


def test_what_comes_after_an_answer_is_never_taken_for_the_next(stage: Stage) -> None:
    stage.publish(Service("orders", (stage.first.url,)))
    stage.first.conduct = misbehaving.too_long

    bodies = {stage.live.get("/orders/1").body for _ in range(10)}

    assert bodies == {b"ok"}


def test_a_replica_that_says_it_is_not_well_gets_no_calls(stage: Stage) -> None:
    check = HealthCheck(path="/well", every=timedelta(milliseconds=50), unhealthy_after=1)
    replicas = (Replica(stage.first.url), Replica(stage.second.url))
    stage.first.conduct = misbehaving.error
    stage.publish(Service("orders", (), replicas=replicas, health_check=check))
    wait_until(lambda: set(stage.statuses(5, method="POST")) == {200})

    ill = stage.statuses(10, method="POST")
    stage.first.conduct = good
    stage.first.bodies.clear()
    wait_until(lambda: stage.statuses(5, method="POST") == [200] * 5 and bool(stage.first.bodies))

    assert ill == [200] * 10


def test_words_stand_for_a_service_whatever_is_asked(stage: Stage) -> None:
    words = Fallback(status=203, content_type="text/plain; charset=utf-8", body="wir sind gleich zurück")
    stage.publish(Service("orders", (stage.first.url,), fallback=words))
    stage.first.stop()

    answers = [stage.live.request(method, "/orders/1", body=b"x" * 5000) for method in ("GET", "POST")]

    assert [answer.status for answer in answers] == [203, 203]
    assert {answer.body.decode() for answer in answers} == {"wir sind gleich zurück"}
    assert {answer.headers["content-type"] for answer in answers} == {"text/plain; charset=utf-8"}
