"""What the pages of the journey ask of a request: the browser somebody sits at, and what was wanted of them."""

from __future__ import annotations

from starlette.requests import Request

from kronborg.core import clock
from kronborg.core.cookies import BROWSER, DEVICE, read_cookie
from kronborg.core.parts import parts_of
from kronborg.factors.browsers import COOKIE
from kronborg.factors.pages import browser_of, factor_parts_of, site_of
from kronborg.factors.passkeys import Asked, ask_to_sign_in
from kronborg.sessions.model import Visit, strength
from kronborg.sessions.proof import Proof, continue_path, seal_proof
from kronborg.sessions.store import find_session
from kronborg.sessions.tickets import Ticket
from kronborg.signin.journey import AskFactor, Wanted
from kronborg.signin.model import Account
from kronborg.signin.sign_in import Missing
from kronborg.signin.steps import Seat, is_more_needed, next_step


def seat_of(request: Request) -> Seat:
    """The browser somebody sits at."""
    parts = parts_of(request)
    return Seat(
        browser=read_cookie(request, BROWSER, secure=parts.secure) or "",
        remembered=read_cookie(request, COOKIE, secure=parts.secure),
        device=read_cookie(request, DEVICE, secure=parts.secure),
        address="" if request.client is None else request.client.host,
        idle=parts.session_idle,
    )


def wanted_of(ticket: Ticket) -> Wanted:
    """What the page that sent somebody here wants; to be asked again is a wish of its own."""
    return Wanted(ticket.strength, ticket.explicit or ticket.again)


def missing_here(request: Request, ticket: Ticket) -> Missing:
    """Whether a password that was right is not enough, for the verb that compares it."""
    parts, policy = parts_of(request), factor_parts_of(request).settings

    async def missing(proof: Proof, _account: Account | None) -> bool:
        wanted, seat = wanted_of(ticket), seat_of(request)
        return await is_more_needed(parts.database, parts.vault, policy, proof, wanted, seat, now=clock.now())

    return missing


def is_strong_enough(here: Visit, ticket: Ticket) -> bool:
    """Whether somebody who is signed in needs nothing more."""
    return not ticket.again and strength(here.amr) >= ticket.strength


async def step_up_path(request: Request, here: Visit, next_path: str, ticket_text: str, ticket: Ticket) -> str | None:
    """Where somebody who is signed in gives what is missing; None for who has to sign in anew, having nothing to give.

    A session alone enrols nothing: whoever sits at a browser that was left open would.
    """
    if ticket.again:
        return None
    browser_of(request)  # a session outlives the browser's own cookie: `with_browser` gives it a new one
    parts, policy, seat = parts_of(request), factor_parts_of(request).settings, seat_of(request)
    async with parts.database.read() as reading:
        known = await find_session(reading, here.session_id)
        if known is None:
            return None
        by, told = known.vouched_by, known.told
        proof = Proof(here.user_id, here.amr, clock.now(), by, here.username, told, renews=True)
        found = await next_step(reading, parts.vault, policy, proof, wanted_of(ticket), seat, now=clock.now())
    if found is None or not isinstance(found.step, AskFactor):
        return None
    return continue_path(seal_proof(parts.vault, proof, browser=seat.browser), next_path=next_path, ticket=ticket_text)


def passkey_here(request: Request) -> Asked | None:
    """What a passkey in place of a password is asked, where they are offered. For `with_browser` afterwards."""
    if "passkey" not in factor_parts_of(request).offered:
        return None
    vault = parts_of(request).vault
    return ask_to_sign_in(vault, site_of(request), browser=browser_of(request), now=clock.now())
