"""The nouns of simulation: a request, what it proves, what is known besides, and a decision with the trail to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from kronborg.core.json import JsonValue
from kronborg.gateway.access_model import Credential
from kronborg.gateway.reasons import Stage

Outcome = Literal["passed", "refused", "unreached", "unused"]
"""`unreached`: an earlier stage refused. `unused`: the route asks for nothing at this stage."""
Ending = Literal["service", "gateway", "refused"]
"""`service`: the service answers. `gateway`: the gateway answers for itself, as for health. `refused`: it says no."""

STAGES: tuple[Stage, ...] = (
    "connection",
    "routing",
    "address",
    "token",
    "access",
    "revocation",
    "binding",
    "step_up",
    "policy",
    "quota",
    "spike_arrest",
    "concurrency",
    "content",
    "service",
)
"""The stages that a trail shows, in the order of the filters."""

STAGE_NAMES: Mapping[str, str] = {
    "connection": "Host",
    "routing": "Route",
    "address": "Address",
    "token": "Token",
    "access": "Scopes and roles",
    "revocation": "Revocation",
    "binding": "Proof of possession",
    "step_up": "Step-up",
    "policy": "Policy",
    "quota": "Quota",
    "spike_arrest": "Spike arrest",
    "concurrency": "Concurrency",
    "content": "Content",
    "service": "Service",
}
"""What people call them."""


@dataclass(frozen=True, slots=True)
class Held:
    """A token whose signature is right: its type, and what it says; of an API key what it stands for. Its dates and all
    the rest are judged by `decide`. `scheme` is how it is shown; empty, the way that fits it."""

    claims: Mapping[str, JsonValue]
    typ: str | None = "at+jwt"
    credential: Credential = "token"
    scheme: Literal["", "bearer", "dpop"] = ""


@dataclass(frozen=True, slots=True)
class Unfit:
    """Something stands where a token should, and it is none of ours; `why` never repeats it."""

    why: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What no snapshot says: whether the token was revoked, which limits are used up, what the caller's proof is worth.

    `spent` names reasons of limits (`spike_arrest`, `quota`, ...). `proof` is None where there is none.
    """

    revoked: bool = False
    spent: frozenset[str] = frozenset()
    proof: bool | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it comes in: `path` with its query, as it was written; header names in lower case."""

    method: str
    host: str
    path: str
    token: Held | Unfit | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    address: str = "192.0.2.1"
    body: int = 0
    facts: Facts = Facts()


@dataclass(frozen=True, slots=True)
class Step:
    """One stage: what was asked there, and what the request had."""

    stage: Stage
    outcome: Outcome
    asked: str = ""
    found: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a request gets. `status` is 0 where the service decides it; `reason` is empty unless it is refused."""

    ending: Ending
    status: int
    reason: str
    route: str
    service: str
    trail: tuple[Step, ...]
    at: datetime

    @property
    def passes(self) -> bool:
        """Whether the service gets it."""
        return self.ending == "service"
