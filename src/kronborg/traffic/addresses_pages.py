"""`/console/traffic/addresses`: which addresses are blocked, why and how long; blocking and lifting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Invalid, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import part_of, parts_of
from kronborg.core.policy import Resource
from kronborg.sessions.console_pages import ConfirmPage, actor_of, agreed, asked, confirm, done_of, may
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted
from kronborg.traffic.addresses import block_address, lift_address, network_of, warnings_of
from kronborg.traffic.addresses_store import BlockedAddress, list_blocked

HOME = "/console/traffic/addresses"
DONE = {"blocked": "The address is blocked: every gateway refuses it within a second.", "lifted": "It may call again."}
SPANS = {"1h": timedelta(hours=1), "8h": timedelta(hours=8), "1d": timedelta(days=1), "7d": timedelta(days=7)}
_TRAFFIC, _ACCESS = Resource("traffic"), Resource("access")


@dataclass(frozen=True, slots=True)
class AddressesPage(ConsolePage):
    """The blocked addresses and the form for another."""

    blocked: tuple[BlockedAddress, ...]
    network: str
    span: str
    reason: str
    problems: tuple[Problem, ...]
    may_block: bool
    now: datetime
    done: str | None


def routes() -> list[Route]:
    """The list, the question and the deeds."""
    return [
        Route(HOME, show_addresses, methods=["GET"]),
        Route(HOME, block, methods=["POST"]),
        Route(f"{HOME}/-/lift", lift, methods=["POST"]),
    ]


async def show_addresses(request: Request) -> Response:
    """Addresses are about people: whoever may not see those sees nothing here."""
    found = await admitted(request, "traffic:people", _TRAFFIC)
    if isinstance(found, Response):
        return found
    return await _page(request, found, {"network": asked(request, "address"), "span": "1d"})


async def block(request: Request) -> Response:
    """Ask what it means, then block. It needs a fresh sign-in."""
    form = await checked_form(request)
    found = await _may_write(request)
    if isinstance(found, Response):
        return found
    span = form.get("span", "") if form.get("span") in SPANS else "1d"
    text, reason, now = form.get("network", "")[:100], form.get("reason", "")[:1000], clock.now()
    try:
        network = network_of(text)
        own = "" if request.client is None else request.client.host
        proxies: tuple[str, ...] = part_of(request, "gateway_proxies", tuple)
        warnings = tuple(warnings_of(network, own=own, proxies=proxies))
        if form.get("sure") != "yes" or (warnings and not agreed(form, str(network))):
            fields = (("network", text), ("span", span), ("reason", reason), ("sure", "yes"))
            wrong = "Type the network as it stands above." if form.get("sure") == "yes" else ""
            question = ConfirmPage(
                found,
                "traffic",
                "Block this address?",
                "Every gateway refuses its requests within a second, whatever token they bring.",
                "Block it",
                HOME,
                HOME,
                effects=warnings,
                names=(str(network),),
                fields=fields,
                crumbs=(("Traffic", "/console/traffic"), ("Blocked addresses", HOME)),
                typed=str(network) if warnings else "",
                error=wrong,
            )
            return confirm(request, question)
        database, actor = parts_of(request).database, actor_of(found)
        await block_address(database, text, reason=reason, lasts=SPANS[span], actor=actor, now=now)
    except Invalid as refusal:
        return await _page(request, found, {"network": text, "span": span, "reason": reason}, refusal.problems)
    return redirect(request, f"{HOME}?done=blocked")


async def lift(request: Request) -> Response:
    """Let it call again."""
    form = await checked_form(request)
    found = await _may_write(request)
    if isinstance(found, Response):
        return found
    network = form.get("network", "")[:100]
    await lift_address(parts_of(request).database, network, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{HOME}?done=lifted")


async def _may_write(request: Request) -> Admitted | Response:
    found = await admitted(request, "traffic:people", _TRAFFIC)
    if isinstance(found, Response):
        return found
    return await admitted(request, "access:revoke", _ACCESS, fresh=True, back=HOME)


async def _page(
    request: Request, found: Admitted, form: Mapping[str, str], problems: tuple[Problem, ...] = ()
) -> Response:
    now = clock.now()
    page = AddressesPage(
        found,
        "traffic",
        await list_blocked(parts_of(request).database.lookup, now=now),
        form.get("network", ""),
        form.get("span", "1d"),
        form.get("reason", ""),
        problems,
        may(request, found, "access:revoke", _ACCESS),
        now,
        done_of(request, DONE),
    )
    return render(request, "traffic/addresses.html", page, status=422 if problems else 200)
