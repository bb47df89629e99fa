"""Revoked tokens at a live gateway: refused within a moment, whatever was revoked; and what happens without news."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path as FilePath

import pytest

from gateway.ledgers import Book, at_once, book
from gateway.live import API, Live, running, wait_until
from kronborg.gateway.ledger import Ledger, ensure
from kronborg.gateway.model import Path, Route
from kronborg.gateway.revocation_model import RevocationPolicy
from kronborg.tokens.feed import Page
from kronborg.tokens.feed_store import Kind, Revocation

ROUTE = Route("read", Path("prefix", "/read"), "echo", audience=API)


@pytest.fixture(scope="module")
def live(gateway: Live) -> Live:
    gateway.publish(ROUTE)
    return gateway


@pytest.fixture
def ledger(live: Live) -> Iterator[Book]:
    with book(live) as written:
        wait_until(lambda: not is_refused(live, live.token()))
        yield written
    wait_until(lambda: not is_refused(live, live.token()))


def is_refused(live: Live, token: str) -> bool:
    return live.get("/read", token=token).status == 401


@pytest.mark.parametrize(
    ("kind", "subject", "claims"),
    [
        ("token", "jti-1", {"jti": "jti-1"}),
        ("grant", "grant-1", {"gid": "grant-1"}),
        ("session", "session-1", {"sid": "session-1"}),
        ("client", "client-1", {"client_id": "client-1"}),
        ("client", "client-2", {"sub": "client-2"}),
        ("user", "user-7", {"sub": "user-7"}),
        ("key", "key-1", {}),
    ],
)
def test_what_is_revoked_is_refused_and_says_so(
    live: Live, ledger: Book, kind: Kind, subject: str, claims: dict[str, str]
) -> None:
    token, other = live.token(**claims), live.token()  # type: ignore[arg-type]
    assert not is_refused(live, token)

    ledger.revoke(kind, subject)
    wait_until(lambda: is_refused(live, token), seconds=2)

    answer = live.get("/read", token=token)
    assert answer.json()["reason"] == "revoked"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    # RFC 6750 section 3.1
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert is_refused(live, other) is (kind == "key")


@pytest.mark.parametrize(("kind", "claim"), [("client", "client_id"), ("user", "sub")])
def test_tokens_issued_from_that_second_on_pass(live: Live, ledger: Book, kind: Kind, claim: str) -> None:
    border = at_once().replace(microsecond=0)
    before = live.token(**{claim: "someone", "iat": int(border.timestamp()) - 1})  # type: ignore[arg-type]
    after = live.token(**{claim: "someone", "iat": int(border.timestamp())})  # type: ignore[arg-type]
    ageless = live.token(**{claim: "someone", "iat": None})  # type: ignore[arg-type]

    ledger.revoke(kind, "someone", not_before=border)
    wait_until(lambda: is_refused(live, before), seconds=2)

    assert is_refused(live, ageless)
    assert not is_refused(live, after)


def test_a_reference_token_that_the_gateway_remembers_is_refused_too(live: Live, ledger: Book) -> None:
    live.exchange.answers["kro_at_remembered"] = (200, live.token(jti="of-the-reference", gid="g-9"), 60)
    assert not is_refused(live, "kro_at_remembered")

    ledger.revoke("grant", "g-9")

    wait_until(lambda: is_refused(live, "kro_at_remembered"), seconds=2)


@pytest.mark.parametrize("jti", ["a b", "a%b", "a%20b", "ø", "x" * 4000, "t 9999999999 0 victim"])
def test_a_token_with_a_strange_name_is_revoked_and_no_other(live: Live, ledger: Book, jti: str) -> None:
    token, other = live.token(jti=jti), live.token(jti="victim")
    before = live.get("/read", token=token).status

    ledger.revoke("token", jti)
    sentinel = f"sentinel-{uuid.uuid4()}"
    ledger.revoke("token", sentinel)
    wait_until(lambda: is_refused(live, live.token(jti=sentinel)), seconds=2)

    # A name that is no header value is refused earlier.
    assert live.get("/read", token=token).status == (401 if before == 200 else before)
    assert not is_refused(live, other)


def test_a_new_generation_is_taken_up_and_what_it_lacks_is_forgotten(live: Live, ledger: Book) -> None:
    first, second = live.token(jti="first"), live.token(jti="second")
    ledger.revoke("token", "first")
    wait_until(lambda: is_refused(live, first), seconds=2)

    ledger.revoke("token", "second", reset=True)
    wait_until(lambda: is_refused(live, second), seconds=2)

    assert not is_refused(live, first)


def test_a_line_that_is_not_finished_waits_for_its_end(live: Live, ledger: Book) -> None:
    token = live.token(jti="torn")
    until = int((at_once() + timedelta(hours=1)).timestamp())

    with live.proxy.ledger.open("a") as file:
        file.write(f"t {until} 0 to")
    wait_until_read(live)
    passed = not is_refused(live, token)
    with live.proxy.ledger.open("a") as file:
        file.write("rn\n")

    wait_until(lambda: is_refused(live, token), seconds=2)
    assert passed


def test_ten_thousand_entries_stop_whom_they_name(live: Live, ledger: Book) -> None:
    now = at_once()
    many = tuple(Revocation(n, "token", f"{n:022d}", None, now + timedelta(hours=1), now) for n in range(1, 10_001))
    ledger.ledger.apply(Page(many, 10_000, reset=True, more=False), now=now)

    wait_until(lambda: is_refused(live, live.token(jti=f"{10_000:022d}")), seconds=2)
    assert is_refused(live, live.token(jti=f"{1:022d}"))
    assert not is_refused(live, live.token(jti=f"{10_001:022d}"))


def wait_until_read(live: Live) -> None:
    """Ask for longer than a worker goes without reading its ledger."""
    until = at_once() + timedelta(milliseconds=120)
    token = live.token()
    wait_until(lambda: live.get("/read", token=token).status == 200 and at_once() > until)


# A gateway of its own from here on: the policy is part of the listener.


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(tmp_path_factory.mktemp("strict")) as live:
        live.proxy = replace(live.proxy, revocation=RevocationPolicy(timedelta(seconds=20), "refuse"))
        live.publish(ROUTE, replace(ROUTE, name="mild", path=Path("prefix", "/mild"), when_stale="pass"))
        yield live


def test_without_any_news_no_token_passes_where_that_is_asked(strict: Live) -> None:
    strict.proxy.ledger.unlink()
    ensure(strict.proxy.ledger)

    wait_until(lambda: strict.get("/read", token=strict.token()).status == 503, seconds=2)

    answer = strict.get("/read", token=strict.token())
    assert answer.json()["reason"] == "revocation_unknown"
    assert answer.headers["retry-after"] == "1"
    assert strict.get("/mild", token=strict.token()).status == 200


def test_a_clock_that_jumped_is_like_old_news_until_the_next_heartbeat(strict: Live) -> None:
    with book(strict) as written:
        wait_until(lambda: strict.get("/read", token=strict.token()).status == 200, seconds=2)
        for jump in (timedelta(hours=1), timedelta(hours=-1)):
            written.beat(now=at_once() + jump)
            wait_until(lambda: strict.get("/read", token=strict.token()).status == 503, seconds=2)

        written.beat()

        wait_until(lambda: strict.get("/read", token=strict.token()).status == 200, seconds=2)


def test_a_line_that_makes_no_sense_ends_the_news(strict: Live) -> None:
    with book(strict) as written:
        wait_until(lambda: strict.get("/read", token=strict.token()).status == 200, seconds=2)
        with strict.proxy.ledger.open("a") as file:
            file.write("z 1 2 3\n")
        written.beat()
        wait_until(lambda: strict.get("/read", token=strict.token()).status == 503, seconds=2)

        written.ledger.close()
        written.ledger = Ledger.open(strict.proxy.ledger)
        written.beat()

        wait_until(lambda: strict.get("/read", token=strict.token()).status == 200, seconds=2)


def test_a_gateway_that_starts_without_a_ledger_lets_no_token_pass(tmp_path: FilePath) -> None:
    with running(tmp_path) as live:
        live.publish(ROUTE)
        live.proxy.ledger.unlink()

        refused = live.get("/read", token=live.token())

        assert (refused.status, refused.json()["reason"]) == (503, "revocation_unknown")
