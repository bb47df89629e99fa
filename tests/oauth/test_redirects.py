"""Redirect URIs: exact match, the loopback port as the one exception, and answers written into them."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.oauth.redirects import matches, with_answer

WEB = "https://app.example/callback"
LOOPBACK = "http://127.0.0.1/callback"


@pytest.mark.spec("RFC 9700 §2.1")
@pytest.mark.parametrize(
    "sent",
    [
        "https://app.example/callback/",
        "https://app.example/callback?x=1",
        "https://app.example/callback#x",
        "https://APP.example/callback",
        "https://app.example:443/callback",
        "https://app.example/Callback",
        "https://app.example/%63allback",
        "https://app.example/a/../callback",
        "https://app.example.attacker.example/callback",
        "https://app.example@attacker.example/callback",
        "https://app.example/callback\n",
        " https://app.example/callback",
        "//app.example/callback",
        "javascript:alert(1)",
        "",
    ],
)
def test_rfc9700_2_1__a_uri_that_differs_in_one_character_is_another(sent: str) -> None:
    assert not matches(sent, (WEB,), native=True)


@pytest.mark.spec("RFC 8252 §7.3")
@pytest.mark.parametrize(
    ("sent", "known"),
    [
        ("http://127.0.0.1:51004/callback", LOOPBACK),
        ("http://127.0.0.1/callback", "http://127.0.0.1:9/callback"),
        ("http://[::1]:61023/callback?a=b", "http://[::1]/callback?a=b"),
        ("http://127.0.0.1:65535", "http://127.0.0.1"),
    ],
)
def test_rfc8252_7_3__any_port_of_a_loopback_address_serves_a_native_app(sent: str, known: str) -> None:
    assert matches(sent, (WEB, known), native=True)
    assert not matches(sent, (WEB, known), native=False)


@pytest.mark.spec("RFC 8252 §7.3")
@pytest.mark.parametrize(
    ("sent", "known"),
    [
        ("http://localhost:51004/callback", "http://localhost/callback"),
        ("https://127.0.0.1:51004/callback", "https://127.0.0.1/callback"),
        ("http://127.0.0.1:51004/other", LOOPBACK),
        ("http://127.0.0.1:51004/callback?x=1", LOOPBACK),
        ("http://[::1]:51004/callback", LOOPBACK),
        ("http://127.0.0.2:51004/callback", LOOPBACK),
        ("http://127.0.0.1:0/callback", LOOPBACK),
        ("http://127.0.0.1:65536/callback", LOOPBACK),
        ("http://127.0.0.1:/callback", LOOPBACK),
        ("http://127.0.0.1:80@attacker.example/callback", LOOPBACK),
        ("http://127.0.0.1:\u0661/callback", LOOPBACK),
        ("http://127.1:51004/callback", LOOPBACK),
        ("http://127.0.0.1.attacker.example:80/callback", LOOPBACK),
    ],
)
def test_rfc8252_7_3__nothing_but_the_port_may_differ(sent: str, known: str) -> None:
    assert not matches(sent, (known,), native=True)


@pytest.mark.spec("RFC 8252 §7.3")
@given(st.text(max_size=80))
def test_what_is_not_registered_matches_only_as_another_port(sent: str) -> None:
    if matches(sent, (WEB, LOOPBACK), native=True):
        parts = urlsplit(sent)
        assert sent == WEB or (parts.hostname == "127.0.0.1" and parts.path == "/callback" and not parts.query)


@given(st.text(max_size=30), st.text(max_size=30))
def test_words_around_a_registered_uri_make_another_uri(before: str, after: str) -> None:
    sent = f"{before}{WEB}{after}"

    assert matches(sent, (WEB,), native=True) == (not before and not after)


@given(st.integers(min_value=-10, max_value=100_000), st.sampled_from(["127.0.0.1", "[::1]"]))
def test_every_possible_port_and_no_other(port: int, host: str) -> None:
    sent = f"http://{host}:{port}/callback"

    assert matches(sent, (f"http://{host}/callback",), native=True) == (1 <= port <= 65535)


@pytest.mark.spec("RFC 6749 §4.1.2")
@given(
    st.sampled_from([WEB, f"{WEB}?own=1&more=%20", f"{WEB}?", "app.example:/done", "http://[::1]:99/"]),
    st.dictionaries(st.sampled_from(["code", "state", "iss", "error"]), st.text(min_size=1, max_size=40), min_size=1),
    st.sampled_from(["query", "fragment"]),
)
def test_rfc6749_4_1_2__answers_arrive_as_they_were_sent(uri: str, answer: dict[str, str], mode: str) -> None:
    url = with_answer(uri, answer, mode="fragment" if mode == "fragment" else "query")

    parts = urlsplit(url)
    arrived = parse_qs(parts.fragment if mode == "fragment" else parts.query, strict_parsing=True)
    assert url.isascii()
    assert url.startswith(uri)
    assert {name: [value] for name, value in answer.items()}.items() <= arrived.items()
    assert ("own" in arrived) == ("own=" in uri and mode == "query")
