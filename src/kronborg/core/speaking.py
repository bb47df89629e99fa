"""Which language a request is answered in, and how browsers keep a choice.

The first of these that names a language there is: the chooser at the foot of a page (`?lang=`), what was chosen there
within the hour, the application that sent the visitor (`ui_locales`), the person's own setting, what that application
asked for within the hour, what was chosen in this browser before, `Accept-Language`.
The console, for which there are no translations, is English.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response

from kronborg.core import languages
from kronborg.core.cookies import read_cookie, set_cookie
from kronborg.core.parts import parts_of

CHOICE = "kronborg_language"
"""The cookie of what was chosen here."""
WISH = "kronborg_ui_locales"
"""The cookie of what an application asked for: for the journey that it sent the visitor on."""
CHOSEN = "!"
"""Ends the value of that cookie when the visitor chose on the way: no application overrides it."""
CHOICE_LIFETIME = timedelta(days=365)
WISH_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of the chooser."""

    code: str
    name: str
    href: str


def language_of(request: Request) -> str:
    """The language to show a page in."""
    path = request.scope["path"]
    if path == "/console" or path.startswith("/console/"):
        return languages.LANGUAGES[0]
    query = request.query_params
    person = getattr(request.state, "locale", "")
    kept = _kept(request, WISH)
    chosen = kept.removesuffix(CHOSEN) if kept.endswith(CHOSEN) else ""
    wishes = (query.get("lang", ""), chosen, wish_of(request), person, kept, _kept(request, CHOICE))
    return languages.best_language(*wishes, languages.accepted(request.headers.get("accept-language", "")))


def wish_of(request: Request) -> str:
    """OIDC Core §3.1.2.1: `ui_locales` of this very request; it need not stand in the query (RFC 9126, RFC 9101)."""
    return str(getattr(request.state, "ui_locales", "") or request.query_params.get("ui_locales", ""))


def keep_wish(request: Request, response: Response, ui_locales: str | None) -> None:
    """Let the pages that follow speak what an application asks for; nothing if there is no such language."""
    found = languages.known_in(ui_locales or "")
    if found is not None and not _kept(request, WISH).endswith(CHOSEN):
        set_cookie(response, WISH, found, secure=parts_of(request).secure, lifetime=WISH_LIFETIME)


def keep_choice(request: Request, response: Response) -> None:
    """Remember what was chosen at the foot of the page; it overrides what an application asked for."""
    found = languages.known_in(request.query_params.get("lang", ""))
    if found is not None:
        secure = parts_of(request).secure
        set_cookie(response, CHOICE, found, secure=secure, lifetime=CHOICE_LIFETIME)
        set_cookie(response, WISH, found + CHOSEN, secure=secure, lifetime=WISH_LIFETIME)


def choices(request: Request) -> tuple[Choice, ...]:
    """The chooser: this very page in every language; nothing for an answer to a form, which no link repeats."""
    if request.method not in ("GET", "HEAD"):
        return ()
    text = request.scope["query_string"].decode("ascii", errors="ignore")
    query = [(name, value) for name, value in parse_qsl(text, keep_blank_values=True)[:100] if name != "lang"]
    return tuple(
        Choice(code, languages.NAMES[code], "?" + urlencode([*query, ("lang", code)])) for code in languages.LANGUAGES
    )


def _kept(request: Request, name: str) -> str:
    return read_cookie(request, name, secure=parts_of(request).secure) or ""
