"""The nouns of revocation at the gateway: what happens when there is no news of it, and how it is measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from kronborg.core.durations import Span
from kronborg.gateway.edge_model import EDGE

WhenStale = Literal["pass", "refuse"]
"""`pass`: tokens are judged by the last news. `refuse`: no token passes before there is news again."""


CANARY = "urn:kronborg:canary"
"""The audience of the canary's tokens (`gateway/canary.py`); no API may be called that."""


@dataclass(frozen=True, slots=True)
class RevocationPolicy:
    """What a gateway does about revoked tokens when it has had no news of them for a while."""

    __pydantic_config__ = EDGE

    stale_after: Span = timedelta(seconds=30)
    """How old the news may be before it counts as stale."""
    when_stale: WhenStale = "pass"
    """Whether tokens pass on stale news (`pass`), judged by the last there was, or none does (`refuse`). A route may
    be stricter or milder. Without any news since the gateway was made, no token passes in either case."""
    canary_every: Span = timedelta(seconds=30)
    """How often a token of no use is issued, revoked, and tried until it is refused; 0s for never."""


DEFAULT_POLICY = RevocationPolicy()
