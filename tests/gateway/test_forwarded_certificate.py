"""Certificate-bound tokens where TLS ends at a proxy in front: whose header is believed, and whose never is."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import get_args
from urllib.parse import quote

import httpx
import pytest

from client_certificates import certify
from gateway.live import API, Answer, Live
from kronborg.core.forwarded_certificate import CertificateHeader
from kronborg.gateway.certificate_endpoint import PATH, CertificateApp
from kronborg.gateway.model import Path, Route

OPEN = Route("open", Path("prefix", "/open"), "echo", public=True)
READ = Route("read", Path("prefix", "/read"), "echo", audience=API)
KINDS: tuple[CertificateHeader, ...] = get_args(CertificateHeader)
SECRET = "s" * 32
Spoil = Callable[[str, str], tuple[str, ...]]


@dataclass(frozen=True)
class Shown:
    """A certificate as proxies write it."""

    der: bytes
    pem: str

    @property
    def thumbprint(self) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(self.der).digest()).rstrip(b"=").decode()

    def by(self, kind: CertificateHeader) -> str:
        escaped = quote(self.pem, safe="")
        if kind == "client-cert":
            return f":{base64.b64encode(self.der).decode()}:"
        return escaped if kind == "x-ssl-client-cert" else f'Hash={"0" * 64};Cert="{escaped}"'


def made(name: str) -> Shown:
    own = certify(f"CN={name}", datetime.now(UTC))
    text = base64.b64encode(own.der).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return Shown(own.der, f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")


OWN, OTHER = made("own"), made("other")


@dataclass
class World:
    live: Live
    kind: CertificateHeader

    def ask(self, *values: str, path: str = "/read", more: Sequence[tuple[str, str]] = ()) -> Answer:
        token = self.live.token(cnf={"x5t#S256": OWN.thumbprint}) if path == "/read" else None
        return self.live.get(path, token=token, headers=[*((self.kind, value) for value in values), *more])


def deliver(live: Live, kind: CertificateHeader | None, proxies: tuple[str, ...] = ("127.0.0.0/8",)) -> None:
    live.deliver(replace(live.snapshot(OPEN, READ), trusted_proxies=proxies, certificate_header=kind))


@pytest.fixture(scope="module", params=KINDS)
def world(gateway: Live, request: pytest.FixtureRequest) -> Iterator[World]:
    deliver(gateway, request.param)
    yield World(gateway, request.param)
    gateway.publish()


def reason(answer: Answer) -> tuple[int, object]:
    return answer.status, answer.json().get("reason")


@pytest.mark.spec("RFC 8705 §3", "RFC 9440 §2.2")
def test_the_certificate_that_the_proxy_saw_is_the_callers(world: World) -> None:
    assert world.ask(OWN.by(world.kind)).status == 200
    assert reason(world.ask(OTHER.by(world.kind))) == (401, "wrong_certificate")
    assert reason(world.ask()) == (401, "wrong_certificate")


@pytest.mark.spec("RFC 9440 §4")
def test_it_is_never_passed_on(world: World) -> None:
    chain = [("Client-Cert-Chain", OTHER.by("client-cert"))]

    answers = [world.ask(OWN.by(world.kind), path=path, more=chain) for path in ("/read", "/open")]

    for answer in answers:
        names = {name for name, _ in answer.json()["headers"]}
        assert not names & {*KINDS, "client-cert-chain"}


def test_headers_of_other_kinds_are_taken_away_from_proxies_too(world: World) -> None:
    others = [(kind, OWN.by(kind)) for kind in KINDS if kind != world.kind]

    assert reason(world.ask(more=others)) == (401, "wrong_certificate")


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda own, other: (other, own), id="twice, the caller's own first"),
        pytest.param(lambda own, other: (own, other), id="twice, the caller's own last"),
        pytest.param(lambda own, other: (own, own), id="twice the same"),
        pytest.param(lambda own, other: (f"{own},{other}",), id="two in one"),
        pytest.param(lambda own, other: (own + "," * 25_000,), id="huge"),
        pytest.param(lambda own, other: ("",), id="empty"),
        pytest.param(lambda own, other: (own[:-40],), id="cut"),
        pytest.param(lambda own, other: ("%00%ff:{}\\\"';--",), id="garbage"),
        pytest.param(lambda own, other: (OWN.thumbprint,), id="the thumbprint itself"),
        pytest.param(lambda own, other: (f"Hash={OWN.der.hex()[:64]}",), id="a hash without its certificate"),
    ],
)
def test_what_is_not_one_certificate_proves_nothing(world: World, spoil: Spoil) -> None:
    answer = world.ask(*spoil(OWN.by(world.kind), OTHER.by(world.kind)))

    assert reason(answer) == (401, "wrong_certificate")
    assert world.ask(OWN.by(world.kind)).status == 200


def test_what_a_header_says_is_asked_for_once(world: World) -> None:
    fresh = made("fresh")
    world.ask(fresh.by(world.kind))
    asked = len(world.live.exchange.shown)

    again = world.ask(fresh.by(world.kind))

    assert reason(again) == (401, "wrong_certificate")
    assert len(world.live.exchange.shown) == asked


def test_while_nobody_can_read_it_nobody_passes_who_is_new(world: World) -> None:
    world.ask(OWN.by(world.kind))
    world.live.exchange.broken = 503

    try:
        known, unknown = world.ask(OWN.by(world.kind)), world.ask(made("new").by(world.kind))
    finally:
        world.live.exchange.broken = 0

    assert (known.status, reason(unknown)) == (200, (503, "binding_unknown"))


def test_others_are_not_asked_about(world: World) -> None:
    asked = len(world.live.exchange.shown)

    answers = [world.live.get("/read", token=world.live.token(), headers={world.kind: made("x").by(world.kind)})]
    answers.append(world.ask(made("y").by(world.kind), path="/open"))

    assert [answer.status for answer in answers] == [200, 200]
    assert len(world.live.exchange.shown) == asked


@pytest.mark.parametrize("kind", KINDS)
def test_from_anywhere_else_it_is_taken_away(gateway: Live, kind: CertificateHeader) -> None:
    spoofed = {kind: OWN.by(kind), kind.upper(): OWN.by(kind), "X-Forwarded-For": "10.0.0.1"}
    token = gateway.token(cnf={"x5t#S256": OWN.thumbprint})
    asked = len(gateway.exchange.shown)

    deliver(gateway, kind, proxies=("10.0.0.0/8",))
    try:
        bound, open_ = gateway.get("/read", token=token, headers=spoofed), gateway.get("/open", headers=spoofed)
    finally:
        gateway.publish()

    assert reason(bound) == (401, "wrong_certificate")
    assert kind not in {name for name, _ in open_.json()["headers"]}
    assert len(gateway.exchange.shown) == asked


def test_without_the_setting_nobodys_word_is_taken(gateway: Live) -> None:
    headers = [(kind, OWN.by(kind)) for kind in KINDS]
    token = gateway.token(cnf={"x5t#S256": OWN.thumbprint})

    deliver(gateway, None)
    try:
        bound, open_ = gateway.get("/read", token=token, headers=headers), gateway.get("/open", headers=headers)
    finally:
        gateway.publish()

    assert reason(bound) == (401, "wrong_certificate")
    assert not {name for name, _ in open_.json()["headers"]} & set(KINDS)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("told", "value", "status"),
    [
        ({}, OWN.by("client-cert"), 200),
        ({"x-kronborg-exchange": "wrong"}, OWN.by("client-cert"), 403),
        ({"x-kronborg-certificate-header": "authorization"}, OWN.by("client-cert"), 404),
        ({"x-kronborg-certificate-header": "x-ssl-client-cert"}, OWN.by("client-cert"), 404),
        ({}, ":" + "A" * 40_000 + ":", 404),
    ],
)
async def test_the_endpoint_answers_the_proxy_beside_it(told: dict[str, str], value: str, status: int) -> None:
    headers = {"x-kronborg-exchange": SECRET, "x-kronborg-certificate-header": "client-cert", **told}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(CertificateApp(secret=SECRET))) as endpoint:
        answer = await endpoint.post(f"http://certificate{PATH}", headers=headers, content=value.encode())

    assert answer.status_code == status
    assert answer.text == (OWN.thumbprint if status == 200 else "")
