"""Sign-out on behalf of a client (OIDC RP-Initiated Logout 1.0): what may be done unasked, and where it ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode

from kronborg.clients.model import Client
from kronborg.core.errors import NotFound
from kronborg.core.json import JsonObject
from kronborg.oauth import parameters
from kronborg.oauth.authorize_errors import NoRedirect
from kronborg.oauth.hints import Hint
from kronborg.oauth.parameters import MAX_QUERY, Unreadable
from kronborg.oauth.redirects import with_answer
from kronborg.sessions.life import end_session
from kronborg.sessions.model import Visit
from kronborg.tokens.engine import Engine
from kronborg.tokens.revoke import revoke_grants

PARAMETERS = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state", "logout_hint", "ui_locales")
LIMITS = {"id_token_hint": 4096, "state": 2048}


METADATA: JsonObject = {
    "backchannel_logout_supported": True,
    "backchannel_logout_session_supported": True,
    "frontchannel_logout_supported": True,
    "frontchannel_logout_session_supported": True,
}
"""What the server's metadata says of logout (Back-Channel Logout §2.1, Front-Channel Logout §3)."""


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """The parameters as sent; None means absent. `faulty` names those that are repeated or malformed."""

    id_token_hint: str | None = None
    client_id: str | None = None
    post_logout_redirect_uri: str | None = None
    state: str | None = None
    faulty: frozenset[str] = frozenset()

    def query(self) -> str:
        """The request written again, for the page that asks."""
        names = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")
        pairs = [(name, value) for name in names if (value := getattr(self, name)) is not None]
        return urlencode(pairs, quote_via=quote)


@dataclass(frozen=True, slots=True)
class SignOut:
    """End this person's session now: the client showed an ID token of theirs."""

    visit: Visit


@dataclass(frozen=True, slots=True)
class AskSignOut:
    """Ask this person first: a mere link must not sign anybody out."""

    visit: Visit


@dataclass(frozen=True, slots=True)
class NobodyHere:
    """There is nothing to end."""


Decision = SignOut | AskSignOut | NobodyHere


def parse(query: str) -> LogoutRequest:
    """Read a query string or a form-encoded body. Raises `Unreadable`."""
    read = parameters.read(query, PARAMETERS, limits=LIMITS)
    request = LogoutRequest(
        read.one("id_token_hint"),
        read.one("client_id"),
        read.one("post_logout_redirect_uri"),
        read.one("state"),
        read.repeated | read.malformed,
    )
    if len(request.query()) > MAX_QUERY:
        raise Unreadable("the request is too large")
    return request


def check(request: LogoutRequest, client: Client | None, hint: Hint | None) -> None:
    """Raise `NoRedirect` unless the request is sound and its address one that the client registered."""
    if request.faulty:
        raise NoRedirect("a parameter is repeated or malformed")
    # RP-Initiated Logout §2: client_id and the audience of the hint must be the same.
    if hint is not None and request.client_id not in (None, hint.client_id):
        raise NoRedirect("the id_token_hint was issued to another application")
    if request.client_id is not None and (client is None or client.disabled):
        raise NoRedirect("the application is not known here, or was switched off")
    if request.post_logout_redirect_uri is None:
        return
    # RP-Initiated Logout §3: exactly one that was registered, and only when it is known by whom.
    if client is None or client.disabled:
        raise NoRedirect("the request does not say which application it comes from")
    if request.post_logout_redirect_uri not in client.post_logout_redirect_uris:
        raise NoRedirect("the post_logout_redirect_uri is not registered for the application")


def decide(visit: Visit | None, hint: Hint | None) -> Decision:
    """The next step of a request that `check` let pass."""
    if visit is None:
        return NobodyHere()
    # RP-Initiated Logout §2: without an ID token of this very person it may be a trick, so they are asked.
    return SignOut(visit) if hint is not None and hint.user_id == visit.user_id else AskSignOut(visit)


def destination(request: LogoutRequest) -> str:
    """Where the browser goes afterwards; the request has passed `check`."""
    if request.post_logout_redirect_uri is None:
        return "/signout"
    answer = {} if request.state is None else {"state": request.state}
    return with_answer(request.post_logout_redirect_uri, answer)


async def sign_out(engine: Engine, visit: Visit, *, now: datetime) -> None:
    """Revoke what the session gave to clients, but for offline access, and end it."""
    person = visit.user_id
    await revoke_grants(engine, actor=person, reason="signed_out", now=now, session_id=visit.session_id)
    try:
        async with engine.database.write() as session:
            await end_session(session, visit.session_id, user_id=person, actor=person, now=now)
    except NotFound:
        pass  # ended in another window meanwhile
