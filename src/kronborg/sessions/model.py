"""The nouns of sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from kronborg.core.policy import Principal

PASSWORD, MULTI_FACTOR, PHISHING_RESISTANT = range(3)
"""How strong a sign-in is."""


def strength(amr: Collection[str]) -> int:
    """How strong a sign-in with these methods (RFC 8176) is."""
    # RFC 8176 §2: `mfa` says several factors, `hwk` and `swk` a key that signs for this very site (WebAuthn).
    if "mfa" in amr:
        return PHISHING_RESISTANT if "hwk" in amr or "swk" in amr else MULTI_FACTOR
    return PASSWORD


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an attempt comes from, as far as the network and the browser tell."""

    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A signed-in browser. `id` is the `sid` of tokens; the cookie's secret is kept as a digest only."""

    id: str
    user_id: str
    amr: tuple[str, ...]
    auth_time: datetime
    last_seen_at: datetime
    expires_at: datetime
    user_agent: str
    address: str
    vouched_by: str = ""
    """Who else says that this is them: empty for Kronborg alone, else `ldap:corp`, `provider:okta`."""
    told: str = ""
    """What that provider calls the session, so that it can end it."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request by somebody who is signed in."""

    user_id: str
    session_id: str
    auth_time: datetime
    amr: tuple[str, ...]
    username: str
    name: str
    email: str | None
    locale: str = ""
    """The language the person chose (BCP 47); empty for that of the browser."""

    @property
    def shown_name(self) -> str:
        """What to call this person on a page."""
        return self.name or self.username


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something that waits for this person elsewhere: a sentence, and where to go."""

    text: str
    href: str
    link: str


Announcer = Callable[[Visit, datetime], Awaitable[Announcement | None]]
"""Slices above this one announce themselves: `app.state.announcers` lists them, made by the composition root."""


@dataclass(frozen=True, slots=True)
class AccountPage:
    """What the layout `layouts/account.html` needs: who is signed in, and which entry of the navigation is current."""

    person: Visit
    section: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody who may do what was asked in the console, and the sections of it that they may read."""

    visit: Visit
    principal: Principal
    sections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConsolePage:
    """What the layout `layouts/console.html` needs: who is there, and which section is current."""

    admitted: Admitted
    section: str


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure on the dashboard, and the section that it leads to."""

    name: str
    figure: str
    note: str
    section: str

    @property
    def href(self) -> str:
        """The section."""
        return f"/console/{self.section}"


TileMaker = Callable[[datetime], Awaitable[Sequence[Tile]]]
"""Slices above the dashboard show their figures on it: `app.state.tiles` lists them, made by the composition root."""


def device_of(user_agent: str) -> str:
    """`Firefox on Linux`: what a person recognises of a User-Agent header."""
    browsers = (
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS", "Firefox"),
        ("CriOS", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    )
    systems = (
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS", "Mac"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    )
    browser = next((name for mark, name in browsers if mark in user_agent), "Unknown browser")
    system = next((name for mark, name in systems if mark in user_agent), None)
    return browser if system is None else f"{browser} on {system}"
