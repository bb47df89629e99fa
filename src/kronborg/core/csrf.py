"""Proof that a form was sent by a page of ours, in the browser we gave it to.

Two gates, both in `checked_form`, the only way our pages read a POST body:

1. the browser's own word: `Sec-Fetch-Site`, or `Origin` where that is missing, must name this very site;
2. a token made for this browser and this session: an HMAC under a key of the vault over a fresh nonce, the browser
   cookie and the session cookie. Signing in or out changes the session cookie, which voids the tokens of before.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request

from kronborg.core.base64url import b64
from kronborg.core.cookies import BROWSER, SESSION, read_cookie
from kronborg.core.errors import Forbidden, Invalid, Problem
from kronborg.core.ids import random_token
from kronborg.core.parts import parts_of

FIELD = "csrf"
MAX_FORM = 64 * 1024
MAX_FIELDS = 200
_NONCE_BYTES = 16


class CsrfRefused(Forbidden):
    """The form came from elsewhere, or its page belongs to an earlier session. Nothing was done."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A token for one page; `browser` is the cookie to set when this browser had none yet."""

    token: str
    browser: str | None


def issue(request: Request) -> Issued:
    """A token for a form on the page that answers `request`."""
    known = read_cookie(request, BROWSER, secure=parts_of(request).secure)
    browser = known or random_token()
    nonce = random_token(_NONCE_BYTES)
    return Issued(f"{nonce}.{_mac(request, nonce, browser)}", None if known else browser)


async def checked_form(request: Request) -> Mapping[str, str]:
    """The fields of a form that a page of ours sent. Raises `CsrfRefused`, or `Invalid` for a body that is no form."""
    _check_site(request)
    fields = await _fields(request)
    browser = read_cookie(request, BROWSER, secure=parts_of(request).secure)
    if browser is None:
        raise CsrfRefused("this browser sent no cookie: the page is out of date, or cookies are switched off")
    nonce, _, mac = fields.get(FIELD, "").partition(".")
    if not hmac.compare_digest(mac.encode(), _mac(request, nonce, browser).encode()):
        raise CsrfRefused("the form is out of date: open the page again and send it once more")
    return fields


def _check_site(request: Request) -> None:
    """Ask the browser where the form comes from. `Sec-Fetch-Site` cannot be forged by a page; `Origin` neither."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise CsrfRefused("the form was sent by another site")
        return
    origin = request.headers.get("origin")
    if origin is not None and origin != origin_of(parts_of(request).issuer):
        raise CsrfRefused("the form was sent by another site")


def origin_of(url: str) -> str:
    """Scheme, host and port of an absolute URL, as browsers write an origin."""
    return "/".join(url.split("/", 3)[:3]).lower()


async def _fields(request: Request) -> Mapping[str, str]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise Invalid(Problem("body", "the body is not a form", "send application/x-www-form-urlencoded"))
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise Invalid(Problem("body", "the form is too large"))
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:  # UnicodeDecodeError too
        raise Invalid(Problem("body", "the form is not well-formed UTF-8, or has too many fields")) from None
    if any("\0" in name or "\0" in value for name, value in pairs):
        # No field of ours holds one, and PostgreSQL takes none in a text.
        raise Invalid(Problem("body", "the form holds a NUL character"))
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Invalid(Problem("body", "a field is given twice"))
    return fields


def _mac(request: Request, nonce: str, browser: str) -> str:
    parts = parts_of(request)
    session = read_cookie(request, SESSION, secure=parts.secure) or ""
    digest = parts.vault.digest("\n".join((nonce, browser, session)), context="csrf")
    return b64(digest)
