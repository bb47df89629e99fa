"""Where to go after sign-in, and what the page that sent somebody there says about it, signed."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import orjson

from kronborg.core.base64url import b64
from kronborg.core.crypto import Vault

MAX_NEXT = 6000


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a page of ours tells the sign-in page, signed and bound to `next`.

    `form_action`: see `core.html.redirect_source`; `again`: ask even somebody who is signed in (`prompt=login`,
    `max_age`, "not you?"); `provider`: the identity provider to go to at once (`idp_hint`).
    """

    client_name: str | None = None
    form_action: tuple[str, ...] = ()
    again: bool = False
    login_hint: str = ""
    strength: int = 0
    """How strong the sign-in has to be (`sessions.model.strength`)."""
    explicit: bool = False
    """Whether that, or how fresh it is, was asked for: a browser that is remembered does not do then."""
    provider: str = ""


def sign_in_path(vault: Vault, next_path: str, ticket: Ticket | None = None) -> str:
    """The path that asks for sign-in and comes back to `next_path`."""
    fields = {"next": next_path}
    if ticket is not None:
        fields["ticket"] = _sign(vault, ticket, next_path)
    return f"/signin?{urlencode(fields)}"


def read_ticket(vault: Vault, text: str, next_path: str) -> Ticket:
    """The ticket that was signed for this `next_path`; an empty one when it was not ours."""
    body, _, mac = text.partition(".")
    if not body or not hmac.compare_digest(mac.encode(), _mac(vault, body, next_path).encode()):
        return Ticket()
    client_name, form_action, *others = orjson.loads(base64.urlsafe_b64decode(body))
    return Ticket(client_name, tuple(form_action), *others)


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
    asked = (ticket.client_name, ticket.form_action, ticket.again, ticket.login_hint)
    values = (*asked, ticket.strength, ticket.explicit, ticket.provider)
    body = base64.urlsafe_b64encode(orjson.dumps(values)).decode()
    return f"{body}.{_mac(vault, body, next_path)}"


def _mac(vault: Vault, body: str, next_path: str) -> str:
    digest = vault.digest(f"{body}\n{next_path}", context="signin.ticket")
    return b64(digest)
