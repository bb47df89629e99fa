"""Load balancers in front of the gateway: whose word on addresses is taken, and whose never is; at a live Envoy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.live import API, Live
from kronborg.gateway.access_model import Addresses
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Path, Route
from kronborg.gateway.traffic_model import Condition, Redirect

OFFICE = Addresses(allow=("192.0.2.0/24",))
OPEN = Route("open", Path("prefix", "/open"), "echo", public=True)
GUARDED = Route("guarded", Path("prefix", "/guarded"), "echo", public=True, addresses=OFFICE)
KEYED = Route("keyed", Path("prefix", "/keyed"), "echo", audience=API, credentials=("api_key",))
LIMITED = Route(
    "limited",
    Path("prefix", "/limited"),
    "echo",
    public=True,
    spike_arrest=SpikeArrest("1pm", burst=1, per="address"),
)
PLAIN = Route(
    "plain",
    Path("prefix", "/secure"),
    "",
    public=True,
    headers=(Condition("x-forwarded-proto", exact="http"),),
    redirect=Redirect(scheme="https"),
)
SECURE = Route("secure", Path("prefix", "/secure"), "echo", public=True)
ROUTES = (OPEN, GUARDED, KEYED, LIMITED, PLAIN, SECURE)


@pytest.fixture(scope="module")
def behind(gateway: Live) -> Iterator[Live]:
    """A gateway whose callers, on this machine, are believed to be load balancers; so is 10.0.0.0/8."""
    gateway.deliver(replace(gateway.snapshot(*ROUTES), trusted_proxies=("127.0.0.0/8", "10.0.0.0/8")))
    yield gateway
    gateway.publish()


@pytest.mark.parametrize(
    ("stated", "address"),
    [
        pytest.param("192.0.2.7", "192.0.2.7", id="one hop"),
        pytest.param("192.0.2.7, 10.1.2.3", "192.0.2.7", id="two hops, both trusted"),
        pytest.param("203.0.113.9, 192.0.2.7", "192.0.2.7", id="the caller wrote something before"),
        pytest.param("192.0.2.7, 203.0.113.9, 10.1.2.3", "203.0.113.9", id="a stranger wrote an office address"),
        pytest.param("10.9.9.9, 203.0.113.9", "203.0.113.9", id="a stranger wrote a trusted address"),
        pytest.param("2001:db8::7", "2001:db8::7", id="IPv6"),
        pytest.param("192.0.2.7, nonsense", "127.0.0.1", id="the last is no address"),
        pytest.param("192.0.2.7, ", "127.0.0.1", id="the last is empty"),
    ],
)
def test_the_address_is_the_last_that_is_no_proxy(behind: Live, stated: str, address: str) -> None:
    answer = behind.get("/open", headers={"X-Forwarded-For": stated})

    assert answer.seen("x-forwarded-for") == [address]


def test_several_headers_are_read_as_one(behind: Live) -> None:
    answer = behind.get("/open", headers=[("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-For", "203.0.113.9")])

    assert answer.seen("x-forwarded-for") == ["203.0.113.9"]


def test_without_the_header_it_is_that_of_the_connection(behind: Live) -> None:
    assert behind.get("/open").seen("x-forwarded-for") == ["127.0.0.1"]
    assert behind.get("/guarded").status == 403


def test_lists_limits_and_keys_go_by_the_same_address(behind: Live) -> None:
    key = "kro_key_" + "a" * 43
    behind.exchange.answers[key] = (404, "", 0)
    here, there = {"X-Forwarded-For": "192.0.2.7"}, {"X-Forwarded-For": "203.0.113.9"}

    lists = [behind.get("/guarded", headers=one).status for one in (here, there)]
    limits = [behind.get("/limited", headers=one).status for one in (here, here, there, there)]
    behind.get("/keyed", token=key, headers=here)

    assert lists == [200, 403]
    assert limits == [200, 429, 200, 429]
    assert behind.exchange.told[-1]["x-kronborg-address"] == "192.0.2.7"


def test_the_scheme_decides_where_a_route_asks_for_it(behind: Live) -> None:
    plain = behind.get("/secure", headers={"X-Forwarded-Proto": "http"})
    secure = behind.get("/secure", headers={"X-Forwarded-Proto": "https"})

    assert (plain.status, secure.status) == (308, 200)
    assert plain.headers["location"].startswith("https://localhost")
    assert secure.seen("x-forwarded-proto") == ["https"]


def test_other_forwarding_headers_are_stripped_from_proxies_too(behind: Live) -> None:
    told = {"Forwarded": "for=192.0.2.7", "X-Real-IP": "192.0.2.7", "X-Forwarded-Host": "evil.example"}

    answer = behind.get("/open", headers={**told, "X-Envoy-External-Address": "192.0.2.7"})

    assert not {"forwarded", "x-real-ip", "x-forwarded-host"} & {name for name, _ in answer.json()["headers"]}
    assert "192.0.2.7" not in [value for _, value in answer.json()["headers"]]


def test_a_connection_from_elsewhere_is_not_believed(gateway: Live, behind: Live) -> None:
    headers = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    believed = behind.get("/guarded", headers=headers)

    try:
        gateway.deliver(replace(gateway.snapshot(*ROUTES), trusted_proxies=("10.0.0.0/8",)))
        answers = [gateway.get(path, headers=headers) for path in ("/guarded", "/secure", "/open")]
    finally:
        gateway.deliver(replace(gateway.snapshot(*ROUTES), trusted_proxies=("127.0.0.0/8", "10.0.0.0/8")))

    assert believed.status == 200
    assert [answer.status for answer in answers] == [403, 308, 200]
    assert answers[2].seen("x-forwarded-for") == ["127.0.0.1"]
    assert answers[2].seen("x-forwarded-proto") == ["http"]
