"""The doctor: finds nothing in a healthy installation, and every defect that is planted, with its clause."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import orjson
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cli.shell import Shell
from kronborg.app import identity_app
from kronborg.cli.doctor import look_at_store
from kronborg.cli.doctor_clients import of_api, of_client, of_keys, of_route
from kronborg.cli.doctor_model import Finding, exit_code, in_order
from kronborg.cli.doctor_server import Door, examine, old_tls
from kronborg.clients.model import Api, Client, ClientSecret
from kronborg.clients.register import save_client
from kronborg.clients.settings import ApiSettings, ClientSettings
from kronborg.config import Settings
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.model import Path as RoutePath
from kronborg.gateway.model import Route
from kronborg.signin.passwords import Passwords
from kronborg.tokens.keys import KeyRing
from kronborg.tokens.model import KEY_AGE
from oauth.flow import WEB, WISH_LIST
from ports import free_port

pytestmark = pytest.mark.anyio

Tamper = Callable[[str, Message], None]
"""Changes the beginning or the body of an answer, by the path that was asked."""
NOTHING: Callable[[str], None] = lambda _: None  # noqa: E731


@pytest.fixture
def settings(sqlite_template: Path, tmp_path: Path) -> Settings:
    (tmp_path / "kronborg.db").write_bytes(sqlite_template.read_bytes())
    return Settings(data=tmp_path, issuer="https://id.example")


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[ASGIApp]:
    """The composed identity process, as a proxy with TLS would reach it."""
    database = await Database.open(settings.database_url)
    yield await identity_app(settings, database)
    await database.close()


def tampered(app: ASGIApp, tamper: Tamper) -> ASGIApp:
    """A proxy in front that spoils answers."""

    async def spoiled(scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            tamper(scope["path"], message)
            await send(message)

        await app(scope, receive, sent)

    return spoiled


async def examined(app: ASGIApp, issuer: str = "https://id.example") -> list[Finding]:
    transport = httpx.ASGITransport(app, client=("203.0.113.7", 40000))
    async with httpx.AsyncClient(transport=transport, base_url=issuer, trust_env=False) as http:
        return await examine(Door(http, issuer, clock.now), NOTHING)


async def test_a_healthy_installation_has_nothing_to_hear(app: ASGIApp) -> None:
    assert await examined(app) == []


def headers_of(message: Message) -> list[tuple[bytes, bytes]]:
    headers: list[tuple[bytes, bytes]] = message.get("headers", [])
    return headers


def without(name: bytes, path: str) -> Tamper:
    def tamper(asked: str, message: Message) -> None:
        if asked == path and message["type"] == "http.response.start":
            message["headers"] = [pair for pair in headers_of(message) if pair[0] != name]

    return tamper


def with_header(name: bytes, value: bytes, path: str) -> Tamper:
    def tamper(asked: str, message: Message) -> None:
        if asked == path and message["type"] == "http.response.start":
            message["headers"] = [*(pair for pair in headers_of(message) if pair[0] != name), (name, value)]

    return tamper


def status(code: int, path: str) -> Tamper:
    def tamper(asked: str, message: Message) -> None:
        if asked == path and message["type"] == "http.response.start":
            message["status"] = code

    return tamper


def document(path: str, **members: object) -> Tamper:
    """Members of a JSON document replaced; the length is left to the transport."""

    def tamper(asked: str, message: Message) -> None:
        if asked != path:
            return
        if message["type"] == "http.response.start":
            message["headers"] = [pair for pair in headers_of(message) if pair[0] != b"content-length"]
        elif message.get("body"):
            message["body"] = orjson.dumps({**orjson.loads(message["body"]), **members})

    return tamper


CONFIGURATION, TOKEN, AUTHORIZE = "/.well-known/openid-configuration", "/oauth/token", "/oauth/authorize"
SERVER_METADATA = "/.well-known/oauth-authorization-server"
RSA = {"kty": "RSA", "kid": "a", "n": "x" * 100, "e": "AQAB"}


@pytest.mark.parametrize(
    ("tamper", "clause"),
    [
        (status(404, CONFIGURATION), "OIDC Discovery §4"),
        (status(404, SERVER_METADATA), "RFC 8414 §3.1"),
        (document(SERVER_METADATA, issuer="https://other.example"), "RFC 8414 §3.3"),
        (document(SERVER_METADATA, code_challenge_methods_supported=["S256", "plain"]), "RFC 9700 §2.1.1"),
        (document(SERVER_METADATA, authorization_response_iss_parameter_supported=False), "RFC 9207 §3"),
        (document(SERVER_METADATA, revocation_endpoint="https://other.example/revoke"), "RFC 8414 §2"),
        (document(SERVER_METADATA, revocation_endpoint="https://id.example/nowhere"), "RFC 8414 §2"),
        (document("/oauth/jwks", keys=[]), "RFC 7517 §5"),
        (document("/oauth/jwks", keys=[{"kty": "EC", "kid": "a", "d": "AA"}]), "RFC 7517 §9.2"),
        (
            document("/oauth/jwks", keys=[{"kty": "EC", "kid": "a"}, {"kty": "EC", "kid": "a"}]),
            "FAPI 2.0 SP §5.4.2 (3)",
        ),
        (document("/oauth/jwks", keys=[RSA]), "RFC 7518 §3.3"),
        (status(200, AUTHORIZE), "RFC 6749 §4.1.2.1"),
        (status(200, TOKEN), "RFC 6749 §3.2"),
        (status(200, TOKEN), "RFC 6749 §2.3.1"),
        (document(TOKEN, error="invalid_client"), "RFC 6749 §3.2"),
        (without(b"www-authenticate", TOKEN), "RFC 6749 §5.2"),
        (status(200, "/oauth/introspect"), "RFC 7662 §2.1"),
        (without(b"cache-control", TOKEN), "RFC 6749 §5.1"),
        (without(b"content-security-policy", "/signin"), "RFC 9700 §4.16"),
        (without(b"strict-transport-security", "/signin"), "RFC 6797 §7.1"),
        (with_header(b"set-cookie", b"kronborg_browser=x; Path=/", "/signin"), "RFC 6265bis §4.1.3.2"),
        (with_header(b"access-control-allow-origin", b"*", AUTHORIZE), "RFC 9700 §2.6"),
        (with_header(b"access-control-allow-origin", b"*", TOKEN), "RFC 9700 §2.6"),
        (with_header(b"date", b"Mon, 01 Jan 2024 00:00:00 GMT", CONFIGURATION), "RFC 7519 §4.1.4"),
        (document(SERVER_METADATA, kronborg_legacy_warning=["password"]), "RFC 9700 §2"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_each_defect_in_front_is_found(app: ASGIApp, tamper: Tamper, clause: str) -> None:
    found = await examined(tampered(app, tamper))

    assert clause in {one.clause for one in found}
    assert all(one.mend for one in found)


async def test_an_open_redirector_is_found(app: ASGIApp) -> None:
    async def redirector(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != AUTHORIZE:
            await app(scope, receive, send)
            return
        to = (b"location", b"https://kronborg-doctor.invalid/callback?error=invalid_client")
        await send({"type": "http.response.start", "status": 302, "headers": [to]})
        await send({"type": "http.response.body"})

    assert "an unknown client is redirected to" in {one.detail for one in await examined(redirector)}


@pytest.mark.parametrize(("speaks", "errors"), [(True, ["RFC 9325 §3.1.1"]), (False, [])])
async def test_old_tls_is_found(speaks: bool, errors: list[str]) -> None:
    async def handshake(host: str, port: int) -> bool:
        assert (host, port) == ("id.example", 443)
        return speaks

    assert [one.clause for one in await old_tls("https://id.example", handshake)] == errors
    assert await old_tls("http://localhost:8081", handshake) == []


def client(now: datetime, **changes: object) -> Client:
    values = {name: getattr(WEB, name) for name in WEB.__slots__} | changes
    return Client(**values, created_at=now, updated_at=now)


def secret(now: datetime, *, days: int, used: int | None = None) -> ClientSecret:
    last = None if used is None else now - timedelta(days=used)
    return ClientSecret("s", b"", now - timedelta(days=days), None, last)


async def test_each_defect_of_a_client_is_found(now: datetime) -> None:
    kept = {"kind": "confidential", "auth_method": "client_secret_basic"}
    small = {"keys": [{"kty": "RSA", "n": "x" * 100, "e": "AQAB"}]}
    cases: list[tuple[dict[str, object], str, str]] = [
        ({"settings": ClientSettings(profile="fapi2-security")}, "error", "fapi2-security: FAPI 2.0 SP §5.3.2.1 (3)"),
        ({"grants": ("password",)}, "warning", "RFC 9700 §2.4"),
        ({"grants": ("implicit",)}, "warning", "RFC 9700 §2.1.2"),
        ({**kept, "secrets": (secret(now, days=1, used=1),)}, "note", "RFC 9700 §2.1.1"),
        ({}, "note", "RFC 9700 §2.2.2"),
        ({"redirect_uris": ("http://web.example/",)}, "error", "RFC 9700 §2.6"),
        ({"redirect_uris": ("https://*.web.example/",)}, "error", "RFC 9700 §2.1"),
        ({**kept, "redirect_uris": ("http://localhost:3000/",)}, "note", "RFC 8252 §8.3"),
        ({**kept}, "warning", "RFC 6749 §2.3.1"),
        ({**kept, "secrets": (secret(now, days=400, used=1),)}, "warning", "RFC 6819 §5.1.4.1.5"),
        ({**kept, "secrets": (secret(now, days=100),)}, "warning", "RFC 6819 §5.1.4.1"),
        ({**kept, "secrets": (secret(now, days=200, used=100),)}, "note", "RFC 6819 §5.1.4.1"),
        ({"jwks": small}, "error", "RFC 7518 §3.3"),
        ({"settings": ClientSettings(unverified=True)}, "note", "RFC 7591 §5"),
        ({"scopes": tuple(f"s:{number}" for number in range(30))}, "note", "RFC 9700 §2.3"),
    ]

    for changes, severity, clause in cases:
        found = list(of_client(client(now, **changes), "none", now=now))
        assert (severity, clause) in {(one.severity, one.clause) for one in found}, changes
        assert all(one.subject == "client web" and one.mend for one in found)


async def test_a_server_on_the_loopback_may_have_clients_there(now: datetime) -> None:
    at_home = client(now, kind="confidential", redirect_uris=("http://localhost:3000/",))

    found = list(of_client(at_home, "none", now=now, developing=True))

    assert "RFC 8252 §8.3" not in {one.clause for one in found}


async def test_the_profile_of_the_installation_counts_too(now: datetime) -> None:
    [first, *_] = of_client(client(now), "fapi2-security", now=now)

    assert (first.severity, first.clause) == ("error", "fapi2-security: FAPI 2.0 SP §5.3.2.1 (3)")
    assert first.mend == "make it confidential, with private_key_jwt"


async def test_keys_that_nothing_rotates_are_found(database: Database, vault: Vault, now: datetime) -> None:
    ring = KeyRing(database, vault)
    await ring.rotate(now=now)
    stored = await ring.stored()

    fresh = list(of_keys(stored, now=now))
    old = list(of_keys(stored, now=now + KEY_AGE * 3))
    alone = list(of_keys([key for key in stored if key.state == "active"], now=now))
    none = list(of_keys([key for key in stored if key.state != "active"], now=now))

    assert fresh == []
    assert {one.severity for one in (*old, *alone)} == {"warning"}
    assert [one.severity for one in none if one.clause == "RFC 7517 §5"] == ["error"] * len(none)


def test_routes_that_are_open_without_need_are_found() -> None:
    path = RoutePath("prefix", "/orders")
    public = Route("orders", path, "orders", public=True)
    reading = replace(public, methods=("GET", "HEAD"))
    bare = replace(public, public=False, audience="https://shop.example/orders")
    narrow = replace(bare, scopes=("orders:read",))

    found = [[one.severity for one in of_route(route)] for route in (public, reading, bare, narrow)]

    assert found == [["warning"], [], ["note"], []]


def test_apis_that_a_profile_cannot_bear_are_found(now: datetime) -> None:
    weak = ApiSettings(signing_alg="RS256", require_sender_constraint=True)
    api = Api("1", "https://shop.example/orders", "Orders", (), "jwt", timedelta(minutes=5), now, now, weak)

    assert [one.clause for one in of_api(api, "fapi2-security")] == ["FAPI 2.0 SP §5.4.1 (1)"]
    assert [one.severity for one in of_api(replace(api, settings=ApiSettings()), "fapi2-security")] == ["note"]
    assert list(of_api(api, "oauth21")) == []


def test_the_worst_comes_first_and_only_errors_fail() -> None:
    note, warning, error = (Finding(one, "server", "d", "c", "m") for one in ("note", "warning", "error"))

    assert [one.severity for one in in_order([note, error, warning])] == ["error", "warning", "note"]
    assert (exit_code([note, warning]), exit_code([error]), exit_code([])) == (0, 1, 0)


async def test_the_store_is_read_page_by_page(
    database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kronborg.cli.doctor.PAGE", 2)
    now = clock.now()
    said: list[str] = []
    await KeyRing(database, vault).rotate(now=now)
    async with database.write() as session:
        for number in range(5):
            draft = replace(WISH_LIST, id=f"wish-{number}", scopes=("openid",))
            await save_client(session, draft, actor="test", now=now)
    installation = Installation(database, vault, Passwords(), "http://localhost:8081", "http://localhost:8080")

    found = await look_at_store(installation, said.append)

    assert {one.subject for one in found} == {f"client wish-{number}" for number in range(5)}
    assert "clients (5)" in said


def test_the_command_says_what_it_finds_and_ends_with_a_code(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    issuer = f"http://localhost:{free_port()}"
    (tmp_path / "kronborg.yaml").write_text(f"version: 1\nserver:\n  issuer: {issuer}\n")
    shell.run("apply")
    app = ("--public", "--redirect-uri", "https://app.example/callback")
    shell.run("client", "create", "app", *app, "--grant", "authorization_code", "--grant", "refresh_token")

    healthy = shell.run("doctor", "--offline")
    told = shell.json("logouts")
    alone = shell.attempt("doctor")
    (tmp_path / "kronborg.yaml").write_text(f"version: 1\nserver:\n  issuer: {issuer}\n  profile: fapi2-security\n")
    broken = shell.attempt("doctor", "--offline", "--json")
    nowhere = shell.attempt("doctor", "--offline", "--data", str(tmp_path / "nowhere"))

    assert "0 errors" in healthy
    assert told == []
    assert (alone.returncode, "does not answer" in alone.stderr) == (2, True)
    [finding] = [one for one in orjson.loads(broken.stdout)["findings"] if one["severity"] == "error"]
    assert (broken.returncode, finding["subject"]) == (1, "client app")
    assert finding["clause"] == "fapi2-security: FAPI 2.0 SP §5.3.2.1 (3)"
    assert nowhere.returncode == 2
