"""Whatever takes a token back, the gateway refuses it within a second: all processes as they really run.

A person is signed in, gives an application a JWT for one API and a reference token for another, and both pass. Then one
thing happens, and neither passes any more.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import pytest

from gateway.live import Echo, Quiet, wait_until
from gateway.test_simulate import said_by
from kronborg.accounts.users import NewUser, create_user
from kronborg.clients.model import ApiDraft, ClientDraft, Scope
from kronborg.clients.register import add_secret, ensure_admin_api, save_api, save_client
from kronborg.config import Settings, load_settings
from kronborg.control import prepare_files, proxy_of
from kronborg.core import clock
from kronborg.core.cookies import SESSION, cookie_name
from kronborg.core.db import Database
from kronborg.core.jose import parse
from kronborg.core.migrate import migrate
from kronborg.gateway import store
from kronborg.gateway.envoy import admin
from kronborg.gateway.envoy.process import envoy_argv
from kronborg.gateway.model import Path as RoutePath
from kronborg.gateway.model import Route, Service
from kronborg.gateway.publish import publish_declared
from kronborg.opening import engine_for
from kronborg.sessions.life import begin_session
from kronborg.sessions.model import Origin
from oauth.flow import CHALLENGE, VERIFIER
from ports import free_ports

CATALOGUE, CART = "https://shop.example/catalogue", "https://shop.example/cart"
CALLBACK = "https://app.example/callback"
WITHIN = 1.0
"""Seconds from the answer to whatever revokes until the gateway refuses."""


@dataclass
class Site:
    """The running product. `operator` may do everything by the admin API."""

    settings: Settings
    operator: dict[str, str]
    secrets: dict[str, str]
    browsers: list[httpx.Client] = field(default_factory=list)
    caller: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False))
    """Made once: to make one takes longer than what is measured here."""

    def sign_on(self) -> None:
        """A new token for the operator."""
        form = {"grant_type": "client_credentials", "resource": f"{self.settings.issuer}/api"}
        self.operator = {"authorization": f"Bearer {token(self, 'operator', form)['access_token']}"}

    def api(self, method: str, path: str, body: object = None) -> httpx.Response:
        url = f"{self.settings.issuer}/api{path}"
        answer = httpx.request(method, url, json=body, headers=self.operator, trust_env=False, timeout=20)
        assert answer.status_code < 300, answer.text
        return answer

    def statuses(self, person: Person) -> list[int]:
        """What the gateway says to both tokens."""
        return [self.status("/catalogue", person.jwt), self.status("/cart", person.reference)]

    def status(self, path: str, token: str) -> int:
        headers = {"authorization": f"Bearer {token}"}
        return self.caller.get(f"{self.settings.gateway_url}{path}", headers=headers).status_code


@dataclass
class Person:
    """Somebody who is signed in at `http` and allowed `client` two tokens."""

    id: str
    http: httpx.Client
    client: str
    secret: str
    jwt: str
    reference: str
    id_token: str

    @property
    def session(self) -> str:
        return str(said_by(self.jwt)["sid"])


FILE = """version: 1
server:
  gateway: {{ port: {gateway} }}
  issuer: http://localhost:{identity}
  gateway_url: http://localhost:{gateway}
  identity: {{ port: {identity} }}
  control: {{ port: {control} }}
  worker: {{ port: {worker} }}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("revocation")
    names = ("gateway", "identity", "control", "worker")
    file, data = folder / "kronborg.yaml", folder / "data"
    file.write_text(FILE.format(**dict(zip(names, free_ports(len(names)), strict=True))))
    data.mkdir()
    settings = load_settings(file, data)
    settings.vault()
    migrate(settings.database_url)
    upstream = Quiet(("127.0.0.1", 0), Echo)
    threading.Thread(target=upstream.serve_forever, args=(0.02,), daemon=True).start()
    secrets = asyncio.run(furnish(settings, upstream.server_address[1]))
    asyncio.run(prepare_files(settings))
    told = ["--file", str(file), "--data", str(data)]
    commands = [[sys.executable, "-m", "kronborg.run", name, *told] for name in ("identity", "control", "worker")]
    commands.append(envoy_argv(proxy_of(settings).folder, concurrency=2))
    children = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    try:
        for url in (settings.identity.url, settings.control.url, settings.worker.url):
            wait_until(lambda url=url: any(one.poll() for one in children) or ready(f"{url}/readyz"), seconds=30)  # type: ignore[misc]
        wait_until(lambda: asyncio.run(admin.is_ready(proxy_of(settings).admin)))
        found = Site(settings, {}, secrets)
        found.sign_on()
        yield found
        for browser in (*found.browsers, found.caller):
            browser.close()
    finally:
        for child in children:
            child.kill()
            child.wait()
        upstream.die()


def ready(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


async def furnish(settings: Settings, upstream: int) -> dict[str, str]:
    """Two APIs with a route each, an application, and an operator; the secrets of the two clients."""
    database, now = await Database.open(settings.database_url), clock.now()
    secrets = {}
    try:
        engine = await engine_for(settings, database, now=now)
        await ensure_admin_api(database, issuer=settings.issuer, now=now)
        drafts = [
            ClientDraft("operator", "Operator", grants=("client_credentials",), scopes=("admin:read", "admin:write"))
        ]
        drafts += [
            ClientDraft(
                name,
                name.title(),
                redirect_uris=(CALLBACK,),
                grants=("authorization_code",),
                scopes=("openid", "catalogue:read", "cart:read"),
                first_party=True,
            )
            for name in ("app", "other-app")
        ]
        async with database.write() as session:
            for name, audience in (("catalogue", CATALOGUE), ("cart", CART)):
                form = "reference" if name == "cart" else "jwt"
                api = ApiDraft(audience, name, (Scope(f"{name}:read", "Read"),), token_format=form)
                await save_api(session, api, actor="t", now=now)
                route = Route(name, RoutePath("prefix", f"/{name}"), "echo", audience=audience)
                await store.put_service(session, Service("echo", (f"http://127.0.0.1:{upstream}",)), now=now)
                await store.put_route(session, route, now=now)
            for draft in drafts:
                await save_client(session, draft, actor="t", now=now)
                made = await add_secret(session, engine.vault, draft.id, actor="t", now=now)
                secrets[draft.id] = made.secret
            issuer, url = settings.issuer, settings.gateway_url
            await publish_declared(session, issuer=issuer, gateway_url=url, author="t", now=now)
    finally:
        await database.close()
    return secrets


def token(site: Site, client: str, form: dict[str, str]) -> dict[str, str]:
    url = f"{site.settings.issuer}/oauth/token"
    answer = httpx.post(url, data=form, auth=(client, site.secrets[client]), trust_env=False)
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


async def sign_in(settings: Settings, name: str) -> tuple[str, str]:
    """A new person: the id, and the secret of a session."""
    database, now = await Database.open(settings.database_url), clock.now()
    try:
        async with database.write() as session:
            user = await create_user(session, NewUser(name, f"{name}@shop.example", name), actor="t", now=now)
            begun = await begin_session(
                session,
                settings.vault(),
                user.id,
                amr=("pwd",),
                origin=Origin("203.0.113.7", "Firefox/140.0 (X11; Linux)"),
                lifetime=timedelta(days=1),
                now=now,
            )
        return user.id, begun.secret
    finally:
        await database.close()


def person(site: Site, name: str, client: str = "app") -> Person:
    """Somebody new who allowed the application both tokens, over HTTP."""
    user, secret = asyncio.run(sign_in(site.settings, name))
    http = httpx.Client(base_url=site.settings.issuer, trust_env=False)
    site.browsers.append(http)
    http.cookies.set(cookie_name(SESSION, secure=False), secret, domain="localhost.local")
    shown = []
    for audience, scope in ((CATALOGUE, "catalogue:read"), (CART, "cart:read")):
        asked = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": CALLBACK,
            "scope": f"openid {scope}",
            "resource": audience,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        answer = http.get("/oauth/authorize", params=asked, headers={"accept": "text/html"})
        code = httpx.URL(answer.headers["location"]).params["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        shown.append(token(site, client, form))
    jwt, reference = (one["access_token"] for one in shown)
    return Person(user, http, client, site.secrets[client], jwt, reference, shown[0]["id_token"])


def revoke_tokens(site: Site, one: Person) -> None:
    """RFC 7009."""
    for each in (one.jwt, one.reference):
        url = f"{site.settings.issuer}/oauth/revoke"
        httpx.post(url, data={"token": each}, auth=(one.client, one.secret), trust_env=False).raise_for_status()


def withdraw_consent(_: Site, one: Person) -> None:
    page = one.http.get("/account", headers={"accept": "text/html"}).text
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    assert csrf is not None, page
    answer = one.http.post("/account/apps", data={"csrf": csrf[1], "client_id": one.client})
    assert answer.status_code == 303, answer.text


def log_out(_: Site, one: Person) -> None:
    answer = one.http.get("/oauth/logout", params={"id_token_hint": one.id_token})
    assert answer.status_code in (200, 303), answer.text


def end_session(site: Site, one: Person) -> None:
    site.api("POST", "/tokens/revoke", {"session": one.session})


def disable_user(site: Site, one: Person) -> None:
    site.api("PATCH", f"/users/{one.id}", {"disabled": True})


def disable_client(site: Site, one: Person) -> None:
    shown = site.api("GET", f"/clients/{one.client}").json()
    kept = ("name", "kind", "auth_method", "redirect_uris", "grants", "scopes", "first_party")
    site.api("PUT", f"/clients/{one.client}", {**{name: shown[name] for name in kept}, "disabled": True})


WAYS: dict[str, Callable[[Site, Person], None]] = {
    "tokens": revoke_tokens,
    "consent": withdraw_consent,
    "logout": log_out,
    "session": end_session,
    "user": disable_user,
}


def took(site: Site, one: Person, revoke: Callable[[Site, Person], None]) -> float:
    """Seconds from the answer until both are refused."""
    revoke(site, one)
    return until(lambda: site.statuses(one) == [401, 401])


def until(refused: Callable[[], bool]) -> float:
    """Seconds from now until the first question that was answered so was asked, however long the answer took."""
    start = time.monotonic()
    while (asked := time.monotonic()) < start + 10:
        if refused():
            return asked - start
    raise TimeoutError("it was never refused")


@pytest.mark.spec("RFC 7009 §2")
@pytest.mark.spec("OIDC RP-Initiated Logout §2")
@pytest.mark.parametrize("way", list(WAYS))
def test_what_is_taken_back_is_refused_within_a_second(site: Site, way: str) -> None:
    one, bystander = person(site, f"ana-{way}"), person(site, f"ben-{way}")
    wait_until(lambda: site.statuses(one) == site.statuses(bystander) == [200, 200])

    seconds = took(site, one, WAYS[way])

    assert seconds <= WITHIN
    assert site.statuses(bystander) == [200, 200]


def test_a_disabled_client_and_a_key_that_got_out_end_what_they_gave(site: Site) -> None:
    other, one = person(site, "cy", "other-app"), person(site, "dot")
    before = [site.statuses(other), site.statuses(one)]

    client = took(site, other, disable_client)
    after_client = site.statuses(one)
    site.api("POST", f"/keys/{parse(one.jwt).header['kid']}/revoke")
    # A reference token is not signed: what stands for it from now on is, with the next key.
    seconds = until(lambda: site.status("/catalogue", one.jwt) == 401)
    site.sign_on()

    assert before == [[200, 200], [200, 200]]
    assert after_client == [200, 200]
    assert client <= WITHIN
    assert seconds <= WITHIN
