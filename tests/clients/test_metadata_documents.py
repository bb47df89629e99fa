"""Clients whose id is the URL of a document: real https servers on this machine, on each database."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from certificates import certificate
from kronborg.clients.admission import Admission, RegistrationPolicy
from kronborg.clients.model import Client
from kronborg.clients.register import set_disabled
from kronborg.clients.registration import remove_unused
from kronborg.clients.store import find_client
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.fetch import Fetcher
from names import known_names
from oauth.flow import CHALLENGE, VERIFIER, Flow, answer_of, is_consent, open_flow
from outside import LOOPBACK, Answer, Outside, outside

pytestmark = [pytest.mark.anyio, pytest.mark.spec("draft-ietf-oauth-client-id-metadata-document §4")]

HOST = "app.example"
TAKEN = Admission(documents=True)


@dataclass
class Stage:
    """The server, and somebody else's one with a document."""

    flow: Flow
    there: Outside
    client_id: str

    def document(self, **members: Any) -> dict[str, Any]:
        usual = {
            "client_id": self.client_id,
            "client_name": "Inspector",
            "redirect_uris": ["https://app.example/callback", "http://127.0.0.1/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        return {name: value for name, value in {**usual, **members}.items() if value is not None}

    def publish(self, **members: Any) -> None:
        body = json.dumps(self.document(**members)).encode()
        self.there.answers["/client.json"] = Answer(body, headers={"cache-control": "max-age=60"})

    async def client(self, client_id: str | None = None) -> Client | None:
        return await self.flow.engine.directory.client(client_id or self.client_id, now=self.flow.clock.now)

    async def client_later(self, **parts: float) -> Client | None:
        self.flow.clock.pass_by(**parts)
        return await self.client()

    def authorize_url(self, redirect_uri: str = "https://app.example/callback", **changes: str) -> str:
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid catalogue:read offline_access",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        return f"/oauth/authorize?{httpx.QueryParams(query)}"


@pytest.fixture
async def stage(
    database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Stage]:
    """Documents are taken; a parameter of the test changes how."""
    known_names(monkeypatch, {HOST: ["127.0.0.1"], "other.example": ["127.0.0.1"]})
    tls, ca_file = certificate(tmp_path, HOST)
    admission = getattr(request, "param", TAKEN)
    fetcher = Fetcher(LOOPBACK, ca_file=ca_file)
    async with (
        outside(tls) as there,
        open_flow(database, vault, monkeypatch, admission=admission, fetcher=fetcher) as flow,
    ):
        opened = Stage(flow, there, there.url("/client.json", HOST))
        opened.publish()
        yield opened


async def test_documents_take_no_room_from_the_keys_of_other_clients(stage: Stage) -> None:
    known = await stage.client()

    assert known is not None
    assert not stage.flow.engine.fetcher.is_kept(stage.client_id)


async def test_a_client_that_nobody_registered_goes_through_the_whole_flow(stage: Stage) -> None:
    browser = stage.flow.browser()

    page = await browser.sign_in(await browser.get(stage.authorize_url()))
    allowed = await browser.press(page, "allow")
    tokens = await stage.flow.http.post(
        "/oauth/token",
        data={
            "grant_type": "authorization_code",
            "code": answer_of(allowed)["code"],
            "redirect_uri": "https://app.example/callback",
            "client_id": stage.client_id,
            "code_verifier": VERIFIER,
        },
    )
    again = await stage.flow.http.post(
        "/oauth/token",
        data={
            "grant_type": "refresh_token",
            "refresh_token": tokens.json()["refresh_token"],
            "client_id": stage.client_id,
        },
    )

    assert is_consent(page)
    assert "Nobody has checked this app" in page.text
    assert (tokens.status_code, again.status_code) == (200, 200)
    assert (await stage.flow.introspect(tokens.json()["access_token"]))["client_id"] == stage.client_id
    assert len(stage.there.asked) == 1


async def test_the_consent_page_names_the_host_of_the_document(stage: Stage) -> None:
    browser = stage.flow.browser()

    page = await browser.sign_in(await browser.get(stage.authorize_url("http://127.0.0.1:5123/callback")))

    assert f"<bdi>{HOST}" in page.text
    assert "another program on this computer" in page.text


@pytest.mark.spec("RFC 8252 §7.3")
async def test_a_loopback_redirect_may_use_any_port_and_no_other_may(stage: Stage) -> None:
    browser = stage.flow.browser()

    right = await browser.sign_in(await browser.get(stage.authorize_url("http://127.0.0.1:5123/callback")))
    wrong = await browser.get(stage.authorize_url("https://app.example:444/callback"))

    assert is_consent(right)
    assert wrong.status_code == 400
    assert not wrong.is_redirect


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": None},
        {"client_id": "https://app.example/other.json"},
        {"client_id": 7},
        {"redirect_uris": None},
        {"redirect_uris": []},
        {"redirect_uris": ["http://app.example/callback"]},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_method": "client_secret_post"},
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"client_secret": "kro_cs_something-that-everybody-can-read"},
        {"client_secret_expires_at": 0},
        {"grant_types": ["client_credentials"]},
        {"grant_types": ["password"]},
        {"client_name": "a\u202eb"},
        {"client_name": ["x"]},
        {"scope": "admin:write"},
        {"jwks": {"keys": []}},
        {"jwks_uri": "http://app.example/jwks"},
        {"response_types": ["token"]},
        {"sector_identifier_uri": "https://app.example/sector"},
    ],
    ids=lambda wrong: ",".join(wrong),
)
async def test_a_document_that_is_not_as_it_must_be_makes_no_client(stage: Stage, wrong: dict[str, Any]) -> None:
    stage.publish(**wrong)

    answer = await stage.flow.browser().get(stage.authorize_url())

    assert await stage.client() is None
    assert (answer.status_code, answer.is_redirect) == (400, False)


async def test_what_a_document_cannot_decide_is_not_read(stage: Stage) -> None:
    stage.publish(first_party=True, may_impersonate=True, unverified=False, audiences=["https://shop.example/cart"])

    client = await stage.client()

    assert client is not None
    assert (client.first_party, client.audiences, client.settings.may_impersonate) == (False, (), False)
    assert client.settings.unverified
    assert not {"admin:read", "admin:write"} & set(client.scopes)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"{}", status=404),
        Answer(b"<html>", "text/html"),
        Answer(b"[]"),
        Answer(b'{"client_id":"a","client_id":"b"}'),
        Answer(b"x" * 70_000),
        Answer(b"", status=302, headers={"location": "https://other.example/client.json"}),
    ],
)
async def test_what_is_no_document_makes_no_client(stage: Stage, answer: Answer) -> None:
    stage.there.answers["/client.json"] = answer

    first, second = await stage.client(), await stage.client()

    assert (first, second) == (None, None)
    assert len(stage.there.asked) == 1, "a failure is remembered"


@pytest.mark.parametrize(
    "client_id",
    [
        "http://app.example/client.json",
        "https://app.example",
        "https://app.example/",
        "https://app.example/a/../client.json",
        "https://app.example/./client.json",
        "https://app.example/%2e%2e/client.json",
        "https://app.example/client.json#part",
        "https://user@app.example/client.json",
        "https://user:pw@app.example/client.json",
        "https://APP.example/client.json",
        "https://127.0.0.1/client.json",
        "https://[::1]/client.json",
        "https://169.254.169.254/latest/meta-data",
        "https://2130706433/client.json",
        "https://localhost/client.json",
        "https://app.example/" + "a" * 200,
        "https:/app.example/client.json",
        "https:app.example",
    ],
)
async def test_a_url_that_may_not_be_a_client_id_is_an_unknown_client(
    database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch, client_id: str
) -> None:
    async with open_flow(database, vault, monkeypatch, admission=TAKEN) as flow, outside() as there:
        answer = await flow.http.post("/oauth/token", data={"grant_type": "refresh_token", "client_id": client_id})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert there.asked == []


@pytest.mark.parametrize(
    "stage",
    [
        Admission(),
        Admission(documents=True, document_hosts=("other.example",)),
        Admission(documents=True, document_denied=("app.example",)),
        Admission(documents=True, document_denied=("*.example",)),
    ],
    indirect=True,
)
async def test_documents_are_taken_only_where_the_operator_says_so(stage: Stage) -> None:
    assert await stage.client() is None
    assert stage.there.asked == []


@pytest.mark.parametrize("stage", [Admission(documents=True, document_hosts=("*.example",))], indirect=True)
async def test_a_host_that_is_allowed_is_asked(stage: Stage) -> None:
    assert await stage.client() is not None


async def test_discovery_says_whether_documents_are_taken(stage: Stage) -> None:
    told = (await stage.flow.http.get("/.well-known/oauth-authorization-server")).json()

    assert told["client_id_metadata_document_supported"] is True


async def test_a_client_follows_its_document(stage: Stage) -> None:
    before = await stage.client()
    stage.publish(redirect_uris=["https://app.example/new"])

    kept = await stage.client_later(seconds=30)
    after = await stage.client_later(seconds=31)

    assert before is not None
    assert kept is not None
    assert after is not None
    assert kept.redirect_uris == before.redirect_uris
    assert after.redirect_uris == ("https://app.example/new",)


async def test_a_document_that_became_wrong_ends_the_client(stage: Stage) -> None:
    await stage.client()
    stage.publish(client_id="https://app.example/other.json")

    assert await stage.client_later(minutes=2) is None


async def test_a_document_that_cannot_be_had_stands_for_a_day(stage: Stage) -> None:
    await stage.client()
    stage.there.answers["/client.json"] = Answer(b"", status=500)

    soon, late = await stage.client_later(hours=23), await stage.client_later(hours=2)

    assert soon is not None
    assert late is None


async def test_a_client_that_an_administrator_disabled_stays_disabled(stage: Stage) -> None:
    await stage.client()
    async with stage.flow.database.write() as session:
        await set_disabled(session, stage.client_id, disabled=True, actor="test", now=stage.flow.clock.now)
    stage.publish(client_name="Another name")

    client = await stage.client_later(minutes=5)
    stage.flow.clock.pass_by(days=40)
    removed = await remove_unused(stage.flow.database, now=stage.flow.clock.now)
    later = await stage.client_later(minutes=5)

    assert client is not None
    assert later is not None
    assert (client.disabled, later.disabled, removed) == (True, True, 0)


async def test_its_keys_prove_a_confidential_client(stage: Stage) -> None:
    key = ECKey.generate_key("P-256", {"kid": "1"})
    stage.publish(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key.as_dict(private=False)]})

    client = await stage.client()

    assert client is not None
    assert (client.kind, client.auth_method) == ("confidential", "private_key_jwt")


async def test_one_that_was_never_used_goes_after_a_day_and_comes_back_when_asked_for(stage: Stage) -> None:
    await stage.client()

    stage.flow.clock.pass_by(days=1, minutes=1)
    removed = await remove_unused(stage.flow.database, now=stage.flow.clock.now)
    async with stage.flow.database.read() as session:
        gone = await find_client(session, stage.client_id)
    back = await stage.client()

    assert (removed, gone) == (1, None)
    assert back is not None


@pytest.mark.parametrize(
    "stage", [Admission(documents=True, document_policy=RegistrationPolicy(max_clients=1))], indirect=True
)
async def test_one_that_was_never_used_gives_way_to_a_new_one(stage: Stage) -> None:
    other_id = stage.there.url("/other.json", HOST)
    stage.there.answers["/other.json"] = Answer(json.dumps(stage.document(client_id=other_id)).encode())

    first, second = await stage.client(), await stage.client(other_id)
    async with stage.flow.database.read() as session:
        left = [await find_client(session, client_id) is not None for client_id in (stage.client_id, other_id)]

    assert first is not None
    assert second is not None
    assert left == [False, True]


async def test_nobody_calls_a_host_through_us_at_will(stage: Stage) -> None:
    known = await stage.client()
    made_up = [await stage.client(stage.there.url(f"/made-up/{number}", HOST)) for number in range(70)]
    asked = len(stage.there.asked)
    still = await stage.client_later(minutes=2)
    other = stage.there.url("/later", HOST)
    stage.flow.clock.pass_by(minutes=9)
    await stage.client(other)

    assert known is not None
    assert still is not None
    assert set(made_up) == {None}
    assert asked == 60
    assert stage.there.asked[-1].path == "/later"


async def test_a_loopback_client_is_not_fetched_for_the_list_of_apps(stage: Stage) -> None:
    stored = await stage.flow.engine.directory.stored(stage.client_id, now=stage.flow.clock.now)

    assert stored is None
    assert stage.there.asked == []
