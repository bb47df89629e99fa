"""What a page of ours works with: a request that was opened, in the browser that brought it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from kronborg.clients.model import Client
from kronborg.core.cookies import BROWSER, read_cookie, set_cookie
from kronborg.core.ids import random_token
from kronborg.core.parts import parts_of
from kronborg.oauth import kept_requests
from kronborg.oauth.asked import allowed_query, asked_at, asked_query, is_allowed
from kronborg.oauth.asking import understand
from kronborg.oauth.authorize import Asking
from kronborg.oauth.authorize_errors import NoRedirect
from kronborg.oauth.authorize_request import MARK, AuthorizeRequest, parse
from kronborg.oauth.checks import KnownCase, after_redirect, before_redirect
from kronborg.oauth.opening import Came, open_request
from kronborg.oauth.pages.answers import AUTHORIZE
from kronborg.oauth.parameters import Unreadable
from kronborg.sessions.model import Visit
from kronborg.tokens.engine import Engine
from kronborg.tokens.errors import OAuthError


class OnAPage(Exception):
    """There is nobody to answer but the person: a page tells why."""

    def __init__(self, refusal: NoRedirect | Unreadable | OAuthError, client: Client | None) -> None:
        super().__init__(refusal)
        self.refusal, self.client = refusal, client


@dataclass(frozen=True, slots=True)
class Here:
    """A request whose client and redirect URI are known. `refusal` is what was wrong before it could be checked.

    `back` is the query to come back with. `browser` is what marks are bound to; None for a browser that has no cookie
    of ours yet.
    """

    case: KnownCase
    back: str
    browser: str | None
    refusal: OAuthError | None

    @property
    def marked(self) -> str:
        """The query to come back with, and the mark that came along, if any."""
        mark = self.case.request.mark
        return self.back if mark is None else f"{self.back}&{MARK}={quote(mark)}"

    def allowed(self, engine: Engine, session_id: str, *, now: datetime) -> str:
        """The same, with a mark that the person of this session allowed exactly this."""
        return f"{self.marked}&{allowed_query(engine.vault, self.back, session_id, now=now)}"


async def open_here(engine: Engine, request: Request, query: str, *, now: datetime) -> Here:
    """Read and open a request. Raises `OnAPage`."""
    client: Client | None = None
    browser = read_cookie(request, BROWSER, secure=parts_of(request).secure)
    try:
        sent = parse(query)
        if sent.client_id is not None:
            client = await engine.directory.client(sent.client_id, now=now)
        known = None if client is None or client.disabled else client
        opened = await open_request(engine, sent, known, browser, now=now)
    except Unreadable as refusal:
        raise OnAPage(refusal, client) from None
    try:
        case = before_redirect(opened.request, client, opened.came)
    except NoRedirect as refusal:
        # What was wrong first is what the makers of the client have to mend.
        raise OnAPage(opened.refusal or refusal, client) from None
    return Here(case, opened.back, browser, opened.refusal)


async def understand_here(engine: Engine, here: Here, *, now: datetime) -> Asking:
    """What the request asks for, and since when its person is asked. Raises `OAuthError`."""
    if here.refusal is not None:
        raise here.refusal
    after_redirect(here.case)
    asking = await understand(engine, here.case, now=now)
    return replace(asking, asked=asked_at(engine.vault, here.back, here.case.request.mark, here.browser, now=now))


def of_person(engine: Engine, here: Here, asking: Asking, person: Visit | None, *, now: datetime) -> Asking:
    """The same, with whether this person allowed exactly it just now."""
    if person is None or not asking.details:
        return asking
    mark = here.case.request.allowed
    return replace(asking, allowed=is_allowed(engine.vault, here.back, mark, person.session_id, now=now))


async def kept_here(engine: Engine, here: Here, *, now: datetime) -> Here:
    """The same request, kept with us if its answer may be given only once and it travels by value."""
    case = here.case
    if case.came.digest is not None:
        return here
    signed = case.came.signed
    reference = await kept_requests.keep(engine, case.client, case.request, origin="browser", signed=signed, now=now)
    back = AuthorizeRequest(client_id=case.client.id, request_uri=reference).query()
    came = Came(signed=signed, digest=kept_requests.digest_of(engine, reference))
    return replace(here, case=replace(case, came=came), back=back)


async def come_back(engine: Engine, here: Here, asking: Asking, *, now: datetime) -> tuple[str, str | None]:
    """The request as an address that remembers since when its person is asked, the first time; a new cookie to set."""
    if here.case.came.digest is not None:
        await kept_requests.hold(engine, here.case.came.digest, now=now)
    browser = here.browser or random_token()
    query = asked_query(engine.vault, here.back, browser, now=asking.asked or now)
    return f"{AUTHORIZE}?{query}", None if here.browser else browser


def with_browser(request: Request, response: Response, browser: str | None) -> Response:
    """The response, with the cookie that marks are bound to if the browser had none."""
    if browser is not None:
        set_cookie(response, BROWSER, browser, secure=parts_of(request).secure)
    return response
