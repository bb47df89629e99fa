"""A running identity process of its own, and what tests of relying parties put into it."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx
from joserfc.jwk import ECKey

from client_certificates import Certified, certify
from e2e.node import Node
from forms import Browser
from kronborg.accounts.users import NewUser, create_user
from kronborg.cli.store_access import prepare
from kronborg.clients.model import ApiDraft, Client, ClientDraft, Scope
from kronborg.clients.register import add_secret, save_api, save_client
from kronborg.clients.settings import ApiSettings, ClientSettings
from kronborg.config import Settings, load_settings
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.signin.passwords import set_password
from kronborg.supervise import die_with_parent
from ports import free_ports

API = "https://shop.example/things"
OTHER_API = "https://shop.example/more"
BOUND_API = "https://shop.example/bound"
CALLBACK = "https://app.example/callback"
PERSON, PASSWORD = "ophelia", "there is rosemary, that is for remembrance"
START_WITHIN = 30

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Identity:
    """The process; `client` registers one, with whatever it is to be good at."""

    settings: Settings
    log: Path
    authority: Certified

    @property
    def issuer(self) -> str:
        return self.settings.issuer

    def work(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Run `work` on the store that the process uses."""

        async def main() -> T:
            database = await Database.open(self.settings.database_url)
            try:
                return await work(database)
            finally:
                await database.close()

        return asyncio.run(main())

    def client(self, client_id: str, *, settings: ClientSettings | None = None, **draft: Any) -> str:
        """Register a client, by default a confidential one of ours for codes; its secret, if its method has one."""
        usual = ClientDraft(
            client_id,
            client_id.title(),
            redirect_uris=(CALLBACK,),
            grants=("authorization_code", "refresh_token"),
            scopes=("openid", "profile", "offline_access", "things:read"),
            first_party=True,
            settings=settings or ClientSettings(),
        )

        async def save(database: Database) -> tuple[Client, str]:
            async with database.write() as session:
                now = clock.now()
                client = await save_client(session, replace(usual, **draft), actor="test", now=now)
                if not client.auth_method.startswith("client_secret"):
                    return client, ""
                vault = self.settings.vault()
                return client, (await add_secret(session, vault, client.id, actor="test", now=now)).secret

        return self.work(save)[1]

    def sign_in(self, url: str, *, decision: str = "allow") -> httpx.Response:
        """Follow `url` in a new browser, sign in and decide; the answer that leaves the issuer, or its last page."""
        with Browser(self.issuer) as browser:
            answer = browser.sign_in(url, PERSON, PASSWORD)
            if not answer.is_redirect and f'value="{decision}"' in answer.text:
                answer = browser.decide(answer, decision)
            return answer

    def wait_until_trusted(self, own: Certified) -> None:
        """Until the listener for certificates lets this self-signed one through; it looks for new ones now and then."""
        assert self.settings.mtls is not None
        context = ssl.create_default_context(cadata=self.authority.pem.decode())
        (self.log.parent / "client.pem").write_bytes(own.pem + own.key_pem)
        context.load_cert_chain(self.log.parent / "client.pem")
        url = f"{self.settings.mtls.url}/oauth/jwks"
        with httpx.Client(verify=context, trust_env=False) as http:
            wait_until(lambda: http.get(url).is_success)

    @contextmanager
    def signed_in(self) -> Iterator[Browser]:
        """A browser in which the person is signed in."""
        with Browser(self.issuer) as browser:
            assert browser.sign_in(f"{self.issuer}/account", PERSON, PASSWORD).is_success
            yield browser


@contextmanager
def running_identity(folder: Path) -> Iterator[Identity]:
    """Start identity and worker on free ports, with a person and three APIs."""
    port, control, worker, mtls = free_ports(4)
    file = folder / "kronborg.yaml"
    authority = certify("CN=Shop CA", clock.now(), authority=True)
    own = certify("CN=localhost", clock.now(), by=authority, names=("dns:localhost",), usage=None)
    for name, content in (("ca.pem", authority.pem), ("own.pem", own.pem), ("own.key", own.key_pem)):
        (folder / name).write_bytes(content)
    certificates = {
        "url": f"https://localhost:{mtls}",
        "host": "127.0.0.1",
        "port": mtls,
        "authorities": "ca.pem",
        "certificate": "own.pem",
        "key": "own.key",
    }
    server = {
        "issuer": f"http://localhost:{port}",
        "identity": {"host": "127.0.0.1", "port": port, "mtls": certificates},
        "fetch": {"allow": ["127.0.0.0/8", "::1/128"], "ca_file": "ca.pem"},
        "registration": {"open": True, "scopes": ["openid", "profile", "offline_access", "things:read"]},
        "control": {"host": "127.0.0.1", "port": control},
        "worker": {"host": "127.0.0.1", "port": worker},
    }
    file.write_text(json.dumps({"version": 1, "server": server}))
    settings = load_settings(file, folder / "data")
    prepare(settings)
    identity = Identity(settings, folder / "identity.log", authority)
    identity.work(_people_and_apis)
    processes = [_started(name, file, identity) for name in ("identity", "worker")]
    try:
        _wait(processes[0], identity)
        yield identity
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=20)


def _started(name: str, file: Path, identity: Identity) -> subprocess.Popen[bytes]:
    arguments = ["--file", str(file), "--data", str(identity.settings.data)]
    with identity.log.with_name(f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "kronborg.run", name, *arguments],
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,
        )


async def _people_and_apis(database: Database) -> None:
    now = clock.now()
    async with database.write() as session:
        user = await create_user(session, NewUser(PERSON, f"{PERSON}@shop.example", "Ophelia"), actor="test", now=now)
        await set_password(session, user.id, PASSWORD, actor="test", now=now)
        bound = ApiSettings(require_sender_constraint=True)
        for draft in (
            ApiDraft(API, "Things", (Scope("things:read", "See things"), Scope("things:write", "Change things"))),
            ApiDraft(OTHER_API, "More", (Scope("more:read", "See more"),)),
            ApiDraft(BOUND_API, "Bound", (Scope("bound:read", "See what is bound"),), settings=bound),
        ):
            await save_api(session, draft, actor="test", now=now)


def _wait(process: subprocess.Popen[bytes], identity: Identity) -> None:
    def is_ready() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"identity did not start: {identity.log.read_text()[-4000:]}")
        return httpx.get(f"{identity.issuer}/readyz", trust_env=False).is_success

    wait_until(is_ready)


def wait_until(fine: Callable[[], bool]) -> None:
    """Until it is so; whatever keeps HTTP from being spoken counts as not yet."""
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if fine():
                return
        time.sleep(0.05)
    raise TimeoutError


def signing_key(use: Literal["sig", "enc"] = "sig", alg: str = "ES256") -> tuple[dict[str, Any], dict[str, Any]]:
    """A new P-256 key: itself as a JWK, and the JWK set a client registers."""
    key = ECKey.generate_key("P-256", {"use": use, "alg": alg}, auto_kid=True)
    return key.as_dict(private=True), {"keys": [key.as_dict(private=False)]}


def encryption_key(algorithm: str = "ECDH-ES") -> tuple[dict[str, Any], dict[str, Any]]:
    """A new P-256 key to encrypt to."""
    return signing_key("enc", algorithm)


def result_of(party: Node) -> dict[str, Any]:
    said = party.said()
    assert "result" in said, said
    result: dict[str, Any] = said["result"]
    return result
