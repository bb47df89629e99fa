"""What answers tell about limits: `RateLimit-Policy`, `RateLimit` and `Retry-After`, as structured fields.

draft-ietf-httpapi-ratelimit-headers-10. Policies are static and written by the route on every answer of the service;
what is left is written by whoever counts.
"""

from __future__ import annotations

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.limits_model import Rate, SpikeArrest, wait_of
from kronborg.gateway.model import Route
from kronborg.limits.window_model import seconds_of

STANDING = "x-kronborg-limit"
"""The request header in which `inspect` keeps what is left of quotas until the answer goes out."""

POLICY_HEADER = "ratelimit-policy"
LIMIT_HEADER = "ratelimit"


def policies_of(route: Route) -> str:
    """The `RateLimit-Policy` of a route; empty when it has no limit that refuses."""
    found: list[str] = []
    for name, arrest in (("spike_arrest", route.spike_arrest), ("rate_limit", route.rate_limit)):
        rate = None if arrest is None else Rate.parse(arrest.rate)
        if arrest is not None and rate is not None and arrest.effect == "enforce":
            # Section 3.1: `q` is what a client may spend, `w` the window in seconds.
            found.append(f'"{name}";q={rate.count};w={int(rate.period.total_seconds())}')
    found += [f'"{one.name}";q={one.count};w={seconds_of(one)}' for one in route.quotas if one.effect == "enforce"]
    return ", ".join(found)


def refused(policy: str, arrest: SpikeArrest, route: Route) -> list[JsonValue]:
    """The headers of a refusal by a spike arrest. Section 3.4: `Retry-After` is not earlier than `t`."""
    wait = str(wait_of(arrest))
    headers = {
        "retry-after": wait,
        POLICY_HEADER: policies_of(route),
        LIMIT_HEADER: f'"{policy}";r=0;t={wait}',
    }
    return [_header(name, value) for name, value in headers.items() if value]


def passed(route: Route, *, legacy: bool) -> list[JsonValue]:
    """The headers that a route adds to what its service answers."""
    policies = policies_of(route)
    if not policies:
        return []
    headers = [_header(POLICY_HEADER, policies)]
    if any(one.effect == "enforce" for one in route.quotas):
        headers.append(_header(LIMIT_HEADER, f"%REQ({STANDING})%"))
        if legacy:
            headers += [
                _header(f"x-ratelimit-{name}", f"%REQ({STANDING}-{name})%") for name in ("limit", "remaining", "reset")
            ]
    return list(headers)


def numbers(least: int, most: int) -> str:
    """A regular expression for the numbers from `least` (0 or 1) to `most`, written without leading zeros."""
    text = str(most)
    branches = [] if len(text) == 1 else [f"[1-9][0-9]{{0,{len(text) - 2}}}"]
    for at, digit in enumerate(text):
        lowest = 1 if at == 0 else 0
        if int(digit) > lowest:
            branches.append(f"{text[:at]}[{lowest}-{int(digit) - 1}]" + f"[0-9]{{{len(text) - at - 1}}}")
    return "|".join([*(["0"] if least == 0 else []), *branches, text])


def _header(name: str, value: str) -> JsonObject:
    return {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD", "header": {"key": name, "value": value}}
