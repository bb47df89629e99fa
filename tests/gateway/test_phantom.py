"""Reference tokens at the gateway: exchanged once, remembered for a while, closed when in doubt."""

from __future__ import annotations

import concurrent.futures
import os

import pytest

from gateway.live import API, OTHER_API, Live
from kronborg.gateway.envoy.filters import phantom
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Path, Route

ROUTE = Route("read", Path("prefix", "/catalogue"), "echo", audience=API, scopes=("catalogue:read",))
LIMITED = Route("limited", Path("prefix", "/limited"), "echo", audience=API, spike_arrest=SpikeArrest("1pm"))
STRUCTURED = Route("structured", Path("prefix", "/structured"), "echo", audience=OTHER_API)
PUBLIC = Route("public", Path("prefix", "/public"), "echo", public=True)


def reference() -> str:
    return f"kro_at_{os.urandom(30).hex()[:49]}"


@pytest.fixture
def guarded(gateway: Live) -> Live:
    gateway.publish(ROUTE, LIMITED, PUBLIC, STRUCTURED)
    gateway.exchange.asked.clear()
    gateway.exchange.answers.clear()
    return gateway


def test_a_reference_token_is_exchanged_once_and_the_service_sees_only_the_jwt(guarded: Live) -> None:
    token, jwt = reference(), guarded.token(sub="user-9")
    guarded.exchange.answers[token] = (200, jwt, 60)

    answers = [guarded.get("/catalogue/x", token=token) for _ in range(5)]

    assert [answer.status for answer in answers] == [200] * 5
    assert guarded.exchange.asked == [token]
    for answer in answers:
        assert answer.seen("authorization") == [f"Bearer {jwt}"]
        assert answer.seen("x-kronborg-subject") == ["user-9"]
        assert token not in str(answer.json())


def test_what_the_exchange_returns_is_verified_like_any_token(guarded: Live) -> None:
    scopeless, foreign, forged = reference(), reference(), reference()
    guarded.exchange.answers[scopeless] = (200, guarded.token(scope="openid"), 60)
    guarded.exchange.answers[foreign] = (200, guarded.token(aud=OTHER_API), 60)
    guarded.exchange.answers[forged] = (200, "not.a.token.at.all.but.long.enough", 60)

    statuses = [guarded.get("/catalogue", token=token).status for token in (scopeless, foreign, forged)]

    assert statuses == [403, 401, 401]


def test_an_unknown_token_is_invalid_and_asked_for_once(guarded: Live) -> None:
    token = reference()

    answers = [guarded.get("/catalogue", token=token) for _ in range(3)]

    assert [answer.status for answer in answers] == [401] * 3
    assert answers[0].headers["www-authenticate"].startswith('Bearer realm="kronborg", error="invalid_token", scope=')
    assert guarded.exchange.asked == [token]


def test_invented_tokens_do_not_push_real_ones_out_of_memory(guarded: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = phantom.script
    monkeypatch.setattr(phantom, "script", lambda proxy: whole(proxy).replace("8192", "4"))
    guarded.publish(ROUTE)
    real, invented = reference(), [reference() for _ in range(12)]
    guarded.exchange.answers[real] = (200, guarded.token(), 60)

    before = guarded.get("/catalogue", token=real)
    refused = {guarded.get("/catalogue", token=token).status for token in invented}
    after = guarded.get("/catalogue", token=real)

    assert (before.status, refused, after.status) == (200, {401}, 200)
    assert guarded.exchange.asked.count(real) == 1


def test_a_token_is_known_by_the_whole_of_it(guarded: Live) -> None:
    token = reference()
    guarded.exchange.answers[token] = (200, guarded.token(), 60)

    whole = guarded.get("/catalogue", token=token)
    shorter = guarded.get("/catalogue", token=token[:-1])
    longer = guarded.get("/catalogue", token=token + "A")
    other_case = guarded.get("/catalogue", token=token.swapcase())

    assert (whole.status, shorter.status, longer.status, other_case.status) == (200, 401, 401, 401)


def test_malformed_reference_tokens_never_reach_the_exchange(guarded: Live) -> None:
    for bad in ("kro_at_", "kro_at_a b", "kro_at_a,b", "kro_at_" + "a" * 200, "kro_at_é", "kro_rt_abc", "kro_at_a\tb"):
        answer = guarded.get(
            "/catalogue", headers=[("Authorization", f"Bearer {bad}".encode("latin-1").decode("latin-1"))]
        )

        assert answer.status == 401

    assert guarded.exchange.asked == []


def test_a_second_credential_is_not_overlooked(guarded: Live) -> None:
    token = reference()
    guarded.exchange.answers[token] = (200, guarded.token(), 60)

    answer = guarded.get("/catalogue", headers=[("Authorization", f"Bearer {token}"), ("Authorization", "Bearer x")])

    assert answer.status == 401


def test_the_lifetime_that_the_exchange_gives_is_kept(guarded: Live) -> None:
    token = reference()
    guarded.exchange.answers[token] = (200, guarded.token(), 0)

    statuses = [guarded.get("/catalogue", token=token).status for _ in range(3)]

    assert statuses == [200, 200, 200]
    assert len(guarded.exchange.asked) == 3


@pytest.mark.parametrize("answer", [(500, "", 0), (403, "", 0), (200, "", 60), (302, "", 0), (204, "", 0)])
def test_an_exchange_that_fails_closes_the_gateway_for_new_tokens_only(
    guarded: Live, answer: tuple[int, str, int]
) -> None:
    known, fresh = reference(), reference()
    guarded.exchange.answers |= {known: (200, guarded.token(), 60), fresh: answer}

    before = guarded.get("/catalogue", token=known)
    failing = guarded.get("/catalogue", token=fresh)
    after = guarded.get("/catalogue", token=known)

    assert (before.status, failing.status, after.status) == (200, 503, 200)
    assert failing.headers["retry-after"] == "1"
    assert failing.headers["content-type"] == "application/problem+json"


def test_with_the_exchange_down_cached_tokens_pass_new_ones_wait_and_jwts_do_not_care(guarded: Live) -> None:
    known, fresh = reference(), reference()
    guarded.exchange.answers |= {known: (200, guarded.token(), 60), fresh: (200, guarded.token(), 60)}
    guarded.get("/catalogue", token=known)

    guarded.exchange.stop()
    try:
        cached = guarded.get("/catalogue", token=known)
        uncached = guarded.get("/catalogue", token=fresh)
        jwt = guarded.get("/catalogue", token=guarded.token())
    finally:
        guarded.exchange.start()
    again = guarded.get("/catalogue", token=fresh)

    assert (cached.status, uncached.status, jwt.status, again.status) == (200, 503, 200, 200)


def test_no_secret_means_no_exchange_and_no_open_gateway(guarded: Live) -> None:
    hidden = guarded.proxy.secret.with_suffix(".hidden")
    token = reference()
    guarded.exchange.answers[token] = (200, guarded.token(), 60)

    guarded.proxy.secret.rename(hidden)
    try:
        answer = guarded.get("/catalogue", token=token)
    finally:
        hidden.rename(guarded.proxy.secret)

    assert answer.status == 503


def test_a_public_route_exchanges_nothing(guarded: Live) -> None:
    answer = guarded.get("/public", token=reference())

    assert (answer.status, answer.seen("authorization")) == (200, [])
    assert guarded.exchange.asked == []


def test_spike_arrest_counts_the_client_behind_the_reference_token(guarded: Live) -> None:
    one, two = reference(), reference()
    guarded.exchange.answers |= {
        one: (200, guarded.token(client_id="cart"), 60),
        two: (200, guarded.token(client_id="cart"), 60),
    }

    statuses = [guarded.get("/limited", token=token).status for token in (one, two)]

    assert statuses == [200, 429]


def test_many_new_tokens_at_once_each_get_their_own_jwt(guarded: Live) -> None:
    tokens = [reference() for _ in range(40)]
    guarded.exchange.answers |= {
        token: (200, guarded.token(sub=f"user-{number}"), 60) for number, token in enumerate(tokens)
    }

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda token: guarded.get("/catalogue", token=token), tokens))

    assert [answer.seen("x-kronborg-subject") for answer in answers] == [[f"user-{n}"] for n in range(40)]


def test_where_the_api_takes_only_jwts_a_reference_token_is_no_token_and_nobody_is_asked(guarded: Live) -> None:
    token = reference()
    guarded.exchange.answers[token] = (200, guarded.token(aud=OTHER_API), 60)

    answer = guarded.get("/structured", token=token)
    jwt = guarded.get("/structured", token=guarded.token(aud=OTHER_API))

    assert (answer.status, jwt.status) == (401, 200)
    assert answer.headers["www-authenticate"].startswith('Bearer realm="kronborg", error="invalid_token", resource')
    assert guarded.exchange.asked == []
