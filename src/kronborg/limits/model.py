"""The noun of quotas: how many calls in which window, counted for whom, and how exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["minute", "hour", "day", "week", "month"]
WindowKind = Literal["default", "calendar", "flexi", "rolling"]
Counted = Literal["client", "user", "key", "address", "route", "header", "claim"]
Mode = Literal["leased", "counted"]
Scope = Literal["global", "node"]
Effect = Literal["enforce", "shadow"]
Answer = Literal["quota_exceeded", "payment_required", "no_subscription"]

EDGE = {"extra": "forbid", "strict": False, "hide_input_in_errors": True, "use_attribute_docstrings": True}


@dataclass(frozen=True, slots=True)
class Quota:
    """So many calls in a window of time. Routes that name the same quota count together."""

    __pydantic_config__ = EDGE

    name: str
    """Routes with a quota of this name share its counters; it must say the same on each, but for the weight."""
    count: int
    """How many calls, or how much weight, a window holds."""
    interval: int = 1
    """So many units are one window."""
    unit: Unit = "month"
    """minute, hour, day, week or month; months are true calendar months."""
    window: WindowKind = "default"
    """`default`: the clock's own minute, hour, day, week (from Monday) or month. `calendar`: from `start`. `flexi`:
    from the first call of each identifier. `rolling`: the last interval, always; the oldest calls age out."""
    start: str = ""
    """Where a `calendar` window starts, such as `2026-11-01T10:30:00`; read in `time_zone`."""
    time_zone: str = "UTC"
    """Where midnight is, such as `Europe/Copenhagen`."""
    per: Counted = "client"
    """Who has a counter of their own: client, user, API key, address, the route as a whole, or each value of a header
    or claim."""
    identifier: str = ""
    """The header or the claim of `per: header` and `per: claim`. Requests without it share one counter."""
    weight: int = 1
    """How much a call of this route counts; 0 does not count."""
    weight_header: str = ""
    """A request header with the weight of a call, 0 up to `heaviest`; anything else in it is a malformed request."""
    heaviest: int = 100
    """The largest weight that `weight_header` may say."""
    mode: Mode = "counted"
    """`leased`: exact, never one call more. `counted`: cheaper; about half a second of calls may pass beyond."""
    answer: Answer = "quota_exceeded"
    """What a caller is told who has none left: `quota_exceeded` (429), `payment_required` (402: a prepaid balance), or
    `no_subscription` (403)."""
    scope: Scope = "global"
    """`global` counts over all gateways that share their counters, `node` at each gateway on its own."""
    effect: Effect = "enforce"
    """`shadow` counts and shows what it would refuse, and refuses nothing."""

    @property
    def told(self) -> str:
        """For people: `50,000 a day per client`, `100 in 6 hours per user`."""
        time = f"a {self.unit}" if self.interval == 1 else f"in {self.interval} {self.unit}s"
        time = "an hour" if time == "a hour" else time
        return f"{self.count:,} {time} per {self.per}"
