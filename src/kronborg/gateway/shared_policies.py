"""Cedar policies with a name, which several routes share: declared once, and put together with a route's own text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from kronborg.core.errors import Problem
from kronborg.gateway.access_model import NamedPolicy
from kronborg.gateway.model import Route, Snapshot
from kronborg.gateway.policies import formula_of
from kronborg.gateway.policy_formula import Malformed, Outside

LARGEST = 8192
_ANY = "any-route"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_UNFINISHED = "unexpected end of input"


def settled(snapshot: Snapshot) -> Snapshot:
    """The snapshot with the whole text of its policies in each route, and no names: what translation and judges read.

    Named policies and the route's own are one set: something must permit, and nothing may forbid.
    """
    if not any(route.policies for route in snapshot.routes):
        return snapshot
    texts = {one.name: one.text for one in snapshot.policies}
    return replace(snapshot, routes=tuple(_settled(route, texts) for route in snapshot.routes))


def _settled(route: Route, texts: dict[str, str]) -> Route:
    if not route.policies:
        return route
    # A name that leads nowhere permits nothing.
    parts = [texts.get(name, "forbid (principal, action, resource);") for name in route.policies]
    return replace(route, policy="\n".join([*parts, *([] if route.policy is None else [route.policy])]), policies=())


def policy_problems(policy: NamedPolicy) -> Iterator[Problem]:
    """What is wrong with a named policy by itself; routes that name it may find more."""
    if _NAME.fullmatch(policy.name) is None:
        yield Problem("name", "is not valid", "use a-z, 0-9 and -, at most 63 characters")
    if len(policy.text) > LARGEST:
        yield Problem("text", "is longer than 8192 characters")
        return
    try:
        formula_of(policy.text, _ANY)
    except Malformed as malformed:
        found = wrong_at(policy.text)
        at = "" if found is None else f"; line {found[0]}: {found[1]}"
        yield Problem("text", f"does not stand: {malformed}{at}", "see docs/how-to/gateway-access")
    except Outside:
        return  # it may stand on routes that ask for a decision


def wrong_at(text: str) -> tuple[int, str] | None:
    """The line at which a text stops being Cedar, and what its parser says there; None where it says nothing.

    The parser names no place. It reads from left to right: the first line with which its complaint is more than that
    something is missing is the line that is wrong.
    """
    lines = text.splitlines()
    said = _complaint(text)
    if said is None:
        return None
    first, last = 1, len(lines)
    while first < last:
        middle = (first + last) // 2
        if _complaint("\n".join(lines[:middle])) in (None, _UNFINISHED):
            first = middle + 1
        else:
            last = middle
    return first, "".join(c if " " <= c <= "~" else "?" for c in said)[:120]


def _complaint(text: str) -> str | None:
    from cedarpy import policies_to_json_str  # a native library that is needed for policies only

    try:
        policies_to_json_str(text)
    except ValueError as error:
        return str(error).partition("\n")[0]
    return None
