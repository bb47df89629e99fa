"""Attacks with credentials: what the gateway remembers of one must be no use to another."""

from __future__ import annotations

import pytest

from gateway.live import API, Live
from gateway.test_api_keys import ANY, KEYS, TOKENS, key_of

NAMES = ("{key} {api}", "{key} {api} {address}", "{key}\t{api}", "{key}\\n{api}", "{key}%0a{api}", "{key} {api}/")


@pytest.fixture(scope="module")
def keyed(gateway: Live) -> Live:
    gateway.publish(KEYS, ANY, TOKENS)
    return gateway


@pytest.mark.parametrize("name", NAMES)
def test_no_header_is_the_name_under_which_a_key_is_remembered(keyed: Live, name: str) -> None:
    key, bound = key_of(keyed), key_of(keyed)
    keyed.exchange.bound.add(bound)
    remembered = [keyed.get("/any", token=one).status for one in (key, bound)]

    # Where keys are not taken at all, and from addresses that the exchange was not asked about.
    guessed = [
        keyed.get(path, token=name.format(key=one, api=API, address="127.0.0.1")).status
        for path in ("/any", "/keys", "/tokens")
        for one in (key, bound)
    ]

    assert remembered == [200, 200]
    assert guessed == [401] * 6
