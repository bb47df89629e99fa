"""`/console/traffic/requests/…/block-token`: the token of a recorded request, revoked by its id."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Invalid, NotFound
from kronborg.core.group_writer import Execute
from kronborg.core.html import redirect
from kronborg.core.parts import part_of, parts_of
from kronborg.core.policy import Resource
from kronborg.sessions.console_pages import ConfirmPage, actor_of, confirm, may
from kronborg.sessions.visits import admitted
from kronborg.tokens.ending import block_token
from kronborg.traffic.model import AccessRecord
from kronborg.traffic.parts import Traffic
from kronborg.traffic.questions import search_of, span_of
from kronborg.traffic.row_model import record_of

HOME = "/console/traffic/requests"


def routes() -> list[Route]:
    """The question and the deed."""
    return [Route(f"{HOME}/{{request_id}}/block-token", block, methods=["GET", "POST"])]


async def block(request: Request) -> Response:
    """Ask, then revoke the token. It needs a fresh sign-in: it may take an application off the air."""
    form = await checked_form(request) if request.method == "POST" else None
    one = f"{HOME}/{str(request.path_params['request_id'])[:64]}"
    found = await admitted(
        request, "access:revoke", Resource("access"), fresh=form is not None, back=f"{one}/block-token"
    )
    if isinstance(found, Response):
        return found
    if not may(request, found, "traffic:people", Resource("traffic")):
        raise NotFound("there is no such request, or no more")
    record = await _record(request)
    if form is not None:
        now, actor = clock.now(), actor_of(found)

        def unit(execute: Execute) -> None:
            block_token(execute, record.token, actor=actor, now=now)

        await parts_of(request).database.writer.run(unit)
        return redirect(request, f"{one}?done=blocked")
    question = ConfirmPage(
        found,
        "traffic",
        "Block this token?",
        "The gateway refuses it within a second, wherever it is used. The session goes on, and may get another one.",
        "Block the token",
        f"{one}/block-token",
        one,
        names=(record.token,),
        crumbs=(("Traffic", "/console/traffic"), ("Requests", HOME), ("Request", one)),
    )
    return confirm(request, question)


async def _record(request: Request) -> AccessRecord:
    """The record, if its request had a token. Raises `NotFound`."""
    missing = NotFound("there is no such request with a token, or no more")
    try:
        words = str(request.path_params["request_id"])[:64]
        search = search_of(words, span_of("30d", clock.now()), people=True, limit=1)
    except Invalid:
        raise missing from None
    rows = await part_of(request, "traffic", Traffic).ask(lambda store: store.search(search))
    if not rows or not record_of(rows[0]).token:
        raise missing
    return record_of(rows[0])
