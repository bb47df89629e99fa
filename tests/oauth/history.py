"""Histories of requests, as rules for hypothesis: the real authorization server, driven beside a model of it.

The model (`stateful.py`) says what may come of each rule. Time only passes by rule, so that every history can be
replayed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TypeVar

import httpx
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
)

from conftest import MASTER_KEY
from forms import forms_of
from kronborg.accounts.users import UserChange, update_user
from kronborg.clients.register import set_disabled
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.jose import parse
from kronborg.duties import clean_signin, clean_tokens
from kronborg.tokens.codes import find_code
from kronborg.worker import Outbox
from oauth.flow import CART, CATALOGUE, RESOURCE_SERVER, WEB, WISH_LIST, Flow, answer_of, open_flow
from oauth.stateful import (
    ACCESS_TOKEN,
    BROKER,
    CLIENTS,
    EXCHANGE,
    Given,
    Held,
    HeldAccess,
    HeldCode,
    HeldRefresh,
    Session,
    Switch,
)

T = TypeVar("T")
SCOPES = ("catalogue:read", "catalogue:read", "cart:read", "offline_access", "offline_access", "catalogue:write")

scopes = st.lists(st.sampled_from(SCOPES), min_size=1, max_size=3).map(set)
resources = st.sampled_from((None, CATALOGUE, CART))
people = st.sampled_from(("ada", "bo"))
apps = st.sampled_from(("web", "wish-list"))


class History(RuleBasedStateMachine):
    """One server, two people with a browser each, two apps, a broker of tokens, and a resource server."""

    codes = Bundle("codes")
    tokens = Bundle("tokens")

    def __init__(self, database_url: str) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.patch = pytest.MonkeyPatch()
        self.stack = AsyncExitStack()
        self.people = {name: Switch(name) for name in ("ada", "bo")}
        self.clients = {name: Switch(name) for name in CLIENTS}
        self.sessions: dict[str, Session] = {}
        self.given: list[Given] = []
        self.all: list[Held] = []
        self.flow = self.run(self.open(database_url))
        self.browsers = {name: self.flow.browser() for name in self.people}

    def run(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.runner.run(awaited())

    async def open(self, database_url: str) -> Flow:
        database = await Database.open(database_url)
        self.stack.push_async_callback(database.close)
        flow = await self.stack.enter_async_context(open_flow(database, Vault(MASTER_KEY), self.patch))
        self.ids = {"ada": await self.user_id(flow, "ada"), "bo": (await flow.person("bo")).id}
        await flow.client(BROKER)
        return flow

    async def user_id(self, flow: Flow, name: str) -> str:
        row = await flow.database.lookup.first("SELECT id FROM accounts_users WHERE username = ?", (name,))
        assert row is not None
        return str(row[0])

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()
        self.patch.undo()

    # --- what apps and people do ---

    @initialize(target=codes)
    def begin_with_codes(self) -> MultipleResults[HeldCode]:
        """A code of each, so that no history is about nothing."""
        return multiple(
            *self.authorize("ada", "web", {"catalogue:read"}, None).values,
            *self.authorize("bo", "wish-list", {"cart:read", "offline_access"}, CART).values,
        )

    @initialize(target=tokens)
    def begin_with_tokens(self) -> MultipleResults[Held]:
        """Tokens of each, one for offline access."""
        found: list[Held] = []
        for person, app, asked in (
            ("ada", "web", {"catalogue:read", "offline_access"}),
            ("ada", "wish-list", {"catalogue:read"}),
            ("bo", "web", {"catalogue:read", "catalogue:write"}),
        ):
            [code] = self.authorize(person, app, asked, None).values
            found += self.redeem(code, None, None, again=False).values
        assert len(found) == 6
        return multiple(*found)

    @rule(target=codes, person=people, app=apps, asked=scopes, resource=resources)
    def authorize(self, person: str, app: str, asked: set[str], resource: str | None) -> MultipleResults[HeldCode]:
        flow, now = self.flow, self.flow.clock.now
        scope = " ".join(["openid", *sorted(asked)])
        browser = self.browsers[person]
        answer = self.run(flow.through(browser, CLIENTS[app], username=person, scope=scope, resource=resource))
        if not answer.is_redirect or "code" not in (told := answer_of(answer)):
            assert not (self.people[person].on and self.clients[app].on) or "error" in told
            return multiple()
        stored = self.run(find_code(flow.engine, told["code"]))
        assert stored is not None
        assert stored.grant.user_id == self.ids[person]
        assert set(stored.grant.scopes) <= {"openid", *asked} & set(CLIENTS[app].scopes)
        assert resource is None or set(stored.grant.audiences) <= {resource, flow.engine.userinfo}
        assert self.people[person].on
        assert self.clients[app].on
        assert stored.grant.session_id is not None
        session = self.sessions.setdefault(stored.grant.session_id, Session(now, now))
        session.seen_at = now
        audiences = frozenset(stored.grant.audiences)
        given = Given(self.clients[app], self.people[person], session, frozenset(stored.grant.scopes), audiences, now)
        self.given.append(given)
        return multiple(HeldCode(told["code"], given, now))

    @rule(
        target=tokens,
        code=codes,
        mistake=st.sampled_from((None, None, None, "client", "verifier", "no_verifier", "redirect")),
        resource=resources,
        again=st.booleans(),
    )
    def redeem(self, code: HeldCode, mistake: str | None, resource: str | None, again: bool) -> MultipleResults[Held]:
        now, given = self.flow.clock.now, code.given
        right = CLIENTS[given.client.name]
        app = (WISH_LIST if right is WEB else WEB) if mistake == "client" else right
        changes: dict[str, str | None] = {"resource": resource, "redirect_uri": right.redirect_uris[0]}
        changes |= {"code_verifier": "x" * 43} if mistake == "verifier" else {}
        changes |= {"code_verifier": None} if mistake == "no_verifier" else {}
        changes |= {"redirect_uri": f"{right.redirect_uris[0]}/x"} if mistake == "redirect" else {}
        answer = self.run(self.flow.exchange(code.text, app, **changes))
        allowed = code.may(now)
        if answer.status_code == 200:
            assert mistake is None
            assert allowed, "a code was good twice, too late, or for nobody"
            code.spent = True
            held = self.held(answer, given, given.client)
            if again:
                self.redeem(code, None, None, again=False)
            return held
        if code.spent and app is right and given.client.on:
            given.alive = False
        simple = resource is None and len(given.audiences - {self.flow.engine.userinfo}) == 1
        assert not (mistake is None and simple and allowed and given.must(now)), answer.text
        return multiple()

    @rule(
        target=tokens,
        token=tokens,
        at=st.integers(-3, 0),
        thief=st.sampled_from((False, False, False, True)),
        scope=st.none() | scopes,
        resource=resources,
        again=st.sampled_from((None, None, 0, 31)),
    )
    def refresh(
        self, token: Held, at: int, thief: bool, scope: set[str] | None, resource: str | None, again: int | None
    ) -> MultipleResults[Held]:
        token = self.kin(token, HeldRefresh, at)
        now, given = self.flow.clock.now, token.given
        right = CLIENTS[given.client.name]
        app = (WISH_LIST if right is WEB else WEB) if thief else right
        asked = None if scope is None else " ".join(sorted(scope))
        answer = self.run(self.flow.refresh(token.text, app, scope=asked, resource=resource))
        if isinstance(token, HeldAccess):
            assert answer.status_code != 200
            return multiple()
        allowed, late = token.may(now), token.late(now)
        if answer.status_code == 200:
            assert not thief
            assert allowed, "a refresh token was good twice, too late, or for nobody"
            assert scope is None or set(answer.json()["scope"].split()) <= scope
            held = self.rotated(token, answer)
            if again is not None:
                self.flow.clock.pass_by(seconds=again)
                self.refresh(token, 0, thief=False, scope=None, resource=None, again=None)
            return held
        if not thief and given.client.on and late:
            given.alive = False
        elif not thief and token.rotated_at is not None:
            given.sure = False
        simple = scope is None and resource is None and len(given.audiences - {self.flow.engine.userinfo}) == 1
        assert thief or not (simple and allowed and given.must(now) and token.rotated_at is None), answer.text
        return multiple()

    def rotated(self, token: HeldRefresh, answer: httpx.Response) -> MultipleResults[Held]:
        """What became of a refresh token: its one successor, however often it is given."""
        held = self.held(answer, token.given, token.given.client)
        [successor] = [one for one in held.values if isinstance(one, HeldRefresh)]
        if token.successor is not None:
            assert successor.text == token.successor.text
            return multiple(*(one for one in held.values if isinstance(one, HeldAccess)))
        token.rotated_at, token.successor = self.flow.clock.now, successor
        return held

    def held(self, answer: httpx.Response, given: Given, holder: Switch) -> MultipleResults[Held]:
        """The tokens of an answer: never wider than the grant."""
        body, now = answer.json(), self.flow.clock.now
        got = frozenset(body["scope"].split())
        assert got <= given.scopes, "a scope grew"
        if body["access_token"].startswith("kro_"):
            audience = CART
        else:
            claims = parse(body["access_token"]).claims
            audience = str(claims["aud"])
            assert claims["client_id"] == holder.name
            assert claims["sub"] == self.ids[given.person.name]
            assert frozenset(str(claims["scope"]).split()) == got
        assert audience in given.audiences or holder.name == "broker", "an audience grew"
        expires_at = now + timedelta(seconds=body["expires_in"])
        found: list[Held] = [HeldAccess(body["access_token"], given, holder, got, audience, now, expires_at)]
        if "refresh_token" in body:
            found.append(HeldRefresh(body["refresh_token"], given, now))
        self.all += found
        return multiple(*found)

    def kin(self, token: Held, kind: type[Held], at: int) -> Held:
        """A token of that kind of the same grant, where there is one: so that most tries are not pointless."""
        found = [one for one in self.all if one.given is token.given and isinstance(one, kind)]
        return found[at % len(found)] if found and at < 0 else token

    @rule(target=tokens, token=tokens, at=st.integers(-3, 0), scope=st.none() | scopes, audience=resources)
    def exchange(self, token: Held, at: int, scope: set[str] | None, audience: str | None) -> MultipleResults[Held]:
        token = self.kin(token, HeldAccess, at)
        asked = None if scope is None else " ".join(sorted(scope))
        values: dict[str, str | None] = {"subject_token": token.text, "subject_token_type": ACCESS_TOKEN}
        values |= {"grant_type": EXCHANGE, "scope": asked, "audience": audience}
        allowed = isinstance(token, HeldAccess) and token.may(self.flow.clock.now) and self.clients["broker"].on
        answer = self.run(self.flow.token(BROKER, **values))
        if answer.status_code != 200:
            return multiple()
        assert isinstance(token, HeldAccess)
        assert allowed, "a dead token was traded"
        assert token.audience == CATALOGUE or token.holder.name == "broker"
        held = self.held(answer, token.given, self.clients["broker"])
        [access] = [one for one in held.values if isinstance(one, HeldAccess)]
        assert access.scopes <= frozenset(BROKER.scopes) & (token.given.scopes if scope is None else scope)
        assert access.audience == token.audience or access.audience == CART
        assert access.audience != token.audience or access.scopes <= token.scopes
        assert access.expires_at <= token.expires_at
        access.source = token
        return held

    @rule(token=tokens, app=st.sampled_from(("web", "wish-list", "broker")))
    def revoke(self, token: Held, app: str) -> None:
        answer = self.run(self.flow.revoke(token.text, CLIENTS[app]))
        if answer.status_code != 200:
            assert not self.clients[app].on
        elif isinstance(token, HeldAccess) and token.holder.name == app:
            token.revoked = True
        elif isinstance(token, HeldRefresh) and token.given.client.name == app:
            token.given.alive = False

    @rule(token=tokens, at=st.integers(-3, 0))
    def look(self, token: Held, at: int) -> None:
        """What a resource server and the userinfo endpoint are told."""
        token = self.kin(token, HeldAccess, at)
        now = self.flow.clock.now
        told = self.run(self.flow.introspect(token.text, RESOURCE_SERVER))
        person = self.run(self.flow.userinfo(token.text))
        if isinstance(token, HeldRefresh):
            assert told == {"active": False}
            assert person.status_code == 401
            return
        api = token.audience in (CATALOGUE, CART)
        assert not told["active"] or token.may(now), "a dead token is called active"
        assert person.status_code != 200 or token.may(now)
        assert told["active"] or not api or not token.must(now) or token.source is not None
        if told["active"]:
            assert told["aud"] == token.audience
            assert frozenset(str(told["scope"]).split()) == token.scopes

    # --- what ends ---

    @rule(person=people)
    def sign_out(self, person: str) -> None:
        browser = self.browsers[person]
        page = self.run(browser.get("/signout"))
        found = [form for form in forms_of(page) if form.action == "/signout"]
        if found:
            self.run(browser.submit(page, found[0], {}))
        self.end_sessions(person)

    def end_sessions(self, person: str) -> None:
        for given in self.given:
            if given.person.name == person:
                given.session.ended = True

    @rule(person=people, disabled=st.sampled_from((True, False, False)))
    def switch_person(self, person: str, disabled: bool) -> None:
        switch = self.people[person]

        async def change() -> None:
            async with self.flow.database.write() as session:
                wanted = UserChange(disabled=disabled)
                await update_user(session, self.ids[person], wanted, actor="test", now=self.flow.clock.now)

        self.change(switch, change, disabled=disabled, mine=lambda given: given.person is switch)
        if disabled:
            self.end_sessions(person)

    @rule(app=st.sampled_from(("web", "wish-list", "broker")), disabled=st.sampled_from((True, False, False)))
    def switch_client(self, app: str, disabled: bool) -> None:
        switch = self.clients[app]

        async def change() -> None:
            async with self.flow.database.write() as session:
                await set_disabled(session, app, disabled=disabled, actor="test", now=self.flow.clock.now)

        self.change(switch, change, disabled=disabled, mine=lambda given: given.client is switch)

    def change(
        self,
        switch: Switch,
        change: Callable[[], Awaitable[None]],
        *,
        disabled: bool,
        mine: Callable[[Given], bool],
    ) -> None:
        """Switch something off or on; the worker hears of it before anything else happens."""
        if switch.on != disabled:
            return
        self.run(change())
        self.run(self.settle())
        switch.on, switch.changed_at = not disabled, self.flow.clock.now
        for given in self.given:
            if mine(given):
                given.alive = given.alive and not disabled

    async def settle(self) -> None:
        while await Outbox(self.flow.engine).turn(now=self.flow.clock.now):
            pass

    @rule(seconds=st.sampled_from((1, 5, 10, 29, 31, 61, 660, 13 * 3600, 15 * 86400, 91 * 86400)))
    def pass_time(self, seconds: int) -> None:
        self.flow.clock.pass_by(seconds=seconds)

    @rule()
    def work(self) -> None:
        self.run(self.settle())
        self.run(clean_tokens(self.flow.engine, self.flow.clock.now))
        self.run(clean_signin(self.flow.engine, self.flow.clock.now))
        self.run(self.settle())
