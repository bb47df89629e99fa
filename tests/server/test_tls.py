"""TLS that the identity process speaks itself, with and without client certificates; and behind a real Envoy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from client_certificates import Certified, certify
from kronborg import listeners
from kronborg.config import load_settings, resolved
from kronborg.core import clock
from kronborg.core.errors import Invalid
from kronborg.core.tls import TlsListener
from kronborg.oauth.mtls import thumbprint
from server.tls_site import SUBJECT, Running, envoy, mtls_port, running, server_certificate, tls_port, written
from token_site import claims_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server(sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setattr(listeners, "EVERY", 0.02)
    async with running(sqlite_template, tmp_path) as opened:
        yield opened


@pytest.mark.spec("RFC 8705 §2.1")
@pytest.mark.spec("RFC 8705 §3")
async def test_a_client_of_an_authority_proves_itself_over_our_own_tls(server: Running) -> None:
    await server.pki_client(bound=True)
    own = certify(SUBJECT, clock.now(), by=server.authority)
    other = certify("CN=other", clock.now(), by=server.authority)

    right = await server.ask(mtls_port(server), own)
    wrong = [await server.ask(mtls_port(server), other), await server.ask(mtls_port(server), None)]
    where_nobody_asks = await server.ask(tls_port(server), own)

    assert right.status_code == 200, right.text
    assert claims_of(right.json()["access_token"])["cnf"] == {"x5t#S256": thumbprint(own.der)}
    assert [answer.status_code for answer in (*wrong, where_nobody_asks)] == [401] * 3


@pytest.mark.spec("RFC 8705 §2.2")
async def test_a_self_signed_certificate_is_let_through_once_it_is_registered(server: Running) -> None:
    now = clock.now()
    own, namesake = certify("CN=batch", now), certify("CN=batch", now)

    with pytest.raises(httpx.TransportError):
        await server.ask(mtls_port(server), own)
    await server.client(auth_method="self_signed_tls_client_auth", jwks={"keys": [own.jwk]})
    answer = await _when_trusted(server, own)
    with pytest.raises(httpx.TransportError):
        await server.ask(mtls_port(server), namesake)

    assert answer.status_code == 200, answer.text


async def _when_trusted(server: Running, own: Certified) -> httpx.Response:
    for _ in range(200):
        try:
            answer = await server.ask(mtls_port(server), own)
        except httpx.TransportError:
            await asyncio.sleep(0.02)
        else:
            if answer.status_code != 401:
                return answer
    raise TimeoutError


async def test_what_a_registered_certificate_signs_proves_nobody(server: Running) -> None:
    await server.pki_client()
    mallory = certify("CN=mallory", clock.now(), authority=True)
    await server.client("mallory", auth_method="self_signed_tls_client_auth", jwks={"keys": [mallory.jwk]})
    forged = certify(SUBJECT, clock.now(), by=mallory)
    assert (await _as_mallory(server, mallory)).status_code == 200

    # TLS may let it through, because it trusts the registered certificate; the endpoint does not believe it.
    try:
        status = (await server.ask(mtls_port(server), forged)).status_code
    except httpx.TransportError:
        status = 401

    assert status == 401


async def _as_mallory(server: Running, own: Certified) -> httpx.Response:
    for _ in range(200):
        try:
            return await server.ask(mtls_port(server), own, client_id="mallory")
        except httpx.TransportError:
            await asyncio.sleep(0.02)
    raise TimeoutError


async def test_a_header_is_not_believed_of_a_caller_who_is_no_proxy(server: Running) -> None:
    await server.pki_client()
    own = certify(SUBJECT, clock.now(), by=server.authority)
    spoofed = {"x-forwarded-client-cert": f'Cert="{quote(own.pem, safe="")}"'}

    answers = [await server.ask(port, None, headers=spoofed) for port in (tls_port(server), mtls_port(server))]

    assert [answer.status_code for answer in answers] == [401, 401]


async def test_a_renewed_certificate_is_served_without_a_restart(server: Running) -> None:
    async with server.http(tls_port(server)) as http:
        assert (await http.get("/.well-known/openid-configuration")).status_code == 200
    other = certify("CN=Other CA", clock.now(), authority=True)

    written(server.folder, "server", server_certificate(other))
    server.authority = other

    for _ in range(200):
        try:
            async with server.http(tls_port(server)) as http:
                answer = await http.get("/.well-known/openid-configuration")
            break
        except httpx.ConnectError:
            await asyncio.sleep(0.02)
    assert answer.status_code == 200


@pytest.mark.spec("RFC 8705 §5")
async def test_the_metadata_names_the_endpoints_for_certificates(server: Running) -> None:
    async with server.http(tls_port(server)) as http:
        document = (await http.get("/.well-known/openid-configuration")).json()

    aliases = document["mtls_endpoint_aliases"]
    assert server.settings.mtls is not None
    assert aliases["token_endpoint"] == f"{server.settings.mtls.url}/oauth/token"
    assert {"introspection_endpoint", "revocation_endpoint"} <= aliases.keys()
    assert document["tls_client_certificate_bound_access_tokens"] is True
    assert {"tls_client_auth", "self_signed_tls_client_auth"} <= set(document["token_endpoint_auth_methods_supported"])


@pytest.mark.spec("RFC 8705 §2")
@pytest.mark.spec("RFC 8705 §3")
async def test_certificates_come_through_an_envoy_that_ends_tls(server: Running) -> None:
    now = clock.now()
    own, self_signed = certify(SUBJECT, now, by=server.authority), certify("CN=any", now)
    forged = certify(SUBJECT, now)
    await server.pki_client(bound=True)
    await server.client("loner", auth_method="self_signed_tls_client_auth", jwks={"keys": [self_signed.jwk]})

    async with envoy(server):
        right = await server.ask(server.envoy, own)
        alone = await server.ask(server.envoy, self_signed, client_id="loner")
        token = right.json()["access_token"]
        told = await server.ask(server.envoy, own, path="/oauth/introspect", token=token)
        wrong = [
            await server.ask(server.envoy, forged),
            await server.ask(server.envoy, None),
            await server.ask(server.envoy, own, client_id="loner"),
            await server.ask(server.envoy, None, headers={"x-forwarded-client-cert": _header(own)}),
        ]

    assert (right.status_code, alone.status_code) == (200, 200), (right.text, alone.text)
    assert claims_of(token)["cnf"] == told.json()["cnf"] == {"x5t#S256": thumbprint(own.der)}
    assert [answer.status_code for answer in wrong] == [401] * 4


def _header(own: Certified) -> str:
    return f'Cert="{quote(own.pem, safe="")}"'


# --- the settings --------------------------------------------------------------------------------------------------


def test_the_settings_come_from_the_file_and_go_to_the_children(tmp_path: Path) -> None:
    written(tmp_path, "server", certify("CN=localhost", clock.now(), names=("dns:localhost",)))
    written(tmp_path, "ca", certify("CN=CA", clock.now(), authority=True))
    (tmp_path / "kronborg.yaml").write_text(
        """version: 1
server:
  trusted_proxies: [10.0.0.0/8]
  identity:
    tls: {certificate: server.pem, key: server.key}
    mtls:
      url: https://mtls.id.example
      authorities: ca.pem
      header: client-cert
      port: 9443
      certificate: server.pem
      key: server.key
"""
    )

    settings = load_settings(tmp_path / "kronborg.yaml", tmp_path, environ={})
    child = load_settings(environ=resolved(settings))

    assert settings.tls == TlsListener("0.0.0.0", 8443, str(tmp_path / "server.pem"), str(tmp_path / "server.key"))
    assert settings.mtls is not None
    assert settings.mtls.listener is not None
    assert (settings.mtls.url, settings.mtls.header, settings.mtls.listener.port) == (
        "https://mtls.id.example",
        "client-cert",
        9443,
    )
    assert (child.tls, child.mtls) == (settings.tls, settings.mtls)


@pytest.mark.parametrize(
    ("written_as", "where"),
    [
        ("tls: {certificate: no.pem, key: no.key}", "server.identity.tls.certificate"),
        ("mtls: {url: 'https://m.example'}", "server.identity.mtls"),
        ("mtls: {url: 'http://m.example', header: client-cert}", "server.identity.mtls.url"),
        ("mtls: {url: 'https://m.example', header: client-cert}", "server.identity.mtls.header"),
        ("mtls: {url: 'https://m.example', authorities: no.pem}", "server.identity.mtls.authorities"),
    ],
)
def test_settings_that_cannot_stand_are_named(tmp_path: Path, written_as: str, where: str) -> None:
    (tmp_path / "kronborg.yaml").write_text(f"version: 1\nserver:\n  identity:\n    {written_as}\n")

    with pytest.raises(Invalid) as refused:
        load_settings(tmp_path / "kronborg.yaml", tmp_path, environ={})

    assert where in {problem.where for problem in refused.value.problems}


def test_a_file_that_is_not_there_is_told_from_one_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "there.pem").write_text("no certificate")
    (tmp_path / "kronborg.yaml").write_text(
        "version: 1\nserver:\n  identity:\n    tls: {certificate: there.pem, key: no.key}\n"
        "    mtls: {url: 'https://m.example', port: 9443, authorities: there.pem,"
        " certificate: there.pem, key: there.pem}\n"
    )

    with pytest.raises(Invalid) as refused:
        load_settings(tmp_path / "kronborg.yaml", tmp_path, environ={})

    assert {(problem.where, problem.detail) for problem in refused.value.problems} == {
        ("server.identity.tls.key", "is no file that can be read"),
        ("server.identity.mtls.authorities", "holds no certificates"),
        ("server.identity.mtls.certificate", "cannot be used with its key"),
    }
