"""Quotas at a live gateway: exact when leased, within the stated bound when counted, told in headers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from gateway.live import API, Live, wait_until
from gateway.quota_desk import Desk
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Path, Route
from kronborg.gateway.quota_answers import Tell
from kronborg.limits.model import Mode, Quota

ROUTE = Route("quoted", Path("prefix", "/quoted"), "echo", audience=API)
MODES: tuple[Mode, ...] = ("leased", "counted")
NUMBERS = count()


@pytest.fixture
def desk(gateway: Live) -> Iterator[Desk]:
    desk = Desk(gateway)
    yield desk
    if gateway.exchange.desk != desk.answer:
        # The gateway asks nobody for a second after it got no answer.
        desk.publish(replace(ROUTE, quotas=(fresh(1000, mode="leased"),)))
        wait_until(lambda: statuses(gateway, 1) == [200])
    gateway.exchange.desk = None


def fresh(number: int, **more: object) -> Quota:
    """A quota that nobody has used."""
    return replace(Quota(f"quota-{next(NUMBERS)}", number, unit="day"), **more)  # type: ignore[arg-type]


def statuses(gateway: Live, number: int, path: str = "/quoted", **claims: object) -> list[int]:
    token = gateway.token(**claims)  # type: ignore[arg-type]
    return [gateway.get(path, token=token).status for _ in range(number)]


def asked(outcome: list[int], gateway: Live) -> list[int]:
    """What came so far, with one more."""
    outcome += statuses(gateway, 1)
    return outcome


@pytest.mark.parametrize("mode", MODES)
def test_so_many_calls_pass_and_no_more(gateway: Live, desk: Desk, mode: Mode) -> None:
    desk.publish(replace(ROUTE, quotas=(fresh(5, mode=mode),)))

    outcome = statuses(gateway, 8)

    assert outcome == [200] * 5 + [429] * 3


def test_a_leased_quota_is_exact_under_load(gateway: Live, desk: Desk) -> None:
    desk.publish(replace(ROUTE, quotas=(fresh(1000, mode="leased"),)))
    token = gateway.token()

    with ThreadPoolExecutor(8) as threads:
        outcome = list(threads.map(lambda _: gateway.get("/quoted", token=token).status, range(1100)))

    assert (outcome.count(200), outcome.count(429)) == (1000, 100)
    assert desk.calls < 100


def test_a_leased_quota_is_exact_with_two_workers_that_start_cold(two_workers: Live) -> None:
    """Many callers at once and nobody known: none is refused with 503, and not one call too many passes."""
    desk = Desk(two_workers)
    desk.publish(replace(ROUTE, quotas=(fresh(1000, mode="leased", per="route"),)))
    tokens = [two_workers.token(client_id=f"client-{n}") for n in range(50)]

    with ThreadPoolExecutor(32) as threads:
        outcome = list(threads.map(lambda n: two_workers.get("/quoted", token=tokens[n % 50]).status, range(1300)))

    assert set(outcome) == {200, 429}
    # What one worker refuses the other may still hold: nothing is lost, and nothing is spent twice.
    wait_until(lambda: asked(outcome, two_workers).count(200) == 1000)
    assert {two_workers.get("/quoted", token=tokens[0]).status for _ in range(50)} == {429}


def test_many_cold_callers_of_a_leased_quota_are_all_served(two_workers: Live) -> None:
    desk = Desk(two_workers)
    desk.publish(replace(ROUTE, quotas=(fresh(4, mode="leased"),)))
    tokens = [two_workers.token(client_id=f"cold-{n}") for n in range(100)]

    with ThreadPoolExecutor(32) as threads:
        outcome = list(
            threads.map(lambda n: (n % 100, two_workers.get("/quoted", token=tokens[n % 100]).status), range(600))
        )

    passed = [sum(1 for client, status in outcome if client == n and status == 200) for n in range(100)]
    assert {status for _, status in outcome} == {200, 429}
    assert max(passed) <= 4


@pytest.mark.parametrize("mode", MODES)
def test_calls_without_an_answer_are_made_again_and_count_once(gateway: Live, desk: Desk, mode: Mode) -> None:
    """The desk counts, and its answer is lost."""
    desk.publish(replace(ROUTE, quotas=(fresh(40, mode=mode),)))
    statuses(gateway, 1)
    leave, lost = gateway.exchange.files, [0]

    class Lossy:
        def leave(self, tell: Tell, answer: bytes) -> None:
            lost[0] += 1
            if lost[0] % 2 == 0:
                assert leave is not None
                leave.leave(tell, answer)

    gateway.exchange.files = Lossy()  # type: ignore[assignment]
    try:
        outcome: list[int] = []
        # What is in an answer that was lost comes a second later.
        wait_until(lambda: asked(outcome, gateway).count(200) == 39)
        outcome += statuses(gateway, 3)
        wait_until(lambda: bool(statuses(gateway, 1)) and desk.spent == (40 if mode == "counted" else 0))
    finally:
        gateway.exchange.files = leave

    assert (outcome.count(200), set(outcome)) == (39, {200, 429})


def test_callers_who_hang_up_while_they_wait_leave_nothing_behind(gateway: Live, desk: Desk) -> None:
    """What was asked for them is taken up by whoever comes next."""
    desk.publish(replace(ROUTE, quotas=(fresh(10, mode="leased"),)))
    answer, release = gateway.exchange.desk, threading.Event()
    assert answer is not None
    gateway.exchange.desk = lambda body: (release.wait(10) or True) and answer(body)
    head = f"GET /quoted HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.token()}\r\n\r\n"
    calls = desk.calls
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", gateway.proxy.port)) as caller:
            caller.sendall(head.encode())
            time.sleep(0.05)
    release.set()
    wait_until(lambda: desk.calls >= calls + 3)

    outcome = statuses(gateway, 12)
    wait_until(lambda: asked(outcome, gateway).count(200) == 10)

    assert set(outcome) == {200, 429}


def test_a_counted_quota_oversteps_by_what_was_not_told_yet_at_most(gateway: Live, desk: Desk) -> None:
    """Another gateway spends the same quota: this one hears of it with its next call to the desk."""
    quota = fresh(100)
    desk.publish(replace(ROUTE, quotas=(quota,)))
    assert statuses(gateway, 1) == [200]
    desk.answer(f"{quota.name}\nshop-web\n99\n0\n0\n".encode())

    begun = time.monotonic()
    passed = 0
    while gateway.get("/quoted", token=gateway.token()).status == 200:
        passed += 1
        assert time.monotonic() - begun < 1

    assert gateway.get("/quoted", token=gateway.token()).status == 429


def test_what_counted_lets_through_too_many_is_bounded_by_half_a_second_of_each_worker(
    two_workers: Live, gateway: Live, desk: Desk
) -> None:
    """Three workers at two gateways spend one quota: what is not told yet is a quarter of a second, and the way."""
    quota = fresh(200)
    desk.publish(replace(ROUTE, quotas=(quota,)))
    other = Desk(two_workers, counters=desk.counters)
    other.publish(replace(ROUTE, quotas=(quota,)))
    tokens = {live: live.token() for live in (gateway, two_workers)}
    passed: list[float] = []
    lock = threading.Lock()

    def call(number: int) -> int:
        live = (two_workers, gateway, two_workers)[number % 3]
        status = live.get("/quoted", token=tokens[live]).status
        with lock:
            if status == 200:
                passed.append(time.monotonic())
        return status

    with ThreadPoolExecutor(3) as threads:
        outcome = list(threads.map(call, range(700)))

    over_at = passed[199] if len(passed) > 199 else passed[-1]
    # What was spent is told by whichever request comes next.
    wait_until(lambda: bool(asked([], gateway) + asked([], two_workers)) and desk.spent + other.spent == len(passed))
    assert set(outcome) == {200, 429}
    assert len(passed) >= 200
    # After the quota is spent nobody passes for longer than what is told late.
    assert passed[-1] - over_at < 0.5


@pytest.mark.spec("draft-ietf-httpapi-ratelimit-headers-10 §3, §4, §6")
@pytest.mark.parametrize("mode", MODES)
def test_answers_tell_what_is_left_and_when_to_come_back(gateway: Live, desk: Desk, mode: Mode) -> None:
    quota = fresh(2, mode=mode)
    desk.publish(replace(ROUTE, quotas=(quota,)))
    token = gateway.token()

    first, _, refused = (gateway.get("/quoted", token=token) for _ in range(3))

    reset = int(refused.headers["ratelimit"].rsplit("t=", 1)[1])
    assert first.headers["ratelimit-policy"] == f'"{quota.name}";q=2;w=86400'
    assert first.headers["ratelimit"].startswith(f'"{quota.name}";r=1;t=')
    assert refused.headers["ratelimit"].startswith(f'"{quota.name}";r=0;t=')
    assert refused.headers["ratelimit-policy"] == first.headers["ratelimit-policy"]
    assert int(refused.headers["retry-after"]) >= reset > 0
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert refused.json()["violated-policies"] == [quota.name]
    assert refused.json()["reason"] == "quota_exceeded"
    assert "x-ratelimit-limit" not in first.headers


def test_one_switch_adds_the_headers_of_older_clients(gateway: Live, desk: Desk) -> None:
    desk.publish(replace(ROUTE, quotas=(fresh(1),)))
    snapshot = gateway.snapshot(replace(ROUTE, quotas=tuple(desk.quotas.values())))
    gateway.deliver(replace(snapshot, limits=replace(snapshot.limits, legacy_headers=True)))
    token = gateway.token()

    passed, refused = gateway.get("/quoted", token=token), gateway.get("/quoted", token=token)

    told = [
        (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) for answer in (passed, refused)
    ]
    assert told == [("1", "0"), ("1", "0")]
    assert int(refused.headers["x-ratelimit-reset"]) > 0


@pytest.mark.parametrize(
    ("answer", "status"), [("payment_required", 402), ("no_subscription", 403), ("quota_exceeded", 429)]
)
def test_the_answer_says_what_is_missing(gateway: Live, desk: Desk, answer: str, status: int) -> None:
    desk.publish(replace(ROUTE, quotas=(fresh(0, answer=answer),)))

    refused = gateway.get("/quoted", token=gateway.token())

    assert (refused.status, refused.json()["reason"]) == (status, answer)


@pytest.mark.parametrize("mode", MODES)
def test_weight_3_of_10_passes_three_times(gateway: Live, desk: Desk, mode: Mode) -> None:
    quota = fresh(10, mode=mode)
    light = replace(ROUTE, name="light", path=Path("prefix", "/light"), quotas=(quota,))
    free = replace(ROUTE, name="free", path=Path("prefix", "/free"), quotas=(replace(quota, weight=0),))
    desk.publish(replace(ROUTE, quotas=(replace(quota, weight=3),)), light, free)

    heavy = statuses(gateway, 4)
    rest = statuses(gateway, 2, "/light")
    nothing = statuses(gateway, 2, "/free")

    assert (heavy, rest, nothing) == ([200, 200, 200, 429], [200, 429], [200, 200])


def test_a_caller_may_state_the_weight_within_bounds_and_nothing_else(gateway: Live, desk: Desk) -> None:
    desk.publish(replace(ROUTE, quotas=(fresh(19, weight_header="cost", heaviest=9),)))
    token = gateway.token()

    odd = [
        gateway.get("/quoted", token=token, headers=[("Cost", value)]).status
        for value in ("-5", "10", "1e3", "0x1", "99999999999999999999", "1.5", "01", "", "nan")
    ]
    twice = gateway.get("/quoted", token=token, headers=[("Cost", "1"), ("Cost", "2")]).status
    fine = [gateway.get("/quoted", token=token, headers={"Cost": value}).status for value in ("9", "1", "0", "1")]

    # Two lines weigh as much as one may.
    assert (set(odd), twice, fine) == ({400}, 200, [200, 200, 200, 429])


def test_a_refusal_by_one_quota_takes_nothing_from_another(gateway: Live, desk: Desk) -> None:
    wide, narrow = fresh(3), fresh(1)
    other = replace(ROUTE, name="other", path=Path("prefix", "/other"), quotas=(wide,))
    desk.publish(replace(ROUTE, quotas=(wide, narrow)), other)

    both = statuses(gateway, 5)
    wide_only = statuses(gateway, 3, "/other")

    assert (both, wide_only) == ([200, 429, 429, 429, 429], [200, 200, 429])


def test_a_spike_arrest_beside_it_takes_nothing_when_the_quota_refuses(gateway: Live, desk: Desk) -> None:
    desk.publish(replace(ROUTE, spike_arrest=SpikeArrest("1pm", burst=2), quotas=(fresh(1),)))

    refused = [gateway.get("/quoted", token=gateway.token()) for _ in range(4)][1:]

    assert {answer.json()["reason"] for answer in refused} == {"quota_exceeded"}


def test_a_shadow_quota_refuses_nothing_and_says_what_it_would(gateway: Live, desk: Desk) -> None:
    quota = fresh(1, effect="shadow")
    desk.publish(replace(ROUTE, quotas=(quota,)))
    token = gateway.token()

    first, second = gateway.get("/quoted", token=token), gateway.get("/quoted", token=token)

    assert (first.status, second.status) == (200, 200)
    assert (first.seen("x-kronborg-shadow"), second.seen("x-kronborg-shadow")) == ([], [quota.name])


@pytest.mark.parametrize("mode", MODES)
def test_a_window_that_ended_is_open_again(gateway: Live, desk: Desk, mode: Mode) -> None:
    """The desk's clock is ahead by a day: what it says ends a window."""
    quota = fresh(1, mode=mode, window="flexi")
    desk.publish(replace(ROUTE, quotas=(quota,)))
    before = statuses(gateway, 2)
    wait_until(lambda: statuses(gateway, 1) == [429] and desk.spent == (mode == "counted"))

    desk.ahead = timedelta(days=2)
    wait = time.monotonic() + 3
    while statuses(gateway, 1) == [429]:
        assert time.monotonic() < wait
        time.sleep(0.05)

    assert before == [200, 429]


def test_without_anybody_to_ask_an_exact_quota_refuses_and_a_counted_one_counts_on(gateway: Live, desk: Desk) -> None:
    exact, counted = fresh(3, mode="leased"), fresh(3)
    desk.publish(
        replace(ROUTE, quotas=(exact,)),
        replace(ROUTE, name="counted", path=Path("prefix", "/counted"), quotas=(counted,)),
    )
    gateway.exchange.desk = None

    refused = gateway.get("/quoted", token=gateway.token())
    alone = statuses(gateway, 4, "/counted")

    assert (refused.status, refused.json()["reason"]) == (503, "quota_unknown")
    assert refused.json()["type"] == "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
    assert alone == [200, 200, 200, 429]


def test_a_desk_that_hangs_holds_up_one_call_and_not_the_others(gateway: Live, desk: Desk) -> None:
    desk.publish(replace(ROUTE, quotas=(fresh(1000),)))
    statuses(gateway, 1)
    release = threading.Event()
    gateway.exchange.desk = lambda _: (release.wait(5) and None) or None
    time.sleep(0.6)  # what was counted is told by the first call after this

    begun = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        outcome = list(threads.map(lambda _: _timed(gateway), range(40)))
    release.set()

    assert {status for status, _ in outcome} == {200}
    assert sorted(seconds for _, seconds in outcome)[-3] < 0.9
    assert time.monotonic() - begun < 4


@pytest.mark.parametrize("mode", MODES)
def test_a_control_plane_whose_clock_is_another_or_jumps_back_changes_nothing(
    gateway: Live, desk: Desk, mode: Mode
) -> None:
    """What ends when is told as spans: leases are neither burned nor kept beyond their end."""
    desk.publish(replace(ROUTE, quotas=(fresh(6, mode=mode, unit="hour", window="flexi"),)))
    desk.ahead = timedelta(hours=7)
    first = statuses(gateway, 2)

    desk.ahead = timedelta(hours=-5)
    back = statuses(gateway, 6)
    desk.ahead = timedelta(hours=9)
    wait_until(lambda: statuses(gateway, 1) == [200])

    assert first + back == [200] * 6 + [429] * 2


def _timed(gateway: Live) -> tuple[int, float]:
    begun = time.monotonic()
    status = gateway.get("/quoted", token=gateway.token()).status
    return status, time.monotonic() - begun
