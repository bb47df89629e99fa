"""Tokens that are bound to a key are worth nothing alone (RFC 9449 section 7)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path as FilePath

import pytest
from joserfc import jws
from joserfc.jwk import ECKey
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.live import API, ISSUER, OTHER_API, Answer, Live, running, wait_until
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.gateway.binding import BindingApp, Shown, addresses, by_engine
from kronborg.gateway.exchange import ExchangeApp, Phantom
from kronborg.gateway.model import Audience, Path, Route
from kronborg.server import serve
from kronborg.tokens.engine import open_engine

ROUTE = Route("read", Path("prefix", "/read"), "echo", audience=API)
BOUND = Route("bound", Path("prefix", "/bound"), "echo", audience=API, bound="required")
ONLY = Route("only", Path("prefix", "/only"), "echo", audience=OTHER_API)


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@dataclass
class Control:
    """The endpoints of the control process that Envoy asks, on a database of their own; it can be stopped."""

    database: str
    port: int
    secret: str
    url: str
    references: dict[str, str]
    nonces: bool = False
    thread: threading.Thread | None = None
    stop_event: asyncio.Event | None = None
    loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        assert self.loop is not None
        assert self.stop_event is not None
        assert self.thread is not None
        self.loop.call_soon_threadsafe(self.stop_event.set)
        self.thread.join(10)

    async def _run(self) -> None:
        self.loop, self.stop_event = asyncio.get_running_loop(), asyncio.Event()
        database = await Database.open(self.database)
        try:
            await serve(await self._app(database), host="127.0.0.1", port=self.port, stop=self.stop_event)
        finally:
            await database.close()

    async def _app(self, database: Database) -> ASGIApp:
        now = datetime.now(UTC)
        idle = timedelta(hours=1)
        engine = await open_engine(database, Vault(b"k" * 32), issuer=ISSUER, session_idle=idle, now=now)
        engine = replace(engine, require_dpop_nonce=self.nonces)

        async def exchange(token: str, now: datetime) -> Phantom | None:
            jwt = self.references.get(token)
            return None if jwt is None else Phantom(jwt, timedelta(seconds=60))

        def clock() -> datetime:
            return datetime.now(UTC)

        apps: dict[str, ASGIApp] = {
            "/exchange": ExchangeApp(exchange, secret=self.secret, clock=clock),
            "/binding": BindingApp(by_engine(engine, self.url), secret=self.secret, clock=clock),
        }

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await apps[scope["path"]](scope, receive, send)

        return app


@dataclass
class World:
    live: Live
    control: Control
    key: ECKey

    @property
    def jkt(self) -> str:
        return self.key.thumbprint()

    def token(self, **claims: object) -> str:
        return self.live.token(**{"cnf": {"jkt": self.jkt}, **claims})  # type: ignore[arg-type]

    def proof(self, token: str, *, path: str = "/read", key: ECKey | None = None, **changed: object) -> str:
        key = key or self.key
        claims: dict[str, object] = {
            "htm": "GET",
            "htu": f"http://localhost:{self.live.proxy.port}{path}",
            "iat": int(time.time()),
            "jti": os.urandom(9).hex(),
            "ath": b64(hashlib.sha256(token.encode()).digest()),
        }
        claims |= changed
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False)}
        content = json.dumps({name: value for name, value in claims.items() if value is not None}).encode()
        return jws.serialize_compact(header, content, key, algorithms=["ES256"])

    def ask(self, token: str, *proofs: str, path: str = "/read", scheme: str = "DPoP") -> Answer:
        pairs = [("Authorization", f"{scheme} {token}"), *(("DPoP", proof) for proof in proofs)]
        return self.live.get(path, headers=pairs)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, sqlite_template: FilePath) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("binding")
    database = folder / "kronborg.db"
    database.write_bytes(sqlite_template.read_bytes())
    with running(folder) as live:
        live.exchange.stop()
        url = f"http://localhost:{live.proxy.port}"
        control = Control(
            f"sqlite:///{database}", live.proxy.exchange_port, live.proxy.secret.read_text().strip(), url, {}
        )
        control.start()
        snapshot = live.snapshot(ROUTE, BOUND, ONLY)
        audiences = (Audience(API, reference=True), Audience(OTHER_API, bound=True))
        live.deliver(replace(snapshot, audiences=audiences))
        made = World(live, control, ECKey.generate_key("P-256", {"alg": "ES256", "use": "sig"}))
        token = made.token()
        wait_until(lambda: made.ask(token, made.proof(token)).status == 200)
        yield made
        control.stop()
        live.exchange.start()


@pytest.mark.spec("RFC 9449 §7.1")
@pytest.mark.parametrize("scheme", ["DPoP", "dpop"])
def test_a_bound_token_with_its_proof_passes(world: World, scheme: str) -> None:
    token = world.token()

    answer = world.ask(token, world.proof(token), scheme=scheme)

    assert answer.status == 200
    assert answer.seen("authorization") == [f"{scheme} {token}"]


@pytest.mark.spec("RFC 9449 §7.2")
def test_a_bound_token_alone_is_worth_nothing(world: World) -> None:
    token = world.token()

    bearer, bare = world.ask(token, scheme="Bearer"), world.ask(token)
    with_proof = world.ask(token, world.proof(token), scheme="Bearer")

    assert [one.json()["reason"] for one in (bearer, bare, with_proof)] == ["proof_missing"] * 3
    assert all(one.status == 401 for one in (bearer, bare, with_proof))
    assert bearer.headers["www-authenticate"].startswith('DPoP realm="kronborg", error="invalid_token", algs="ES256 ')
    assert 'error="invalid_dpop_proof"' in bare.headers["www-authenticate"]


@pytest.mark.spec("RFC 9449 §4.3")
@pytest.mark.parametrize(
    "changed",
    [
        {"htm": "POST"},
        {"htu": "http://localhost/read"},
        {"htu": "http://other.example/read"},
        {"htu": None},
        {"iat": 1_700_000_000},
        {"iat": None},
        {"jti": None},
        {"ath": None},
        {"ath": b64(hashlib.sha256(b"another token").digest())},
        {"nonce": "invented"},
    ],
)
def test_a_proof_for_something_else_is_refused(world: World, changed: dict[str, object]) -> None:
    token = world.token()

    answer = world.ask(token, world.proof(token, **changed))  # type: ignore[arg-type]

    assert answer.status == 401
    assert answer.json()["reason"] == ("proof_needs_nonce" if "nonce" in changed else "proof_invalid")


@pytest.mark.spec("RFC 9449 §4.3")
def test_a_proof_of_another_key_two_proofs_and_no_proof_are_refused(world: World) -> None:
    token, thief = world.token(), ECKey.generate_key("P-256", {"alg": "ES256", "use": "sig"})

    answers = [
        world.ask(token, world.proof(token, key=thief)),
        world.ask(token, world.proof(token), world.proof(token)),
        world.ask(token, "a.b.c"),
        world.ask(token, "x" * 5000),
    ]

    assert [(one.status, one.json()["reason"]) for one in answers] == [(401, "proof_invalid")] * 4


@pytest.mark.spec("RFC 9449 §11.1")
def test_a_proof_is_good_once(world: World) -> None:
    token = world.token()
    proof = world.proof(token)

    first, again = world.ask(token, proof), world.ask(token, proof)

    assert (first.status, again.status) == (200, 401)


@pytest.mark.spec("RFC 9449 §4.2")
def test_the_proof_of_a_reference_token_is_for_that_token(world: World) -> None:
    reference, jwt = "kro_at_bound-one", world.token()
    world.control.references[reference] = jwt

    right, wrong = world.ask(reference, world.proof(reference)), world.ask(reference, world.proof(jwt))
    bare = world.ask(reference, scheme="Bearer")

    assert (right.status, wrong.status, bare.status) == (200, 401, 401)
    assert right.seen("authorization") == [f"DPoP {jwt}"]


@pytest.mark.spec("RFC 9449 §7.1")
def test_a_token_that_is_not_bound_is_not_presented_with_a_proof(world: World) -> None:
    token = world.live.token()

    assert world.ask(token, world.proof(token)).json()["reason"] == "not_bound"
    assert world.ask(token, scheme="Bearer").status == 200


def test_a_route_or_an_api_may_take_bound_tokens_only(world: World) -> None:
    bound, other = world.token(), world.token(aud=OTHER_API)

    refused = world.ask(world.live.token(), path="/bound", scheme="Bearer")
    silent = world.live.get("/bound")

    assert (refused.status, refused.json()["reason"]) == (401, "not_bound")
    assert world.ask(world.live.token(aud=OTHER_API), path="/only", scheme="Bearer").status == 401
    assert world.ask(bound, world.proof(bound, path="/bound"), path="/bound").status == 200
    assert world.ask(other, world.proof(other, path="/only"), path="/only").status == 200
    # RFC 9449 section 7.1: both ways of presenting a token are named.
    assert silent.headers["www-authenticate"].startswith("Bearer ")
    assert ', DPoP algs="ES256 ' in silent.headers["www-authenticate"]
    assert "DPoP" not in world.live.get("/read").headers["www-authenticate"]


@pytest.mark.parametrize("confirmation", [{"kid": "x"}, {}, {"jkt": 7}, {"x5t#S256": 7}, {"x5t#S256": "A" * 43}, "jkt"])
def test_a_binding_that_nobody_can_check_is_not_passed_over(world: World, confirmation: object) -> None:
    token = world.live.token(cnf=confirmation)

    bearer, proven = world.ask(token, scheme="Bearer"), world.ask(token, world.proof(token))

    assert bearer.status in (401, 503)
    assert proven.status in (401, 503)


def test_without_the_control_process_no_proof_is_taken(world: World) -> None:
    token = world.token()
    world.control.stop()

    away = world.ask(token, world.proof(token))
    plain = world.ask(world.live.token(), scheme="Bearer")
    world.control.start()
    wait_until(lambda: world.ask(token, world.proof(token)).status == 200)

    assert (away.status, away.json()["reason"]) == (503, "binding_unknown")
    assert plain.status == 200


@pytest.mark.spec("RFC 9449 §8.2")
@pytest.mark.spec("RFC 9449 §9")
def test_where_nonces_are_asked_for_the_answer_brings_one(world: World) -> None:
    token = world.token()
    world.control.stop()
    world.control.nonces = True
    world.control.start()
    wait_until(lambda: world.ask(token, world.proof(token)).status == 401)

    refused = world.ask(token, world.proof(token))
    right = world.ask(token, world.proof(token, nonce=refused.headers["dpop-nonce"]))
    bound = f"{world.control.url}/bound"
    more = world.ask(token, world.proof(token, nonce=refused.headers["dpop-nonce"], htu=bound), path="/bound")
    world.control.stop()
    world.control.nonces = False
    world.control.start()
    wait_until(lambda: world.ask(token, world.proof(token)).status == 200)

    assert 'error="use_dpop_nonce"' in refused.headers["www-authenticate"]
    assert refused.json()["reason"] == "proof_needs_nonce"
    assert (right.status, more.status) == (200, 200)
    # RFC 9449 section 8.2: the nonce for the next proof comes with the answer, where only bound tokens pass.
    assert more.headers.get_all("dpop-nonce") == [refused.headers["dpop-nonce"]]
    assert right.headers.get_all("dpop-nonce") is None


@pytest.mark.parametrize(
    ("authority", "url", "known"),
    [
        ("shop.example", "https://shop.example", {"https://shop.example/a", "http://shop.example/a"}),
        (
            "shop.example:8443",
            "https://shop.example",
            {"https://shop.example:8443/a", "http://shop.example:8443/a", "https://shop.example/a"},
        ),
        ("other.example", "https://shop.example", {"https://other.example/a", "http://other.example/a"}),
        ("[::1]:80", "http://[::1]", {"http://[::1]:80/a", "http://[::1]/a"}),
        ("user@shop.example", "https://shop.example", set()),
        ("shop.example/x?", "https://shop.example", set()),
        ("", "https://shop.example", set()),
    ],
)
def test_the_addresses_that_a_proof_may_name(authority: str, url: str, known: set[str]) -> None:
    shown = Shown("GET", "http", authority, "/a?b=https://evil.example/", "", "", "", b"")

    assert set(addresses(shown, url)) == known
