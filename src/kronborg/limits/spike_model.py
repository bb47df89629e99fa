"""The nouns of spike arrest: a rate, what is counted on its own, and the token bucket that behaves so."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from kronborg.limits.model import EDGE

Per = Literal["client", "user", "key", "address", "route", "header", "claim"]
"""What is counted on its own."""

Preset = Literal["none", "apigee-runtime"]
Effect = Literal["enforce", "shadow"]

HEAVIEST = 1000
"""The largest weight of one call."""

_RATE = re.compile(r"([1-9][0-9]{0,6})(ps|pm)")
_SHORTEST_FILL_MS = 50


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls a second or a minute, written `5ps` or `12pm`."""

    count: int
    unit: Literal["ps", "pm"]

    @classmethod
    def parse(cls, text: str) -> Rate | None:
        """`5ps`, `12pm`; None when `text` is anything else."""
        found = _RATE.fullmatch(text)
        if found is None:
            return None
        return cls(count=int(found[1]), unit="ps" if found[2] == "ps" else "pm")

    @property
    def per_second(self) -> float:
        """Calls a second."""
        return self.count if self.unit == "ps" else self.count / 60

    @property
    def spacing(self) -> timedelta:
        """The smoothed distance between two calls: 5ps is one per 200 ms, 12pm one per 5 s."""
        return timedelta(seconds=1 / self.per_second)

    @property
    def period(self) -> timedelta:
        """What `count` refers to: a second or a minute."""
        return timedelta(seconds=1 if self.unit == "ps" else 60)

    @property
    def told(self) -> str:
        """For people: `5 a second`."""
        return f"{self.count:,} a {'second' if self.unit == 'ps' else 'minute'}"

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"


@dataclass(frozen=True, slots=True)
class SpikeArrest:
    """A smoothed rate with room for `burst` calls at once, one limiter per client, user, address, …"""

    __pydantic_config__ = EDGE

    rate: str
    """Calls per second (`5ps`: one every 200 ms) or per minute (`12pm`)."""
    burst: int = 1
    """Calls that may come at once."""
    per: Per = "client"
    """What is counted on its own: each client (all people of a browser app share one), each user (the verified
    subject; a client where there is no person), each API key, each address, the route as a whole, or each value of a
    request header or of a claim, which `identifier` names."""
    identifier: str = ""
    """The header or the claim of `per: header` and `per: claim`. Requests without it share one limiter."""
    weight: int = 1
    """How many spacings a call occupies."""
    weight_header: str = ""
    """A request header with the weight of a call, 1 up to `heaviest`; without it `weight` counts. Anything else in it
    is a malformed request."""
    heaviest: int = 100
    """The largest weight that `weight_header` may say; so many light calls may come at once."""
    preset: Preset = "none"
    """`apigee-runtime`: a tenth of the rate may come at once, whatever `burst` says."""
    effect: Effect = "enforce"
    """`shadow` counts and records what it would refuse, and refuses nothing."""

    @property
    def told(self) -> str:
        """For people: `5 a second per client`."""
        rate = Rate.parse(self.rate)
        return f"{self.rate if rate is None else rate.told} per {self.per}"

    @property
    def room(self) -> int:
        """Calls of the usual weight that may come at once."""
        rate = Rate.parse(self.rate)
        if self.preset == "apigee-runtime" and rate is not None:
            return max(1, rate.count // 10)
        return self.burst


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket that behaves as a `SpikeArrest`: whole milliseconds, never finer than 50 of them."""

    size: int
    fill: int
    every: timedelta


def bucket_of(arrest: SpikeArrest) -> Bucket:
    """The bucket for an arrest whose rate is known to parse.

    Up to 20 calls a second one token drips at the spacing; above, several drip together, because a bucket
    cannot be filled more often than every 50 ms. Fractions of a millisecond round against the caller.
    A call of weight w passes when the bucket holds w tokens: with `burst - 1 + w` of them that is exactly when
    one call of weight 1 would pass, and afterwards w spacings are taken.
    """
    rate = Rate.parse(arrest.rate)
    if rate is None:
        raise ValueError("the rate does not parse")
    fill = max(1, math.ceil(rate.per_second * _SHORTEST_FILL_MS / 1000))
    milliseconds = math.ceil(round(fill * 1000 / rate.per_second, 6))
    heaviest = arrest.heaviest if arrest.weight_header else 1
    return Bucket(
        size=max(arrest.room - 1 + arrest.weight, fill, heaviest),
        fill=fill,
        every=timedelta(milliseconds=max(milliseconds, _SHORTEST_FILL_MS)),
    )


def wait_of(arrest: SpikeArrest) -> int:
    """Whole seconds after which a refused call of the usual weight passes, if nobody calls in between."""
    bucket = bucket_of(arrest)
    # A refusal is certain to end once a bucket, empty at worst, holds the weight of a call.
    drips = math.ceil(arrest.weight / bucket.fill)
    return max(1, math.ceil(drips * bucket.every.total_seconds()))
