"""`/console/access/…/end`: end a grant, a session, a consent, or everything of a user or a client; asked before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.accounts.store import find_user, roles_of
from kronborg.clients.store import find_client
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import NotFound
from kronborg.core.html import redirect
from kronborg.core.policy import Resource, is_privileged
from kronborg.oauth.consent import withdraw
from kronborg.sessions.console_pages import ConfirmPage, actor_of, confirm
from kronborg.sessions.life import end_all_sessions, end_session
from kronborg.sessions.model import device_of
from kronborg.sessions.store import find_session
from kronborg.sessions.visits import admitted
from kronborg.tokens.access_store import shown_grant
from kronborg.tokens.engine import Engine
from kronborg.tokens.revoke import REVOKED_BY_ADMINISTRATOR, revoke_client, revoke_grant, revoke_grants

HOME = "/console/access"


@dataclass(frozen=True, slots=True)
class Question:
    """What is about to end, where the answer leads, and how it is done by `actor`."""

    title: str
    text: str
    verb: str
    back: str
    done: str
    effects: tuple[str, ...]
    act: Callable[[str, datetime], Awaitable[object]]


Ask = Callable[[Engine, Request], Awaitable[Question]]


def routes(engine: Engine) -> list[Route]:
    """A page that asks and a form that does, for each thing that can be ended."""
    found: list[Route] = []
    for path, action, kind, ask in (
        ("/grants/{of}/revoke", "access:revoke", "access", _grant),
        ("/sessions/{of}/end", "users:end-sessions", "user", _session),
        ("/users/{of}/end-sessions", "users:end-sessions", "user", _sessions),
        ("/users/{of}/revoke", "access:revoke", "access", _user),
        ("/users/{of}/consents/{client_id:path}/withdraw", "access:revoke", "access", _consent),
        ("/clients/{of:path}/revoke", "access:revoke", "access", _client),
    ):
        found.append(Route(HOME + path, partial(_show, engine, action, kind, ask), methods=["GET"]))
        found.append(Route(HOME + path, partial(_submit, engine, action, kind, ask), methods=["POST"]))
    return found


async def _show(engine: Engine, action: str, kind: str, ask: Ask, request: Request) -> Response:
    found = await admitted(request, action, await _resource(engine, kind, request), fresh=True)
    if isinstance(found, Response):
        return found
    question = await ask(engine, request)
    page = ConfirmPage(
        found,
        "access",
        question.title,
        question.text,
        question.verb,
        request.url.path,
        question.back,
        question.effects,
        crumbs=(("Access", HOME),),
    )
    return confirm(request, page)


async def _submit(engine: Engine, action: str, kind: str, ask: Ask, request: Request) -> Response:
    await checked_form(request)
    found = await admitted(request, action, await _resource(engine, kind, request), fresh=True)
    if isinstance(found, Response):
        return found
    question = await ask(engine, request)
    await question.act(actor_of(found), clock.now())
    return redirect(request, f"{question.back}?done={question.done}")


async def _resource(engine: Engine, kind: str, request: Request) -> Resource:
    """What the right is asked for: of a session, the person whose it is."""
    of: str = request.path_params["of"]
    if kind != "user":
        return Resource(kind, of)
    async with engine.database.read() as reading:
        session = await find_session(reading, of)
        user_id = of if session is None else session.user_id
        return Resource(kind, user_id, privileged=is_privileged(await roles_of(reading, user_id)))


async def _grant(engine: Engine, request: Request) -> Question:
    grant = await shown_grant(engine.database.lookup, request.path_params["of"])
    if grant is None:
        raise NotFound("there is no such grant")

    async def act(actor: str, now: datetime) -> object:
        return await revoke_grant(engine, grant.id, actor=actor, reason=REVOKED_BY_ADMINISTRATOR, now=now)

    return Question(
        "Revoke this grant?",
        f"{grant.client_name or grant.client_id} may not act for {grant.person or 'this user'} by it any more.",
        "Revoke",
        f"{HOME}/users/{grant.user_id}",
        "grant",
        ("Its refresh tokens and access tokens stop working within seconds.", "The person stays signed in."),
        act,
    )


async def _session(engine: Engine, request: Request) -> Question:
    session_id = request.path_params["of"]
    async with engine.database.read() as reading:
        session = await find_session(reading, session_id)
        user = None if session is None else await find_user(reading, session.user_id)
    if session is None or user is None:
        raise NotFound("there is no such session")

    async def act(actor: str, now: datetime) -> object:
        async with engine.database.write() as writing:
            await end_session(writing, session.id, user_id=session.user_id, actor=actor, now=now)
        return None

    return Question(
        "End this session?",
        f"{user.name or user.username} is signed out of {device_of(session.user_agent)}.",
        "End session",
        f"{HOME}/users/{user.id}",
        "session",
        ("Applications used in it lose their access, and are told.", "What was given for offline access stays."),
        act,
    )


async def _sessions(engine: Engine, request: Request) -> Question:
    user_id, name = await _person(engine, request)

    async def act(actor: str, now: datetime) -> object:
        async with engine.database.write() as writing:
            return await end_all_sessions(writing, user_id, actor=actor, now=now)

    return Question(
        "End every session?",
        f"{name} is signed out everywhere.",
        "End all sessions",
        f"{HOME}/users/{user_id}",
        "session",
        ("Applications used in them lose their access, and are told.", "What was given for offline access stays."),
        act,
    )


async def _user(engine: Engine, request: Request) -> Question:
    user_id, name = await _person(engine, request)

    async def act(actor: str, now: datetime) -> object:
        await revoke_grants(engine, user_id=user_id, actor=actor, reason=REVOKED_BY_ADMINISTRATOR, now=now)
        async with engine.database.write() as writing:
            return await end_all_sessions(writing, user_id, actor=actor, now=now)

    return Question(
        "Revoke everything?",
        f"{name} is signed out everywhere, and no application acts for them any more.",
        "Revoke everything",
        f"{HOME}/users/{user_id}",
        "user",
        ("Offline access ends too.", "What they consented to stays remembered; the account itself stays enabled."),
        act,
    )


async def _consent(engine: Engine, request: Request) -> Question:
    user_id, name = await _person(engine, request)
    client_id = request.path_params["client_id"]

    async def act(actor: str, now: datetime) -> object:
        return await withdraw(engine.database, user_id, client_id, now=now, actor=actor)

    return Question(
        "Withdraw this consent?",
        f"What {name} allowed {client_id} is forgotten, and what was given with it is revoked.",
        "Withdraw",
        f"{HOME}/users/{user_id}",
        "consent",
        ("The application has to ask again.",),
        act,
    )


async def _client(engine: Engine, request: Request) -> Question:
    client_id = request.path_params["of"]
    async with engine.database.read() as reading:
        client = await find_client(reading, client_id)
    if client is None:
        raise NotFound("there is no client with this id")

    async def act(actor: str, now: datetime) -> object:
        return await revoke_client(engine, client_id, actor=actor, reason=REVOKED_BY_ADMINISTRATOR, now=now)

    return Question(
        "Revoke everything this client holds?",
        f"{client.name} loses every token it has, its own and those of people.",
        "Revoke everything",
        f"{HOME}/clients/{quote(client_id, safe='')}",
        "client",
        ("It may ask for new ones at once: to stop it, disable it.", "People may have to sign in to it again."),
        act,
    )


async def _person(engine: Engine, request: Request) -> tuple[str, str]:
    async with engine.database.read() as reading:
        user = await find_user(reading, request.path_params["of"])
    if user is None:
        raise NotFound("there is no such user")
    return user.id, user.name or user.username
