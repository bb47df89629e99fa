"""The site, a clock, and a person with whatever factors a test wants: an authenticator app, a passkey in software."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import cbor2
import httpx
import orjson
import pyotp
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kronborg.accounts.model import User
from kronborg.core import clock as core_clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database, to_micros
from kronborg.core.json import JsonObject, JsonValue
from kronborg.core.mail import open_letter
from kronborg.factors.model import FactorSettings
from kronborg.sessions.visits import visit
from kronborg.signin.model import PasswordSettings, SignInSettings
from people_site import PASSWORD, PeopleSite, Visitor, people_site

ISSUER = "http://localhost:8081"
ADD = "/account/security/factors/add"
FACTORS = "/account/security/factors"


@dataclass
class Clock:
    """The time as every part of the app sees it."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **parts: float) -> None:
        self.now += timedelta(**parts)


@dataclass
class Key:
    """A passkey in software (WebAuthn Level 3 §6): one credential, with what a test wants to be true of it."""

    rp_id: str = "localhost"
    origin: str = ISSUER
    count: int = 1
    verified: bool = True
    synced: bool = False
    secret: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    id: bytes = b""
    handle: bytes = b""

    def create(self, options: Mapping[str, JsonValue]) -> str:
        """The answer to `navigator.credentials.create()`."""
        numbers = self.secret.public_key().public_numbers()
        self.id = hashlib.sha256(numbers.x.to_bytes(32, "big")).digest()
        user = options["user"]
        assert isinstance(user, dict)
        self.handle = unpacked(str(user["id"]))
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(cose)
        made = {"fmt": "none", "attStmt": {}, "authData": self._data(attested)}
        client = self._client("webauthn.create", str(options["challenge"]))
        response = {"clientDataJSON": packed(client), "attestationObject": packed(cbor2.dumps(made))}
        return self._credential({**response, "transports": ["internal", "made-up"]})

    def get(self, options: Mapping[str, JsonValue], *, handle: bytes | None = None) -> str:
        """The answer to `navigator.credentials.get()`."""
        self.count += 1 if self.count else 0
        data, client = self._data(), self._client("webauthn.get", str(options["challenge"]))
        signature = self.secret.sign(data + hashlib.sha256(client).digest(), ECDSA(SHA256()))
        response = {"clientDataJSON": packed(client), "authenticatorData": packed(data), "signature": packed(signature)}
        return self._credential({**response, "userHandle": packed(self.handle if handle is None else handle)})

    def _data(self, attested: bytes = b"") -> bytes:
        # User present, user verified, backup eligible, backed up, attested credential data.
        flags = 0x01 | (0x04 if self.verified else 0) | (0x18 if self.synced else 0) | (0x40 if attested else 0)
        digest = hashlib.sha256(self.rp_id.encode()).digest()
        return digest + bytes([flags]) + self.count.to_bytes(4, "big") + attested

    def _client(self, kind: str, challenge: str) -> bytes:
        return orjson.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False})

    def _credential(self, response: JsonObject) -> str:
        made = {"id": packed(self.id), "rawId": packed(self.id), "type": "public-key", "response": response}
        return orjson.dumps(made).decode()


@dataclass
class App:
    """An authenticator app with one key."""

    secret: str
    clock: Clock

    def code(self, *, ahead: int = 0) -> str:
        return pyotp.TOTP(self.secret).at(self.clock.now, counter_offset=ahead)


@dataclass
class World:
    """The site and its time. `texts` are those that were sent: number and text."""

    site: PeopleSite
    clock: Clock
    vault: Vault
    texts: list[tuple[str, str]]

    @property
    def database(self) -> Database:
        return self.site.parts.database

    async def person(self, username: str = "hamlet", *, verified: bool = True) -> User:
        user = await self.site.person(username)
        if verified:
            at = to_micros(self.clock.now)
            sql = "UPDATE accounts_users SET email_verified_at = ? WHERE id = ?"
            await self.database.writer.run(lambda execute: execute(sql, (at, user.id)))
        return user

    async def disable(self, username: str) -> None:
        sql = "UPDATE accounts_users SET disabled = ? WHERE username = ?"
        await self.database.writer.run(lambda execute: execute(sql, (True, username)))

    def settings(self, settings: FactorSettings) -> None:
        """Other settings from here on."""
        parts = self.site.app.state.factors
        self.site.app.state.factors = type(parts)(settings, parts.texts)

    async def signed_in(self, username: str = "hamlet") -> Visitor:
        visitor = self.site.visitor()
        answer = await visitor.sign_in(username)
        assert answer.status_code == 303, answer.text
        return visitor

    async def add_app(self, visitor: Visitor, *, name: str = "") -> App:
        """Enrol an authenticator app on the page of the account; its first code is used."""
        page = await visitor.get(f"{ADD}/totp")
        found = re.search(r"<code>([A-Z2-7 ]+)</code>", page.text)
        assert found is not None, page.text
        app = App(found[1].replace(" ", ""), self.clock)
        answer = await visitor.post(f"{ADD}/totp", {"code": app.code(), "name": name, "sealed": fields(page)["sealed"]})
        assert answer.status_code in (200, 303), answer.text
        return app

    async def add_key(self, visitor: Visitor, key: Key | None = None, *, name: str = "") -> Key:
        """Enrol a passkey on the page of the account."""
        key = key or Key()
        answer = await self.answer_key(visitor, await visitor.get(f"{ADD}/passkey"), key, {"name": name})
        assert answer.status_code in (200, 303), answer.text
        return key

    async def answer_key(
        self, visitor: Visitor, page: httpx.Response, key: Key, values: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """What the script does: let the key answer the options of the form, and send it."""
        kind, form = passkey_form(page)
        answer = key.create(options_of(form)) if kind == "create" else key.get(options_of(form))
        sent = {**fields_in(form), "credential": answer, **(values or {})}
        return await submit(visitor, action_of(form), sent)

    async def letter(self) -> str:
        """The text of the newest letter."""
        sql = "SELECT id, sealed FROM core_letters ORDER BY written_at DESC, id DESC LIMIT 1"
        found = await self.database.lookup.first(sql)
        assert found is not None
        return open_letter(self.vault, str(found[0]), str(found[1])).text

    async def events(self, name: str) -> list[JsonObject]:
        """The details of every event with this name, oldest first."""
        sql = "SELECT detail FROM core_events WHERE name = ? ORDER BY seq"
        return [orjson.loads(detail) for (detail,) in await self.database.lookup.all(sql, (name,))]

    async def amr(self, visitor: Visitor) -> list[str] | None:
        """How this browser is signed in."""
        found: list[str] | None = (await visitor.get("/whoami")).json()
        return found


@asynccontextmanager
async def world(
    database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch, *, factors: FactorSettings | None = None
) -> AsyncIterator[World]:
    clock = Clock(core_clock.now())
    monkeypatch.setattr(core_clock, "now", clock)
    texts: list[tuple[str, str]] = []

    async def send(number: str, text: str) -> None:
        texts.append((number, text))

    async def whoami(request: Request) -> Response:
        found = await visit(request)
        return JSONResponse(None if found is None else list(found.amr))

    passwords = PasswordSettings(memory_kib=64, passes=1)
    settings = SignInSettings(passwords=passwords, factors=factors or FactorSettings())
    routes = (Route("/whoami", whoami),)
    async with people_site(database, vault, issuer=ISSUER, settings=settings, routes=routes, texts=send) as site:
        yield World(site, clock, vault, texts)


async def submit(visitor: Visitor, action: str, values: Mapping[str, str]) -> httpx.Response:
    """Send a form as a browser does, without opening its page again."""
    headers = {"accept": "text/html", "origin": visitor.issuer, "sec-fetch-site": "same-origin"}
    return await visitor.http.post(action, data=dict(values), headers=headers)


async def to_factor(visitor: Visitor, username: str = "hamlet", *, page: str = "/signin") -> httpx.Response:
    """Type the password; the page that asks for more."""
    answer = await visitor.sign_in(username, PASSWORD, page=page)
    assert answer.status_code == 303
    assert urlsplit(answer.headers["location"]).path == "/signin/continue", answer.headers["location"]
    return await visitor.get(answer.headers["location"])


async def give(visitor: Visitor, page: httpx.Response, values: Mapping[str, str]) -> httpx.Response:
    """Fill in the form of a page of the journey."""
    form = main_form(page)
    return await submit(visitor, action_of(form), {**fields_in(form), **values})


def main_form(page: httpx.Response) -> str:
    """The form of the journey on a page."""
    forms = re.findall(r"<form.*?</form>", page.text, re.S)
    return next(str(form) for form in forms if 'action="/signin/' in form or f'action="{ADD}' in form)


def passkey_form(page: httpx.Response) -> tuple[str, str]:
    """What the script does with the page, and the form it does it with."""
    found = re.search(r'<form[^>]*data-passkey="(\w+)".*?</form>', page.text, re.S)
    assert found is not None, page.text
    return found[1], found[0]


def options_of(form: str) -> Mapping[str, JsonValue]:
    found = re.search(r'data-options="([^"]*)"', form)
    assert found is not None
    options: Mapping[str, JsonValue] = orjson.loads(html.unescape(found[1]))
    return options


def action_of(form: str) -> str:
    found = re.search(r'action="([^"]*)"', form)
    assert found is not None
    return html.unescape(str(found[1]))


def fields_in(form: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form)
    return {name: html.unescape(value) for name, value in found}


def fields(page: httpx.Response) -> dict[str, str]:
    """The hidden fields of the form of the journey."""
    return fields_in(main_form(page))


def packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
