"""Listeners of a live gateway: TLS, names, what is served where, callers with certificates, renewed certificates."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path as FilePath

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from client_certificates import Certified
from gateway.live import API, Live, Quiet, running, wait_until
from gateway.test_binding_certificate import thumbprint
from gateway.tls_callers import (
    AUTHORITY,
    STRANGE,
    Answered,
    Caller,
    Kept,
    asked_on,
    caller_certificate,
    server_certificate,
)
from kronborg.gateway.deliver import prepare
from kronborg.gateway.envoy import tls
from kronborg.gateway.listener_model import Listener, ListenerTls
from kronborg.gateway.model import Path, Route
from kronborg.gateway.secret_files import refresh
from ports import free_port

ROUTES = (
    Route("open", Path("prefix", "/open"), "echo", public=True),
    Route("read", Path("prefix", "/read"), "echo", audience=API),
    Route("shop", Path("prefix", "/"), "echo", host="shop.example", public=True),
    Route("inside", Path("prefix", "/inside"), "echo", audience=API, listeners=("internal",)),
    Route("hidden", Path("prefix", "/"), "echo", host="hidden.example", public=True, listeners=("internal",)),
    Route("partners", Path("prefix", "/partners"), "echo", public=True, listeners=("partners",)),
    Route("both", Path("prefix", "/both"), "echo", public=True, listeners=("external", "internal")),
)


@dataclass
class World:
    live: Live
    kept: Kept
    folder: FilePath
    ports: dict[str, int]

    def caller(self, listener: str, own: Certified | None = None) -> Caller:
        return Caller(self.folder, self.ports[listener], own=own)

    def renew(self) -> None:
        names = tls.needed(self.live.snapshot(), self.live.proxy)
        asyncio.run(refresh(names, self.kept, self.live.proxy, now=datetime.now(UTC)))


def revoked(*gone: Certified) -> bytes:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(AUTHORITY.certificate.subject)
        .last_update(now - timedelta(days=1))
        .next_update(now + timedelta(days=1))
    )
    for one in gone:
        entry = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number).revocation_date(now)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(AUTHORITY.key, SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("listeners")
    (folder / "authority.pem").write_bytes(AUTHORITY.pem)
    (folder / "revoked.pem").write_bytes(revoked())
    usual = ListenerTls(("here", "shop"), hsts=timedelta(days=365))
    listeners = (
        Listener("external", port=free_port(), tls=usual),
        Listener("internal", port=free_port(), kind="internal", tls=ListenerTls(("here",), minimum="1.3")),
        Listener("any", port=free_port(), tls=ListenerTls(("here",), client_certificates="optional")),
        Listener(
            "partners",
            port=free_port(),
            tls=ListenerTls(
                ("here",),
                client_certificates="required",
                revoked=str(folder / "revoked.pem"),
                authorities=str(folder / "authority.pem"),
            ),
        ),
        Listener("plain", port=free_port(), redirect=8443),
    )
    kept = Kept({"here": server_certificate("localhost"), "shop": server_certificate("shop.example")})
    with running(folder) as live:
        live.kill()
        live.proxy = replace(live.proxy, listeners=listeners, challenges=True)
        world = World(live, kept, folder, {one.name: one.port for one in listeners})
        world.renew()
        asyncio.run(prepare(live.snapshot(*ROUTES), live.keys, live.proxy))
        live.start()
        yield world


def test_the_certificate_for_the_name_is_shown_and_the_first_for_others(world: World) -> None:
    caller = world.caller("external")

    with caller.connected("localhost") as one, caller.connected("shop.example") as other:
        first, second = one.getpeercert(), other.getpeercert()

    assert first is not None
    assert second is not None
    assert first["subjectAltName"] == (("DNS", "localhost"),)
    assert second["subjectAltName"] == (("DNS", "shop.example"),)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"), caller.connected("other.example"):
        pass


@pytest.mark.spec("RFC 6797 §7.1")
def test_answers_over_tls_say_that_it_is_to_stay(world: World) -> None:
    served = world.caller("external").ask("/open")
    refused = world.caller("external").ask("/read")
    elsewhere = world.caller("internal").ask("/both")

    assert served.headers["strict-transport-security"] == "max-age=31536000"
    assert (refused.status, refused.headers["strict-transport-security"]) == (401, "max-age=31536000")
    assert elsewhere.headers["strict-transport-security"] is None


@pytest.mark.spec("RFC 7301 §3.2")
@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
def test_both_versions_of_http_are_offered(world: World, protocol: str) -> None:
    context = world.caller("external").context()
    context.set_alpn_protocols([protocol])

    with (
        socket.create_connection(("127.0.0.1", world.ports["external"]), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        chosen = secure.selected_alpn_protocol()

    assert chosen == protocol


@pytest.mark.spec("RFC 9325 §3.1.1")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("listener", "version"),
    [
        ("external", ssl.TLSVersion.TLSv1),
        ("external", ssl.TLSVersion.TLSv1_1),
        ("internal", ssl.TLSVersion.TLSv1_2),
    ],
)
def test_old_versions_of_tls_are_refused(world: World, listener: str, version: ssl.TLSVersion) -> None:
    caller = replace(world.caller(listener), minimum=version, maximum=version)

    with pytest.raises((ssl.SSLError, ConnectionError)), caller.connected():
        pass


@pytest.mark.spec("RFC 9325 §4.2")
@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA"])
def test_ciphers_without_authenticated_encryption_are_refused(world: World, cipher: str) -> None:
    context = world.caller("external").context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(cipher)

    with (
        socket.create_connection(("127.0.0.1", world.ports["external"]), timeout=10) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


@pytest.mark.spec("RFC 9110 §15.5.20")
@pytest.mark.parametrize("host", ["shop.example", "shop.example:443", "localhost.shop.example", "SHOP.example"])
def test_a_connection_begun_for_one_host_does_not_ask_for_another(world: World, host: str) -> None:
    answer = world.caller("external").ask("/open", sni="localhost", host=host)

    assert (answer.status, answer.reason) == (421, "misdirected")


def test_the_host_that_tls_was_begun_for_is_served_with_and_without_a_port(world: World) -> None:
    caller = world.caller("external")

    assert caller.ask("/open", host="localhost:8443").status == 200
    assert caller.ask("/open", host="LocalHost").status == 200
    assert caller.ask("/any", sni="shop.example").status == 200


def test_plain_http_gets_no_answer_on_the_port_of_tls(world: World) -> None:
    with socket.create_connection(("127.0.0.1", world.ports["external"]), timeout=10) as plain:
        plain.sendall(b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n")

        try:
            answer = plain.recv(1000)
        except ConnectionResetError:
            answer = b""
    assert b"HTTP/" not in answer


@pytest.mark.parametrize(
    ("path", "host"),
    [("/inside", "localhost"), ("/x", "hidden.example"), ("/x", "hidden.example:443"), ("/partners", "localhost")],
)
def test_what_is_served_elsewhere_is_not_found_here(world: World, path: str, host: str) -> None:
    outside = world.caller("any")

    answer = outside.ask(path, host=host)

    assert answer.status in (404, 421)
    assert answer.reason in ("no_route", "unknown_host", "misdirected")


@pytest.mark.parametrize("path", ["/both/../inside", "/open/..%2finside", "//inside", "/INSIDE", "/inside/"])
def test_no_spelling_of_a_path_leads_inside(world: World, path: str) -> None:
    answer = world.caller("external").ask(path, token=world.live.token())

    assert answer.status in (400, 404)


def test_inside_a_token_is_needed_all_the_same(world: World) -> None:
    inside = world.caller("internal")

    assert inside.ask("/inside").status == 401
    assert inside.ask("/inside", token=world.live.token()).status == 200
    assert inside.ask("/both").status == 200
    assert inside.ask("/open").status == 404


def test_plain_callers_are_sent_to_https(world: World) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", world.ports["plain"], timeout=10)
    connection.request("POST", "/read?x=1", body=b"{}", headers={"Host": "localhost"})

    answer = connection.getresponse()

    assert (answer.status, answer.headers["location"]) == (308, "https://localhost:8443/read?x=1")
    assert answer.headers["strict-transport-security"] is None  # RFC 6797 section 7.2
    connection.close()


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost, evil.example"])
def test_nobody_is_sent_to_a_host_that_is_not_ours(world: World, host: str) -> None:
    answer = _plain(world, "/read", {"Host": host})

    assert (answer.status in (400, 421), answer.headers["location"]) == (True, None)


@pytest.mark.spec("RFC 8705 §3")
def test_a_bound_token_is_good_with_its_certificate_only(world: World) -> None:
    own, other = caller_certificate(by=None), caller_certificate(by=None)
    (world.folder / "bound.pem").write_bytes(own.pem)
    token = world.live.token(cnf={"x5t#S256": thumbprint(world.folder / "bound.pem")})

    assert world.caller("any", own).ask("/read", token=token).status == 200
    assert world.caller("any", other).ask("/read", token=token).reason == "wrong_certificate"
    assert world.caller("any").ask("/read", token=token).reason == "wrong_certificate"


def test_a_certificate_is_never_taken_from_a_header(world: World) -> None:
    with world.caller("any").connected() as secure:
        secure.sendall(
            b"GET /open HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Client-Cert: Hash=1\r\nClient-Cert: :AA==:\r\n\r\n"
        )
        answer = http.client.HTTPResponse(secure, method="GET")
        answer.begin()
        seen = answer.read().lower()

    assert b"client-cert" not in seen


@pytest.mark.parametrize(
    "own",
    [
        pytest.param(None, id="none"),
        pytest.param(caller_certificate(by=None), id="self-signed"),
        pytest.param(caller_certificate(by=STRANGE), id="another authority"),
        pytest.param(caller_certificate(days=0), id="ended"),
        pytest.param(server_certificate("localhost"), id="of a server"),
    ],
)
def test_callers_without_a_fit_certificate_get_no_answer(world: World, own: Certified | None) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        world.caller("partners", own).ask("/partners")


def test_a_vouched_for_caller_is_served_until_it_is_revoked(world: World) -> None:
    own, other = caller_certificate(), caller_certificate("other")
    assert world.caller("partners", own).ask("/partners").status == 200

    (world.folder / "revoked.pem").write_bytes(revoked(own))
    world.renew()

    wait_until(lambda: not _is_served(world, own))
    assert _is_served(world, other)


def test_a_renewed_certificate_is_shown_to_new_callers_and_old_connections_live_on(world: World) -> None:
    caller, before = world.caller("external"), world.kept.by_name["shop"]
    with caller.connected("shop.example") as old:
        assert asked_on(old, "/", host="shop.example").status == 200

        world.kept.by_name["shop"] = renewed = server_certificate("shop.example")
        world.renew()

        wait_until(lambda: _shown(caller, "shop.example") == renewed.der)
        assert asked_on(old, "/", host="shop.example").status == 200
    assert before.der != renewed.der


def test_a_broken_certificate_changes_nothing(world: World) -> None:
    broken = tls.certificate_secret("here", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no key")
    fresh = world.folder / "gateway" / "scratch" / "broken"
    fresh.write_bytes(broken)
    fresh.replace(tls.path_of(world.live.proxy, "here"))

    assert world.caller("external").ask("/open").status == 200

    world.renew()
    assert world.caller("external").ask("/open").status == 200


def test_keys_are_for_their_owner_alone(world: World) -> None:
    files = list((world.live.proxy.folder / tls.FOLDER).iterdir())

    assert {file.name for file in files} >= {"here.json", "shop.json", "authorities.partners.json"}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def _is_served(world: World, own: Certified) -> bool:
    try:
        return world.caller("partners", own).ask("/partners").status == 200
    except (ssl.SSLError, ConnectionError, http.client.HTTPException):
        return False


def _shown(caller: Caller, name: str) -> bytes | None:
    with caller.connected(name) as secure:
        return secure.getpeercert(binary_form=True)


@pytest.mark.spec("RFC 8555 §8.3")
def test_challenges_of_acme_reach_the_control_process_under_any_name_and_take_nothing_along(world: World) -> None:
    token = "a" * 43
    path = f"/.well-known/acme-challenge/{token}"
    asked: list[tuple[str, dict[str, str]]] = []

    class Desk(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(200)
            self.send_header("content-length", "5")
            self.end_headers()
            self.wfile.write(b"proof")

        def log_message(self, *_: object) -> None:
            """Quiet."""

    world.live.exchange.stop()
    server = Quiet(("127.0.0.1", world.live.proxy.exchange_port), Desk)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        shown = {"Host": "never.heard.example", "Authorization": "Bearer x", "Cookie": "a=b"}
        answers = [_plain(world, path, shown), _plain(world, f"{path}?a=/exchange", shown)]
        elsewhere = [_plain(world, one, shown) for one in (f"{path}/../../../exchange", "/exchange", f"{path}%2f")]
        secure = world.caller("external").ask(path)
    finally:
        server.die()
        world.live.exchange.start()

    assert [(one.status, one.body) for one in answers] == [(200, b"proof")] * 2
    assert [one.status in (400, 421) for one in elsewhere] == [True] * 3
    assert secure.status == 404
    assert [one[0].partition("?")[0] for one in asked] == [path] * 2
    assert not any({"authorization", "cookie"} & set(headers) for _, headers in asked)


def _plain(world: World, path: str, headers: dict[str, str]) -> Answered:
    connection = http.client.HTTPConnection("127.0.0.1", world.ports["plain"], timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return Answered(answer.status, answer.headers, answer.read())
    finally:
        connection.close()
