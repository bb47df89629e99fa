"""Who makes a request, and how a page asks for sign-in: what pages of this slice and of those above build on."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import orjson
from starlette.requests import Request

from kronborg.core import clock
from kronborg.core.cookies import SESSION, read_cookie
from kronborg.core.crypto import Vault
from kronborg.core.parts import parts_of
from kronborg.signin.model import Origin, SignInSettings, Visit
from kronborg.signin.passwords import Passwords
from kronborg.signin.sessions import recognise

MAX_NEXT = 6000


@dataclass(frozen=True, slots=True)
class SignInParts:
    """What sign-in needs besides `Parts`; kept at `app.state.signin`, made once by the composition root."""

    settings: SignInSettings
    passwords: Passwords

    @classmethod
    def make(cls, settings: SignInSettings | None = None) -> SignInParts:
        """The parts for these settings (the defaults without)."""
        settings = settings or SignInSettings()
        return cls(settings, Passwords(settings.passwords))


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a page of ours tells the sign-in page, signed and bound to `next`.

    `form_action`: see `core.html.redirect_source`; `again`: ask even somebody who is signed in (`prompt=login`,
    `max_age`, "not you?").
    """

    client_name: str | None = None
    form_action: tuple[str, ...] = ()
    again: bool = False
    login_hint: str = ""


def signin_parts_of(request: Request) -> SignInParts:
    """The sign-in parts of the app that serves this request."""
    parts = request.app.state.signin
    if not isinstance(parts, SignInParts):
        raise TypeError("app.state.signin is not set by the composition root")
    return parts


async def visit(request: Request) -> Visit | None:
    """Who is signed in in this browser, if anybody; looked up once for each request."""
    if not hasattr(request.state, "visit"):
        parts = parts_of(request)
        secret = read_cookie(request, SESSION, secure=parts.secure)
        request.state.visit = None
        if secret is not None:
            request.state.visit = await recognise(
                parts.database, parts.vault, secret, idle=parts.session_idle, now=clock.now()
            )
    found: Visit | None = request.state.visit
    return found


def origin_of_request(request: Request) -> Origin:
    """Where a request comes from; the server has already dealt with proxies."""
    address = "" if request.client is None else request.client.host
    return Origin(address, request.headers.get("user-agent", ""))


def sign_in_url(request: Request, *, next_path: str | None = None, ticket: Ticket | None = None) -> str:
    """The address that asks for sign-in and comes back to `next_path` (default: the address of this request)."""
    if next_path is None:
        query = request.url.query
        next_path = request.url.path + (f"?{query}" if query else "")
    fields = {"next": next_path}
    if ticket is not None:
        fields["ticket"] = _sign(parts_of(request).vault, ticket, next_path)
    return f"/signin?{urlencode(fields)}"


def read_ticket(vault: Vault, text: str, next_path: str) -> Ticket:
    """The ticket that was signed for this `next_path`; an empty one when it was not ours."""
    body, _, mac = text.partition(".")
    if not body or not hmac.compare_digest(mac.encode(), _mac(vault, body, next_path).encode()):
        return Ticket()
    client_name, form_action, again, login_hint = orjson.loads(base64.urlsafe_b64decode(body))
    return Ticket(client_name, tuple(form_action), again, login_hint)


def local_path(text: str | None, *, default: str = "/account") -> str:
    """`text` when it is a path on this very site, else `default`: nobody is sent elsewhere after signing in."""
    if not text or len(text) > MAX_NEXT or not text.startswith("/") or text.startswith("//"):
        return default
    # Browsers read a backslash as a slash and drop control characters: "/\evil.example" and "/<tab>/evil.example".
    if "\\" in text or any(ord(c) < 0x21 or ord(c) == 0x7F for c in text):
        return default
    try:
        parts = urlsplit(text)
    except ValueError:
        return default
    return default if parts.scheme or parts.netloc else text


def _sign(vault: Vault, ticket: Ticket, next_path: str) -> str:
    values = [ticket.client_name, ticket.form_action, ticket.again, ticket.login_hint]
    body = base64.urlsafe_b64encode(orjson.dumps(values)).decode()
    return f"{body}.{_mac(vault, body, next_path)}"


def _mac(vault: Vault, body: str, next_path: str) -> str:
    digest = vault.digest(f"{body}\n{next_path}", context="signin.ticket")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
