"""Cedar policies with a name, which several routes share: declared once, and put together with a route's own text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kronborg.core.errors import Problem
from kronborg.gateway.access_model import NamedPolicy
from kronborg.gateway.model import Route, Snapshot
from kronborg.gateway.policies import formula_of
from kronborg.gateway.policy_formula import Malformed, Outside

LARGEST = 8192
_ANY = "any-route"


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
    if len(policy.text) > LARGEST:
        yield Problem("text", "is longer than 8192 characters")
        return
    try:
        formula_of(policy.text, _ANY)
    except Malformed as malformed:
        yield Problem("text", f"does not stand: {malformed}", "see docs/how-to/gateway-access")
    except Outside:
        return  # it may stand on routes that ask for a decision
