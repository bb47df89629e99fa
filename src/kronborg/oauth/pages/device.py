"""`/device`: a person types the code that a device shows, looks at who asks for what, and allows or denies it.

A code is looked up only for somebody who is signed in, in a POST, and counted before: guessing is bounded for each
person and for each address (RFC 8628 §5.1). The address with the code in it (§3.3.1) fills in the field and no more, so
that a link that somebody sends leads to a page that says what is about to happen (§5.4).
"""

from __future__ import annotations

import hmac
import io
from datetime import timedelta
from functools import partial
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.clients.model import Client
from kronborg.core import clock
from kronborg.core.addresses import network_of
from kronborg.core.base64url import b64
from kronborg.core.cookies import BROWSER, read_cookie
from kronborg.core.csrf import checked_form
from kronborg.core.errors import TooMany
from kronborg.core.html import redirect, render
from kronborg.core.languages import N_
from kronborg.core.parts import parts_of
from kronborg.oauth.device import GRANT, PAGE, by_user_code
from kronborg.oauth.device_code import shown, typed
from kronborg.oauth.device_page import DeviceConfirmPage, DeviceDonePage, DevicePage
from kronborg.oauth.model import Waiting
from kronborg.oauth.pages.answers import scope_groups
from kronborg.oauth.pages.stronger import stronger_first
from kronborg.oauth.waiting import Answered, allow, deny
from kronborg.sessions.model import Visit, device_of
from kronborg.sessions.tickets import Ticket
from kronborg.sessions.visits import origin_of_request, sign_in_url, visit
from kronborg.signin.model import Allowance
from kronborg.signin.pages import retry_header, wait_text
from kronborg.signin.throttle import Counter, give_back, reserve
from kronborg.tokens.engine import Engine

TRIES = Allowance(4, timedelta(seconds=5), timedelta(minutes=15), timedelta(minutes=1))
"""Five wrong codes, then a wait that doubles."""
UNREADABLE = N_("That is not a code. It has eight letters, like BCDF-GHJK.")
UNKNOWN = N_(
    "No device waits with this code. Check the letters; codes work for ten minutes, then the device shows a new one."
)


def routes(engine: Engine) -> list[Route]:
    """`/device` and what is below it."""
    return [
        Route(PAGE, partial(show_device, engine), methods=["GET"]),
        Route(PAGE, partial(submit_code, engine), methods=["POST"]),
        Route(f"{PAGE}/decision", partial(submit_decision, engine), methods=["POST"]),
        Route(f"{PAGE}/qr", partial(show_qr, engine), methods=["GET"]),
    ]


async def show_device(engine: Engine, request: Request) -> Response:
    """The field for the code; after signing in on the way, the confirmation."""
    done = request.query_params.get("done")
    if done in ("allowed", "denied"):
        return render(request, "oauth/device_done.html", DeviceDonePage(done == "allowed"))
    here = await visit(request)
    code = typed(request.query_params.get("user_code", ""))
    if here is not None and code is not None and _typed_here(request, code, request.query_params.get("typed", "")):
        return await _confirm(engine, request, here, code)
    return _ask(request, here, "" if code is None else shown(code))


async def submit_code(engine: Engine, request: Request) -> Response:
    """Somebody typed a code: sign in if needed, then look at what it is for."""
    form = await checked_form(request)
    here = await visit(request)
    code = typed(form.get("user_code", ""))
    if code is None:
        return _ask(request, here, form.get("user_code", "")[:20], error=UNREADABLE, status=422)
    if here is None:
        back = urlencode({"user_code": shown(code), "typed": _mark(request, code)})
        return redirect(request, sign_in_url(request, next_path=f"{PAGE}?{back}"))
    return await _confirm(engine, request, here, code)


async def submit_decision(engine: Engine, request: Request) -> Response:
    """The answer to the confirmation. What is answered is the request that was shown, or nothing."""
    form = await checked_form(request)
    here = await visit(request)
    code = typed(form.get("user_code", ""))
    if here is None or code is None or form.get("decision") not in ("allow", "deny"):
        return redirect(request, PAGE)
    found = await _looked_up(engine, request, here, code)
    if isinstance(found, Response):
        return found
    waiting, client = found
    if not hmac.compare_digest(waiting.reference, form.get("request", "")):
        return _ask(request, here, "", error=UNKNOWN, status=422)
    allowed = form["decision"] == "allow"
    first = stronger_first(request, client, here, back=f"{PAGE}?{urlencode({'user_code': shown(code)})}")
    if allowed and first is not None:
        return first
    try:
        if allowed:
            await allow(engine, client, waiting, here, now=clock.now())
        else:
            await deny(engine, waiting, here, now=clock.now())
    except Answered:
        return _ask(request, here, "", error=UNKNOWN, status=422)
    return redirect(request, f"{PAGE}?done={'allowed' if allowed else 'denied'}")


async def show_qr(engine: Engine, request: Request) -> Response:
    """The address with the code in it as a picture, for devices that cannot draw one. Nothing is looked up."""
    # Only devices without a way to draw one ask for it: not at the start of every process.
    import segno

    code = typed(request.query_params.get("user_code", ""))
    if code is None:
        return Response(status_code=404, headers={"cache-control": "no-store"})
    picture = io.BytesIO()
    address = f"{engine.issuer}{PAGE}?{urlencode({'user_code': shown(code)})}"
    segno.make(address, error="m").save(picture, kind="svg", scale=6, border=4, xmldecl=False, light="#fff")
    return Response(picture.getvalue(), media_type="image/svg+xml", headers={"cache-control": "no-store"})


async def _confirm(engine: Engine, request: Request, here: Visit, code: str) -> Response:
    found = await _looked_up(engine, request, here, code)
    if isinstance(found, Response):
        return found
    waiting, client = found
    first = stronger_first(request, client, here, back=f"{PAGE}?{urlencode({'user_code': shown(code)})}")
    if first is not None:
        return first
    now, origin = clock.now(), origin_of_request(request)
    agent = device_of(waiting.particulars.user_agent)
    back = urlencode({"user_code": shown(code)})
    page = DeviceConfirmPage(
        code=shown(code),
        request=waiting.reference,
        client_name=client.name,
        verified=not client.settings.unverified,
        person=here,
        switch_url=sign_in_url(request, next_path=f"{PAGE}?{back}", ticket=Ticket(client.name, (), again=True)),
        address=waiting.particulars.address,
        agent=None if agent == "Unknown browser" else agent.replace("Unknown browser", "A device"),
        elsewhere=waiting.address != network_of(origin.address),
        asked_at=waiting.created_at,
        now=now,
        groups=scope_groups(await engine.directory.apis(now=now), waiting.scopes, waiting.audiences),
    )
    return render(request, "oauth/device_confirm.html", page)


async def _looked_up(engine: Engine, request: Request, here: Visit, code: str) -> tuple[Waiting, Client] | Response:
    """The request with this code and its client; otherwise the page that asks again. Each try is counted first."""
    now = clock.now()
    counters = _counters(engine, request, here)
    try:
        await reserve(engine.database, counters, now=now)
    except TooMany as refusal:
        wait = refusal.retry_after
        return _ask(request, here, shown(code), error=wait_text(wait), status=429, wait=wait)
    waiting = await by_user_code(engine, code, now=now)
    client = None if waiting is None else await engine.directory.client(waiting.client_id, now=now)
    if waiting is None or client is None or client.disabled or GRANT not in client.grants:
        return _ask(request, here, shown(code), error=UNKNOWN, status=422)
    await give_back(engine.database, counters, now=now)
    return waiting, client


def _counters(engine: Engine, request: Request, here: Visit) -> tuple[Counter, ...]:
    """By person and by address. A right code takes back its own try alone: it is no way out of a wait."""
    network = network_of(origin_of_request(request).address)

    def counter(subject: str) -> Counter:
        return Counter("address", engine.vault.digest(subject, context="device.throttle"), TRIES)

    return counter(f"person\n{here.user_id}"), counter(f"address\n{network}")


def _ask(
    request: Request,
    here: Visit | None,
    code: str,
    *,
    error: str | None = None,
    status: int = 200,
    wait: timedelta | None = None,
) -> Response:
    headers = None if wait is None else retry_header(wait)
    return render(request, "oauth/device.html", DevicePage(code, here, error), status=status, headers=headers)


def _mark(request: Request, code: str) -> str:
    """That this browser sent the form with this code: who only follows a link has to send it first."""
    parts = parts_of(request)
    browser = read_cookie(request, BROWSER, secure=parts.secure) or ""
    digest = parts.vault.digest(f"{code}\n{browser}", context="device.typed")
    return b64(digest)


def _typed_here(request: Request, code: str, mark: str) -> bool:
    return hmac.compare_digest(mark.encode(), _mark(request, code).encode())
