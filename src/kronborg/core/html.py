"""HTML: every page is one template filled with one typed value, under a strict content security policy.

Templates live in the slice that renders them (`signin/templates/signin/sign_in.html`) and extend a layout of
`core/templates/layouts/`. A template sees five names: `page` (the typed value), `site` (brand, static addresses, the
CSRF token, the request id), `ui` and `console` (the macros of `ui.html` and `console.html`) and Jinja's own. There is
no inline script or style.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import CodeType
from urllib.parse import urlsplit

from jinja2 import BytecodeCache, ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from kronborg.core import csrf, languages
from kronborg.core.agents import device
from kronborg.core.assets import Assets
from kronborg.core.brand import Brand
from kronborg.core.cookies import BROWSER, set_cookie
from kronborg.core.log import current_request_id
from kronborg.core.moments import ago, day, moment, second
from kronborg.core.parts import part_of, parts_of
from kronborg.core.speaking import choices, keep_choice, language_of

_SLICES = Path(__file__).parent.parent
_SOURCE = re.compile(r"[a-z][a-z0-9+.-]*:(//[a-z0-9.-]+(:[0-9]{1,5})?)?")


class _Compiled(BytecodeCache):
    """Compiles each template once in a process, for however many `Pages`."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key, bucket.checksum] = bucket.code


_COMPILED = _Compiled()


class Pages:
    """Templates, static files and brand of one installation; kept at `app.state.pages`."""

    def __init__(self, brand: Brand | None = None) -> None:
        self.brand = brand or Brand()
        self.assets = Assets(self.brand)
        folders = sorted(_SLICES.glob("*/templates"))
        self.environment = Environment(
            loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            bytecode_cache=_COMPILED,
            extensions=["jinja2.ext.i18n"],
        )
        self.environment.policies["ext.i18n.trimmed"] = True  # as babel.cfg says for extraction
        self.environment.filters["spoken"] = languages.spoken
        self.environment.install_gettext_callables(  # type: ignore[attr-defined]  # by the extension
            languages.translate, languages.translate_many, newstyle=True
        )
        self.environment.filters["ago"] = ago
        self.environment.filters["day"] = day
        self.environment.filters["moment"] = moment
        self.environment.filters["second"] = second
        self.environment.filters["initials"] = initials
        self.environment.filters["device"] = device
        self.environment.globals["ui"] = self.environment.get_template("ui.html").module
        self.environment.globals["console"] = self.environment.get_template("console.html").module

    def routes(self) -> list[Route]:
        """The static files."""
        return self.assets.routes()


class Site:
    """What every template may ask about the installation and the request; `page` holds all the rest."""

    def __init__(self, request: Request, pages: Pages, *, refused: bool) -> None:
        self._request, self._pages = request, pages
        self._issued: csrf.Issued | None = None
        self.name = pages.brand.name
        self.logo = None if pages.assets.logo is None else pages.assets.url(pages.assets.logo)
        self.icon = pages.assets.url(pages.assets.icon)
        self.own_css = None if pages.assets.own is None else pages.assets.url(pages.assets.own)
        self.language = languages.current_language()
        # The chooser repeats the query of the request: a page that refuses it repeats nothing of it.
        self.languages = () if refused else choices(request)
        self.request_id = current_request_id()
        self.console = bool(getattr(request.state, "console", False))
        self.registration = bool(getattr(request.app.state, "registration", False))

    def static(self, name: str) -> str:
        """The address of a static file, changed whenever its bytes change."""
        return self._pages.assets.url(name)

    @property
    def csrf(self) -> str:
        """The token that every form of the page carries."""
        if self._issued is None:
            self._issued = csrf.issue(self._request)
        return self._issued.token

    @property
    def new_browser(self) -> str | None:
        """The browser cookie to set, if a form was rendered for a browser without one."""
        return None if self._issued is None else self._issued.browser


def pages_of(request: Request) -> Pages:
    """The pages of the app that serves this request."""
    return part_of(request, "pages", Pages)


def render(
    request: Request,
    template: str,
    page: object,
    *,
    status: int = 200,
    block: str | None = None,
    form_action: tuple[str, ...] = (),
    frame_src: tuple[str, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Fill `template` with `page`; for an HTMX request only its `block`, if one is named.

    `form_action` lists the sources (see `redirect_source`), besides ourselves, that a form of this page may end at:
    browsers check the redirects after a POST too, so a page whose form leads on to a client names that client.
    `frame_src` lists those that it may show in frames.
    """
    pages = pages_of(request)
    languages.use_language(language_of(request))
    site = Site(request, pages, refused=status >= 400)
    found = pages.environment.get_template(template)
    values = {"page": page, "site": site}
    if block is not None and is_fragment(request):
        body = "".join(found.blocks[block](found.new_context(values)))
    else:
        body = found.render(values)
    response = HTMLResponse(body, status, headers=dict(headers or {}))
    response.headers["content-security-policy"] = content_policy(form_action, frame_src)
    response.headers["content-language"] = site.language
    response.headers["cache-control"] = "no-store"
    # Not no-referrer: with that, browsers send `Origin: null` with our own forms. Other sites get nothing either way.
    response.headers["referrer-policy"] = "same-origin"
    # RFC 9110 §12.5.5: what the language was chosen by.
    response.headers.add_vary_header("HX-Request")
    response.headers.add_vary_header("Accept-Language")
    response.headers.add_vary_header("Cookie")
    keep_choice(request, response)
    if site.new_browser is not None:
        set_cookie(response, BROWSER, site.new_browser, secure=parts_of(request).secure)
    return response


def redirect(request: Request, url: str) -> Response:
    """Send the browser on with 303, so that a POST with a password is never repeated elsewhere (RFC 9700 §4.12)."""
    if is_fragment(request):
        return Response(status_code=204, headers={"hx-redirect": url, "cache-control": "no-store"})
    return RedirectResponse(url, 303, headers={"cache-control": "no-store"})


def is_fragment(request: Request) -> bool:
    """Whether HTMX asks for a part of a page (and not, after a miss in its history, for the whole)."""
    headers = request.headers
    return headers.get("hx-request") == "true" and headers.get("hx-history-restore-request") != "true"


def content_policy(form_action: tuple[str, ...] = (), frame_src: tuple[str, ...] = ()) -> str:
    """The Content-Security-Policy of a page. Raises `ValueError` for a source that is none."""
    for source in (*form_action, *frame_src):
        if not _SOURCE.fullmatch(source):
            raise ValueError("not a source expression")
    allowed = " ".join(("'self'", *form_action))
    frames = f"frame-src {' '.join(frame_src)}; " if frame_src else ""
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        f"{frames}form-action {allowed}; frame-ancestors 'none'; base-uri 'none'"
    )


def redirect_source(redirect_uri: str) -> tuple[str, ...]:
    """The `form_action` that lets a form end at `redirect_uri`: its origin, or its scheme where it has none."""
    parts = urlsplit(redirect_uri)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if scheme in ("http", "https") and re.fullmatch(r"[a-z0-9.-]+", host):
        port = f":{parts.port}" if parts.port else ""
        return (f"{scheme}://{host}{port}",)
    # Custom schemes (RFC 8252 §7.1), and IPv6 hosts, which source expressions cannot name.
    source = f"{scheme}:"
    return (source,) if _SOURCE.fullmatch(source) else ()


def initials(name: str) -> str:
    """One or two letters that stand for a person or an app."""
    words = re.findall(r"\w+", name)
    letters = words[0][:1] + (words[-1][:1] if len(words) > 1 else "") if words else "?"
    return letters.upper()
