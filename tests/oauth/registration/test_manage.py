"""What a client does with its own registration (RFC 7592), over HTTP on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from kronborg.clients.admission import Admission, RegistrationPolicy
from kronborg.clients.register import set_disabled
from kronborg.clients.store import find_client, replace_client
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from oauth.flow import Flow, open_flow
from oauth.registration.registering import initial_token
from oauth.registration.registering import register as register_with

pytestmark = [pytest.mark.anyio]

UNKNOWN = (
    "web",
    "no-such",
    "dyn-x",
    "dyn-%00",
    "%00",
    "dyn-" + "x" * 5000,
    "dyn-%ED%A0%80",
    "https:%2F%2Fa.example%2Fb",
)
APP = {"client_name": "My app", "redirect_uris": ["https://my.example/callback"]}


@pytest.fixture
async def flow(database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Flow]:
    async with open_flow(database, vault, monkeypatch, admission=Admission(RegistrationPolicy())) as opened:
        yield opened


async def register(flow: Flow, **metadata: Any) -> dict[str, Any]:
    answer = await flow.http.post("/oauth/register", json={**APP, **metadata})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def manage(flow: Flow, method: str, made: dict[str, Any], body: Any = None, **changed: Any) -> httpx.Response:
    """Call the client's own address; `token` and `client_id` may be those of another."""
    token = changed.get("token", made["registration_access_token"])
    path = f"/oauth/register/{changed.get('client_id', made['client_id'])}"
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return await flow.http.request(method, path, json=body, headers=headers)


@pytest.mark.spec("RFC 7592 §2.1")
async def test_a_client_reads_its_registration_without_its_secret(flow: Flow) -> None:
    made = await register(flow)

    answer = await manage(flow, "GET", made)

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {k: v for k, v in made.items() if not k.startswith("client_secret")}


@pytest.mark.spec("RFC 7592 §2.2")
async def test_a_client_replaces_its_metadata_and_its_token_is_rotated(flow: Flow) -> None:
    made = await register(flow, client_uri="https://my.example/")
    wanted = {**APP, "client_id": made["client_id"], "client_name": "Renamed"}

    answer = await manage(flow, "PUT", made, wanted)
    changed = answer.json()
    with_old = await manage(flow, "GET", made)
    with_new = await manage(flow, "GET", changed)

    assert answer.status_code == 200
    assert changed["client_name"] == "Renamed"
    # RFC 7592 §2.2: what is left out is asked to be removed.
    assert "client_uri" not in changed
    assert "client_secret" not in changed
    assert changed["registration_access_token"] != made["registration_access_token"]
    assert (with_old.status_code, with_new.status_code) == (401, 200)
    assert (await flow.http.post("/oauth/token", data={}, auth=(made["client_id"], made["client_secret"]))).json()[
        "error"
    ] == "invalid_request"  # the secret still proves it


@pytest.mark.spec("RFC 7592 §2.2")
@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": None},
        {"client_id": "web"},
        {"registration_access_token": "x"},
        {"registration_client_uri": "x"},
        {"client_secret_expires_at": 0},
        {"client_id_issued_at": 0},
        {"client_secret": "chosen-by-the-client-and-long-enough"},
        {"client_secret": 1},
        {"grant_types": ["client_credentials"]},
        {"software_statement": "x"},
    ],
    ids=lambda wrong: ",".join(wrong),
)
async def test_a_change_that_a_client_may_not_make_changes_nothing(flow: Flow, wrong: dict[str, Any]) -> None:
    made = await register(flow)

    answer = await manage(flow, "PUT", made, {**APP, "client_name": "x", "client_id": made["client_id"], **wrong})
    still = await manage(flow, "GET", made)

    assert answer.status_code == 400
    assert still.json()["client_name"] == "My app"


async def test_a_client_may_repeat_its_secret(flow: Flow) -> None:
    made = await register(flow)
    wanted = {**APP, "client_id": made["client_id"], "client_secret": made["client_secret"]}

    assert (await manage(flow, "PUT", made, wanted)).status_code == 200


async def test_a_client_that_begins_to_use_a_secret_gets_one(flow: Flow) -> None:
    made = await register(flow, token_endpoint_auth_method="none")

    answer = await manage(flow, "PUT", made, {**APP, "client_id": made["client_id"]})

    assert answer.json()["client_secret"].startswith("kro_cs_")
    assert answer.json()["client_secret_expires_at"] == 0


@pytest.mark.spec("RFC 7592 §2.3")
async def test_a_client_removes_itself(flow: Flow) -> None:
    made = await register(flow)

    answer = await manage(flow, "DELETE", made)
    after = await manage(flow, "GET", made)
    token = await flow.http.post(
        "/oauth/token", data={"grant_type": "client_credentials"}, auth=(made["client_id"], made["client_secret"])
    )

    assert (answer.status_code, answer.content) == (204, b"")
    assert (after.status_code, token.status_code) == (401, 401)
    assert (f"client:{made['client_id']}", made["client_id"]) in await flow.events("client.removed")


@pytest.mark.spec("RFC 7592 §2")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_only_its_own_token_manages_a_client(flow: Flow, method: str) -> None:
    made, other = await register(flow), await register(flow)
    body = {**APP, "client_id": made["client_id"]} if method == "PUT" else None

    answers = [
        await manage(flow, method, made, body, token=token)
        for token in (None, other["registration_access_token"], made["client_secret"], "x", "kro_ra_x")
    ]
    answers += [await manage(flow, method, made, body, client_id=unknown) for unknown in UNKNOWN]
    still = await manage(flow, "GET", made)

    for answer in answers:
        assert answer.status_code in (401, 404), answer.text
        assert answer.status_code == 404 or answer.json()["error"] == "invalid_token"
        assert answer.status_code == 404 or answer.headers["www-authenticate"].startswith("Bearer ")
    assert [answer.status_code for answer in answers].count(404) <= 1  # a path that is no client's at all
    assert still.status_code == 200


async def test_a_client_that_was_disabled_manages_nothing(flow: Flow) -> None:
    made = await register(flow)
    async with flow.database.write() as session:
        await set_disabled(session, made["client_id"], disabled=True, actor="test", now=flow.clock.now)

    assert (await manage(flow, "GET", made)).status_code == 401


async def test_what_an_administrator_gave_stays_and_a_change_is_unverified_again(flow: Flow) -> None:
    made = await register(flow)
    async with flow.database.write() as session:
        client = await find_client(session, made["client_id"])
        assert client is not None
        vouched = replace(client.settings, unverified=False, refresh_token_idle=60)
        await replace_client(session, replace(client, settings=vouched))

    await manage(flow, "PUT", made, {**APP, "client_id": made["client_id"], "client_name": "Your bank"})

    async with flow.database.read() as reading:
        changed = await find_client(reading, made["client_id"])
    assert changed is not None
    assert (changed.settings.unverified, changed.settings.refresh_token_idle) == (True, 60)


@pytest.mark.spec("RFC 7592 §2.2")
async def test_a_client_that_turns_to_signing_with_its_secret_gets_one_that_can(flow: Flow) -> None:
    methods = ("client_secret_basic", "client_secret_jwt")
    token = await initial_token(flow, auth_methods=methods)
    asked = {**APP, "token_endpoint_auth_method": "client_secret_basic"}
    made = (await register_with(flow, token.text, **asked)).json()

    changed = {**asked, "client_id": made["client_id"], "token_endpoint_auth_method": "client_secret_jwt"}
    answer = await manage(flow, "PUT", made, changed)

    assert answer.status_code == 200, answer.text
    assert answer.json()["client_secret"] != made["client_secret"]
    again = await manage(flow, "PUT", answer.json(), changed)
    assert "client_secret" not in again.json()
