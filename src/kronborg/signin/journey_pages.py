"""`/signin/continue` and what follows from it: the second factor, enrolling one, and passkeys in place of passwords.

Nothing is kept half-way: the sealed proof travels through the forms, and each of them is decided anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.cookies import DEVICE, SESSION, cookie_name, read_cookie, set_cookie
from kronborg.core.csrf import CsrfRefused, checked_form
from kronborg.core.errors import Conflict, Invalid, NotFound, TooMany
from kronborg.core.html import redirect, render
from kronborg.core.languages import N_, errors_of
from kronborg.core.parts import parts_of
from kronborg.factors import recovery
from kronborg.factors.browsers import COOKIE, remember
from kronborg.factors.enrolling import (
    Given,
    begin,
    enrol,
    send,
    still_sent,
)
from kronborg.factors.model import RECOVERY
from kronborg.factors.pages import (
    TAKEN,
    UNSENT,
    factor_parts_of,
    seal_codes,
    site_of,
)
from kronborg.factors.passkeys import SIGN_IN, Purpose, use
from kronborg.factors.store import count_recovery_codes, spend
from kronborg.factors.texts import NotSent
from kronborg.sessions.proof import LIFETIME, Proof, open_proof, seal_proof
from kronborg.sessions.tickets import Ticket
from kronborg.sessions.visits import origin_of_request, put_session, visit
from kronborg.signin.ask_pages import Stand, ask, choose, send_code, setting_of, show_enrol
from kronborg.signin.finish import SignedIn, finish
from kronborg.signin.journey import AskFactor, Finish, MustEnrol, Refuse
from kronborg.signin.pages import (
    STALE,
    SignInPage,
    enter,
    page_of,
    render_sign_in,
    retry_header,
    signin_parts_of,
    wait_text,
)
from kronborg.signin.seat_pages import seat_of, wanted_of
from kronborg.signin.steps import Answer, guesses_of, next_step, sendings_of, stronger, with_factor
from kronborg.signin.throttle import give_back, reserve

WRONG_CODE = N_("This is not the right code, or it was used before. Check it and try again.")
NOT_THIS = N_("This passkey could not be used. Try once more, or choose another way.")
CANNOT = N_("This needs a stronger sign-in than your account can give here. Ask whoever runs this site.")


@dataclass(frozen=True, slots=True)
class EnrolledPage:
    """What `signin/enrolled.html` shows: the recovery codes, once."""

    codes: tuple[str, ...]
    sealed: str
    next: str


def routes() -> list[Route]:
    """The steps of the journey behind the sign-in page."""
    return [
        Route("/signin/continue", go_on, methods=["GET"]),
        Route("/signin/factor", submit_factor, methods=["POST"]),
        Route("/signin/enrol", submit_enrol, methods=["POST"]),
        Route("/signin/passkey", submit_passkey, methods=["POST"]),
    ]


async def go_on(request: Request) -> Response:
    """Go on with what somebody proved: ask for what is missing, or a session and back to where they came from."""
    stand = await _stand(request, request.query_params)
    if stand is None:
        return stale(request, request.query_params)
    return await _proceed(request, stand, method=request.query_params.get("method", ""))


async def submit_factor(request: Request) -> Response:
    """Check what was given as a second factor, or send a code for it."""
    try:
        form = await checked_form(request)
    except CsrfRefused:
        return stale(request, {})
    stand = await _stand(request, form)
    if stand is None:
        return stale(request, form)
    method = form.get("method", "")
    if not isinstance(stand.here.step, AskFactor) or method not in stand.here.step.methods:
        return await _proceed(request, stand)
    if "send" in form:
        return await send_code(request, stand, method)
    parts, now, seat = parts_of(request), clock.now(), seat_of(request)
    guesses = guesses_of(parts.vault, stand.proof.user_id, seat)
    answer = Answer(method, form.get("code", "")[:100], form.get("credential", ""), form.get("sealed", ""))
    try:
        await reserve(parts.database, guesses, now=now)
        async with parts.database.write() as session:
            proof = await stronger(
                session,
                parts.vault,
                site_of(request),
                stand.proof,
                stand.here.user,
                answer,
                browser=seat.browser,
                now=now,
            )
    except TooMany as refusal:
        wait = refusal.retry_after
        return await ask(request, stand, method, error=wait_text(wait), status=429, headers=retry_header(wait))
    except Invalid:
        return await ask(request, stand, method, error=NOT_THIS, status=422)
    if proof is None:
        return await ask(request, stand, method, error=WRONG_CODE, status=422)
    await give_back(parts.database, guesses, now=now)
    return await _with(request, stand, proof, remembers="remember" in form and method != RECOVERY)


async def submit_enrol(request: Request) -> Response:
    """Enrol a factor half-way through a sign-in that needs one."""
    try:
        form = await checked_form(request)
    except CsrfRefused:
        return stale(request, {})
    stand = await _stand(request, form)
    if stand is None:
        return stale(request, form)
    kind, given = form.get("method", ""), Given.of(form)
    if not isinstance(stand.here.step, MustEnrol) or kind not in stand.here.step.methods:
        return await _proceed(request, stand)
    at, parts, now = setting_of(request, stand), parts_of(request), clock.now()
    try:
        if "send" in form:
            await reserve(parts.database, sendings_of(parts.vault, at.person.id), now=now)
            return show_enrol(request, stand, await send(parts.database, at, kind, given, now=now))
        async with parts.database.write() as session:
            _, amr = await enrol(session, at, kind, given, now=now)
            _, made = await count_recovery_codes(session, at.person.id)
            user_id = at.person.id
            codes = () if made else await recovery.make_codes(session, at.vault, user_id, actor=user_id, now=now)
    except TooMany as refusal:
        errors, status = {"send": wait_text(refusal.retry_after)}, 429
    except NotSent:
        errors, status = {"send": UNSENT}, 503
    except Conflict:
        errors, status = {"passkey": TAKEN}, 409
    except Invalid as refusal:
        errors, status = errors_of(refusal), 422
    else:
        return await _with(request, stand, with_factor(stand.proof, amr), codes=codes)
    if kind in ("email", "sms") and "code" in errors:
        return show_enrol(request, stand, still_sent(at, kind, given), errors=errors, status=status)
    async with parts.database.read() as reading:
        enrolment = await begin(reading, at, kind, given=given, now=now)
    return show_enrol(request, stand, enrolment, name=given.name, errors=errors, status=status)


async def submit_passkey(request: Request) -> Response:
    """Sign in with a passkey alone: it says who somebody is, and knows its person itself."""
    try:
        form = await checked_form(request)
    except CsrfRefused:
        return stale(request, {})
    parts, now, seat = parts_of(request), clock.now(), seat_of(request)
    page, ticket = page_of(request, form)
    try:
        factor_parts_of(request).check_offered("passkey")
        async with parts.database.write() as session:
            purpose = Purpose(SIGN_IN, seat.browser)
            sealed, answer = form.get("sealed", ""), form.get("credential", "")
            used = await use(session, parts.vault, site_of(request), purpose, sealed=sealed, answer=answer, now=now)
    except (Invalid, NotFound):
        return render_sign_in(request, replace(page, error=NOT_THIS), ticket, status=422)
    # RFC 8176 §2 `mfa`: the key that somebody has, and the finger, face or PIN that opened it.
    proof = Proof(used.passkey.factor.user_id, (*used.amr, "mfa"), now)
    stand = await _stand_with(request, page, ticket, proof, "")
    if stand is None:
        return render_sign_in(request, replace(page, error=NOT_THIS), ticket, status=422)
    return await _with(request, stand, proof)


def stale(request: Request, fields: Mapping[str, str]) -> Response:
    """The journey cannot go on: begin again."""
    page, ticket = page_of(request, fields, error=STALE)
    return render_sign_in(request, page, ticket, status=403)


async def _stand(request: Request, fields: Mapping[str, str]) -> Stand | None:
    page, ticket = page_of(request, fields)
    sealed = fields.get("proof", "")
    proof = open_proof(parts_of(request).vault, sealed, browser=seat_of(request).browser, now=clock.now())
    return None if proof is None else await _stand_with(request, page, ticket, proof, sealed)


async def _stand_with(request: Request, page: SignInPage, ticket: Ticket, proof: Proof, sealed: str) -> Stand | None:
    parts, policy, seat = parts_of(request), factor_parts_of(request).settings, seat_of(request)
    async with parts.database.read() as reading:
        here = await next_step(reading, parts.vault, policy, proof, wanted_of(ticket), seat, now=clock.now())
    return None if here is None else Stand(page, ticket, proof, sealed, here)


async def _proceed(request: Request, stand: Stand, *, method: str = "") -> Response:
    match stand.here.step:
        case Finish():
            return await _finish(request, stand)
        case AskFactor(methods=methods):
            return await ask(request, stand, method if method in methods else methods[0])
        case MustEnrol(methods=methods):
            return await choose(request, stand, method if method in methods else "")
        case Refuse():
            return render_sign_in(request, replace(stand.page, error=CANNOT), stand.ticket, status=403)
        case _:
            assert_never(stand.here.step)


async def _with(
    request: Request, stand: Stand, proof: Proof, *, remembers: bool = False, codes: tuple[str, ...] = ()
) -> Response:
    """Go on with a stronger proof."""
    after = await _stand_with(request, stand.page, stand.ticket, proof, stand.sealed)
    if after is None:
        return stale(request, {"next": stand.page.next, "ticket": stand.page.ticket})
    if isinstance(after.here.step, Finish):
        return await _finish(request, after, remembers=remembers, codes=codes)
    sealed = seal_proof(parts_of(request).vault, proof, browser=seat_of(request).browser)
    return redirect(request, replace(after, sealed=sealed).path)


async def _finish(request: Request, stand: Stand, *, remembers: bool = False, codes: tuple[str, ...] = ()) -> Response:
    """A session. The proof is used up: whoever opens the history of this browser later begins nothing with it."""
    parts, now, proof = parts_of(request), clock.now(), stand.proof
    if stand.sealed:
        digest = hashlib.sha256(stand.sealed.encode()).digest()
        async with parts.database.write() as session:
            if not await spend(session, digest, expires_at=proof.at + LIFETIME):
                return stale(request, {"next": stand.page.next, "ticket": stand.page.ticket})
    origin, here = origin_of_request(request), await visit(request)
    signed_in = await finish(
        parts.database,
        parts.vault,
        proof,
        origin=origin,
        device_cookie=read_cookie(request, DEVICE, secure=parts.secure),
        replaces=None if here is None else (here.session_id, here.user_id),
        session_lifetime=parts.session_absolute,
        now=now,
    )
    if signed_in is None:
        return stale(request, {"next": stand.page.next, "ticket": stand.page.ticket})
    if codes:
        response = await _enrolled(request, stand, signed_in, codes)
    else:
        response = enter(request, signed_in, stand.page.next)
    lifetime = factor_parts_of(request).settings.remember
    if remembers and lifetime:
        async with parts.database.write() as session:
            value = await remember(
                session,
                parts.vault,
                proof.user_id,
                seat_of(request).remembered,
                user_agent=origin.user_agent,
                address=origin.address,
                lifetime=lifetime,
                now=now,
            )
        set_cookie(response, COOKIE, value, secure=parts.secure, lifetime=lifetime)
    return response


async def _enrolled(request: Request, stand: Stand, signed_in: SignedIn, codes: tuple[str, ...]) -> Response:
    begun = signed_in.begun
    # The form of the page is one of the new session.
    request.cookies[cookie_name(SESSION, secure=parts_of(request).secure)] = begun.secret
    page = EnrolledPage(codes, seal_codes(request, begun.session.id, codes), stand.page.next)
    response = render(request, "signin/enrolled.html", page, form_action=stand.ticket.form_action)
    put_session(request, response, begun)
    lifetime = signin_parts_of(request).settings.device_lifetime
    set_cookie(response, DEVICE, signed_in.device_cookie, secure=parts_of(request).secure, lifetime=lifetime)
    return response
