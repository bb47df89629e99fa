"""The stages that count: rates, quotas, calls under way, sizes. What is used up is given as facts."""

from __future__ import annotations

from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Route
from kronborg.gateway.reasons import REASONS
from kronborg.gateway.simulate_nouns import Decision
from kronborg.gateway.simulate_way import Way


def early_arrest(way: Way, route: Route) -> Decision | None:
    """Limits per address come before any token is looked at."""
    arrest = route.spike_arrest
    return _arrest(way, route, arrest) if arrest is not None and arrest.per == "address" else None


def late_arrests(way: Way, route: Route) -> Decision | None:
    """All other rates come after what the token says."""
    arrest = route.spike_arrest
    refused = _arrest(way, route, arrest) if arrest is not None and arrest.per != "address" else None
    return refused or (None if route.rate_limit is None else _arrest(way, route, route.rate_limit, "rate_limit"))


def _arrest(way: Way, route: Route, arrest: SpikeArrest, name: str = "spike_arrest") -> Decision | None:
    asked = f"At most {arrest.told}, {arrest.room:,} at once."
    if name in way.call.facts.spent and arrest.effect == "enforce":
        return way.refuse("spike_arrest", 429, name, asked, "faster than that", route)
    way.passed("spike_arrest", asked)
    return None


def quota(way: Way, route: Route) -> Decision | None:
    """Calls in a window of time."""
    for one in route.quotas:
        asked = f"At most {one.told}."
        if {"quota", f"quota:{one.name}"} & way.call.facts.spent and one.effect == "enforce":
            return way.refuse("quota", 429, "quota", asked, "used up", route)
        way.passed("quota", asked)
    return None


def concurrency(way: Way, route: Route) -> Decision | None:
    """Calls under way."""
    if route.concurrency is None:
        return None
    asked = f"At most {route.concurrency.count} under way per {route.concurrency.per}."
    if "concurrency" in way.call.facts.spent:
        return way.refuse("concurrency", 503, "concurrency", asked, "more than that", route)
    way.passed("concurrency", asked)
    return None


def content(way: Way, route: Route) -> Decision | None:
    """The size of the body."""
    asked = f"A body of at most {route.max_body} bytes."
    if way.call.body > route.max_body:
        return way.refuse("content", 413, "body_too_large", asked, f"{way.call.body} bytes", route)
    way.passed("content", asked, f"{way.call.body} bytes")
    return _head(way, route)


def _head(way: Way, route: Route) -> Decision | None:
    """The bounds of the target, as `filters/guard.lua` asks them; what headers a caller sends nobody says here."""
    if route.sizes is None:
        return None
    target, most = route.sizes.target, route.sizes.parameters
    if target is not None:
        asked, found = f"A path and query of at most {target} bytes.", len(way.call.path.encode())
        if found > target:
            status = REASONS["target_too_long"].status
            return way.refuse("content", status, "target_too_long", asked, f"{found} bytes", route)
        way.passed("content", asked, f"{found} bytes")
    if most is not None:
        _, _, query = way.call.path.partition("?")
        asked, found = f"At most {most} parameters.", query.count("&") + 1 if query else 0
        if found > most:
            status = REASONS["too_many_parameters"].status
            return way.refuse("content", status, "too_many_parameters", asked, str(found), route)
        way.passed("content", asked, str(found))
    return None
