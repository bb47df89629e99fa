"""Every reason against publishing the limits of a snapshot: spike arrests, quotas, calls at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kronborg.core.errors import Problem
from kronborg.gateway.limits_model import HEAVIEST, Effect, Per, Preset, Rate, SpikeArrest
from kronborg.gateway.model import Route, Snapshot
from kronborg.limits.model import Answer, Counted, Mode, Quota, Scope, Unit, WindowKind

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_TOKEN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_CLAIM = re.compile(r"[A-Za-z0-9_-]{1,63}")
_MOST_BURST = 1_000_000
_MOST_AT_ONCE = 100_000
_MOST_CALLS = 10**12
_MOST_INTERVALS = {"minute": 44_640, "hour": 744, "day": 366, "week": 53, "month": 120}
_NOBODY_KNOWN = ("client", "user", "claim", "key")
# Headers that say who somebody is are not what they claim to be, and these are gone before a filter reads them.
_UNFIT = ("authorization", "cookie", "host", "connection", "content-length", "transfer-encoding", "proxy-authorization")


def problems_of(snapshot: Snapshot) -> Iterator[Problem]:
    """Those of each route, then those between routes."""
    for route in snapshot.routes:
        for field, arrest in (("spike_arrest", route.spike_arrest), ("rate_limit", route.rate_limit)):
            if arrest is not None:
                yield from _arrest(f"routes.{route.name}.{field}", arrest, route)
        for number, quota in enumerate(route.quotas):
            yield from _quota(f"routes.{route.name}.quotas.{number}", quota, route)
        if len({quota.name for quota in route.quotas}) < len(route.quotas):
            yield Problem(f"routes.{route.name}.quotas", "a quota is named twice", "name it once")
        if len(route.quotas) > 4:
            yield Problem(f"routes.{route.name}.quotas", "there are too many quotas", "use at most 4")
        if route.concurrency is not None:
            yield from _at_once(f"routes.{route.name}.concurrency", route, snapshot)
    yield from _differing(snapshot)


def _at_once(where: str, route: Route, snapshot: Snapshot) -> Iterator[Problem]:
    if route.concurrency is None:
        return
    if not 1 <= route.concurrency.count <= _MOST_AT_ONCE:
        yield Problem(f"{where}.count", "is out of range", f"use 1 to {_MOST_AT_ONCE}")
    if route.redirect is not None:
        yield Problem(where, "does not go with a redirect", "use one or the other")
    if route.public and route.concurrency.per in ("client", "user"):
        yield Problem(f"{where}.per", "a public route knows no client and no user", "use address or route")
    if not route.concurrency.shared:
        return
    service = next((one for one in snapshot.services if one.name == route.service), None)
    if service is not None and (service.breaker is not None or service.fallback is not None):
        yield Problem(where, "does not go with a breaker or a fallback of the service", "use one or the other")
    if route.split or route.canary:
        yield Problem(where, "does not go with a split or a canary", "use one or the other")


def _arrest(where: str, arrest: SpikeArrest, route: Route) -> Iterator[Problem]:
    if Rate.parse(arrest.rate) is None:
        yield Problem(f"{where}.rate", "is not a rate", "write 5ps or 12pm")
    if not 1 <= arrest.burst <= _MOST_BURST:
        yield Problem(f"{where}.burst", "is out of range", "use 1 to 1000000")
    if not 1 <= arrest.weight <= HEAVIEST:
        yield Problem(f"{where}.weight", "is out of range", f"use 1 to {HEAVIEST}")
    if arrest.preset not in get_args(Preset):
        yield Problem(f"{where}.preset", "is unknown", "use apigee-runtime or none")
    yield from _shared(where, arrest, route)


def _quota(where: str, quota: Quota, route: Route) -> Iterator[Problem]:
    if _NAME.fullmatch(quota.name) is None:
        yield Problem(f"{where}.name", "the name is not valid", "use a-z, 0-9, _ and -, at most 63 characters")
    if not 0 <= quota.count <= _MOST_CALLS:
        yield Problem(f"{where}.count", "is out of range", "use 0 to 1000000000000")
    if quota.unit not in get_args(Unit):
        yield Problem(f"{where}.unit", "is unknown", "use " + ", ".join(get_args(Unit)))
    elif not 1 <= quota.interval <= _MOST_INTERVALS[quota.unit]:
        yield Problem(f"{where}.interval", "is out of range", f"use 1 to {_MOST_INTERVALS[quota.unit]}")
    if quota.window not in get_args(WindowKind):
        yield Problem(f"{where}.window", "is unknown", "use " + ", ".join(get_args(WindowKind)))
    if (quota.window == "calendar") != bool(quota.start):
        yield Problem(f"{where}.start", "goes with `window: calendar`, and with no other", "give both, or neither")
    elif quota.start and not _is_moment(quota.start):
        yield Problem(f"{where}.start", "is not a moment", "write it as 2026-11-01T10:30:00")
    if not _is_zone(quota.time_zone):
        yield Problem(f"{where}.time_zone", "is not a time zone", "write it as Europe/Copenhagen")
    if not 0 <= quota.weight <= HEAVIEST:
        yield Problem(f"{where}.weight", "is out of range", f"use 0 to {HEAVIEST}")
    if quota.mode not in get_args(Mode):
        yield Problem(f"{where}.mode", "is unknown", "use counted or leased")
    if quota.answer not in get_args(Answer):
        yield Problem(f"{where}.answer", "is unknown", "use " + ", ".join(get_args(Answer)))
    if quota.scope not in get_args(Scope):
        yield Problem(f"{where}.scope", "is unknown", "use global or node")
    yield from _shared(where, quota, route)


def _shared(where: str, limit: SpikeArrest | Quota, route: Route) -> Iterator[Problem]:
    """What spike arrests and quotas have in common: who is counted, how much a call weighs, whether it refuses."""
    if limit.per not in get_args(Per) or limit.per not in get_args(Counted):
        yield Problem(f"{where}.per", "is unknown", "use " + ", ".join(get_args(Per)))
    if route.public and limit.per in _NOBODY_KNOWN:
        yield Problem(f"{where}.per", f"a public route knows no {limit.per}", "use address, header or route")
    if (limit.per in ("header", "claim")) != bool(limit.identifier):
        yield Problem(
            f"{where}.identifier", "goes with `per: header` and `per: claim` only", "name the header or claim"
        )
    elif limit.per == "header" and not _passes(limit.identifier):
        yield Problem(f"{where}.identifier", "is not a header that passes", "use a lower-case name, no x- and no other")
    elif limit.per == "claim" and _CLAIM.fullmatch(limit.identifier) is None:
        yield Problem(f"{where}.identifier", "is not the name of a claim", "use letters, digits, _ and -")
    if limit.weight_header and not _passes(limit.weight_header):
        yield Problem(
            f"{where}.weight_header", "is not a header that passes", "use a lower-case name that begins not with x-"
        )
    if limit.weight_header and not 1 <= limit.heaviest <= HEAVIEST:
        yield Problem(f"{where}.heaviest", "is out of range", f"use 1 to {HEAVIEST}")
    if limit.effect not in get_args(Effect):
        yield Problem(f"{where}.effect", "is unknown", "use enforce or shadow")


def _passes(header: str) -> bool:
    """Whether a request header of this name reaches the filters: hygiene takes others away."""
    from kronborg.gateway.envoy.hygiene import unwanted

    return _TOKEN.fullmatch(header) is not None and header not in _UNFIT and re.fullmatch(unwanted(), header) is None


def _is_moment(text: str) -> bool:
    try:
        return 1970 <= datetime.fromisoformat(text).year <= 9000
    except ValueError:
        return False


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _differing(snapshot: Snapshot) -> Iterator[Problem]:
    """One name, one quota: two that differ in more than the weight of a call would be one counter with two ends."""
    first: dict[str, tuple[str, Quota]] = {}
    for route in snapshot.routes:
        for number, quota in enumerate(route.quotas):
            plain = replace(quota, weight=1, weight_header="", heaviest=100)
            named, other = first.setdefault(quota.name, (route.name, plain))
            if other != plain:
                yield Problem(
                    f"routes.{route.name}.quotas.{number}",
                    f"differs from the quota of this name on the route {named}",
                    "say the same on each but for the weight, or give it another name",
                )
