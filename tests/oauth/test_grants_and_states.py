"""Every grant in every state that an account, a session, a client or a grant can be in: one table, nothing left out.

Nothing here waits for the worker: what was switched off gives nothing from that moment on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import httpx
import pytest

from kronborg.accounts.users import delete_user, disable_user
from kronborg.clients.model import ClientDraft
from kronborg.clients.register import remove_client, set_disabled
from kronborg.core.group_writer import Execute
from kronborg.oauth.token import GRANTS
from kronborg.sessions.life import end_all_sessions
from kronborg.tokens import store
from oauth import ciba_flow, device_flow, test_jwt_bearer
from oauth.flow import CATALOGUE, WEB, WISH_LIST, Flow
from oauth.stateful import ACCESS_TOKEN, BROKER, EXCHANGE
from oauth.test_password_grant import OLD
from people_site import PASSWORD

pytestmark = pytest.mark.anyio

LastStep = Callable[[], Awaitable[httpx.Response]]
MACHINE = ClientDraft("machine", "Machine", grants=("client_credentials",), scopes=("catalogue:read",))
STATES = (
    "active",
    "disabled user",
    "deleted user",
    "ended session",
    "disabled client",
    "removed client",
    "revoked grant",
    "expired",
)
PERSONLESS: Final = frozenset({"disabled user", "deleted user", "ended session", "revoked grant"})


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """One database is enough for a table of states; the store has its own tests on both."""
    (tmp_path / "kronborg.db").write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{tmp_path / 'kronborg.db'}"


async def code(flow: Flow) -> LastStep:
    text = await flow.code(flow.browser())
    return lambda: flow.exchange(text)


async def refresh(flow: Flow) -> LastStep:
    token = (await flow.tokens(flow.browser()))["refresh_token"]
    return lambda: flow.refresh(token)


async def offline(flow: Flow) -> LastStep:
    token = (await flow.tokens(flow.browser(), scope="openid offline_access catalogue:read"))["refresh_token"]
    return lambda: flow.refresh(token)


async def credentials(flow: Flow) -> LastStep:
    await flow.client(MACHINE)
    return lambda: flow.token(MACHINE, grant_type="client_credentials")


async def device(flow: Flow) -> LastStep:
    begun = await device_flow.begin(flow)
    await device_flow.answered(flow, begun)
    flow.clock.pass_by(seconds=6)
    return lambda: device_flow.poll(flow, begun)


async def ciba(flow: Flow) -> LastStep:
    begun = await ciba_flow.begin(flow)
    await ciba_flow.answered(flow)
    flow.clock.pass_by(seconds=6)
    return lambda: ciba_flow.poll(flow, begun)


async def exchange(flow: Flow) -> LastStep:
    await flow.client(BROKER)
    token = (await flow.tokens(flow.browser()))["access_token"]
    form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS_TOKEN}
    return lambda: flow.token(BROKER, **form)


async def assertion(flow: Flow) -> LastStep:
    if "bridge" not in flow.secrets:
        await test_jwt_bearer.trust(flow)
    text = test_jwt_bearer.vouch(flow)
    return lambda: test_jwt_bearer.bring(flow, text)


async def password(flow: Flow) -> LastStep:
    await flow.client(OLD)
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD, "scope": "openid catalogue:read"}
    return lambda: flow.token(OLD, **form)


@dataclass(frozen=True)
class Row:
    """A grant, how it gets to its last step, whose client counts, and the states in which the step still works.

    `alive` are the states in which a token that it gave before still works.
    """

    grant: str
    prepare: Callable[[Flow], Awaitable[LastStep]]
    client: ClientDraft
    works: frozenset[str] = frozenset()
    alive: frozenset[str] = frozenset()
    note: str = ""

    def __str__(self) -> str:
        return f"{self.grant.rsplit(':', 1)[-1]}{self.note}"


def some(*states: str) -> frozenset[str]:
    return frozenset({"active", *states})


TABLE = (
    Row("authorization_code", code, WEB, some(), some()),
    Row("refresh_token", refresh, WEB, some(), some()),
    # OIDC Core §11: that is what offline access is for.
    Row("refresh_token", offline, WEB, some("ended session"), some("ended session"), " offline"),
    Row("client_credentials", credentials, MACHINE, some(*PERSONLESS, "expired"), some(*PERSONLESS)),
    Row("urn:ietf:params:oauth:grant-type:device_code", device, device_flow.TV, some(), some()),
    Row("urn:openid:params:grant-type:ciba", ciba, ciba_flow.BANK, some(), some()),
    Row(EXCHANGE, exchange, BROKER, some(), some()),
    Row(EXCHANGE, exchange, WEB, some(), some(), " subject's client"),
    # It stands on the word of the issuer, not on a session or an older grant.
    Row(
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        assertion,
        test_jwt_bearer.BRIDGE,
        some("ended session", "revoked grant"),
        some("ended session"),
    ),
    # Whoever has the name and the password begins a session of their own.
    Row("password", password, OLD, some("ended session", "revoked grant", "expired"), some()),
)


def test_every_grant_stands_in_the_table() -> None:
    assert {row.grant for row in TABLE} == set(GRANTS)


async def user_id(flow: Flow) -> str:
    row = await flow.database.lookup.first("SELECT id FROM accounts_users WHERE username = 'ada'", ())
    assert row is not None
    return str(row[0])


async def bring_into(flow: Flow, state: str, client_id: str) -> None:
    now, ada = flow.clock.now, await user_id(flow)
    if state == "expired":
        flow.clock.pass_by(days=100)
    elif state == "revoked grant":

        def unit(execute: Execute) -> None:
            store.revoke_grants(execute, now=now, user_id=ada)

        await flow.database.writer.run(unit)
    else:
        async with flow.database.write() as session:
            match state:
                case "disabled user":
                    await disable_user(session, ada, actor="test", now=now)
                case "deleted user":
                    await delete_user(session, ada, actor="test", now=now)
                case "ended session":
                    await end_all_sessions(session, ada, actor="test", now=now)
                case "disabled client":
                    await set_disabled(session, client_id, disabled=True, actor="test", now=now)
                case "removed client":
                    await remove_client(session, client_id, actor="test", now=now)


@pytest.mark.spec("RFC 6749 §6")
@pytest.mark.spec("RFC 6749 §10.10")
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("row", TABLE, ids=str)
async def test_a_grant_in_a_state(flow: Flow, row: Row, state: str) -> None:
    before = await (await row.prepare(flow))()
    assert before.status_code == 200, before.text
    held = before.json()["access_token"]
    last_step = await row.prepare(flow)

    await bring_into(flow, state, row.client.id)
    answer = await last_step()

    assert (answer.status_code == 200) == (state in row.works), answer.text
    assert answer.status_code in (200, 400, 401)
    assert ("access_token" in answer.json()) == (state in row.works)
    assert (await flow.introspect(held))["active"] == (state in row.alive)


@pytest.mark.spec("RFC 9700 §2.1.2")
@pytest.mark.parametrize("state", ["active", "disabled user", "ended session", "disabled client"])
async def test_the_implicit_grant_in_a_state(flow: Flow, state: str) -> None:
    settings = replace(WISH_LIST.settings, response_types=("code", "id_token token"))
    old = replace(WEB, id="spa", grants=("authorization_code", "implicit"), settings=settings)
    await flow.client(old)
    browser = flow.browser()
    await flow.code(browser)
    asked = {"response_type": "id_token token", "resource": CATALOGUE, "code_challenge": None}

    await bring_into(flow, state, "spa")
    answer = await flow.authorize(browser, old, **asked, code_challenge_method=None)

    given = answer.is_redirect and "access_token=" in answer.headers["location"]
    assert given == (state == "active"), answer.text
