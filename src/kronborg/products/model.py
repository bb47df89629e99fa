"""The nouns of what is sold: products of routes, plans with limits and prices, subscriptions and entitlements."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from kronborg.limits.model import Quota
from kronborg.limits.spike_model import SpikeArrest
from kronborg.products.price_model import EDGE, RatePlan

Visibility = Literal["public", "private", "internal"]
Approval = Literal["auto", "manual"]
State = Literal["pending", "scheduled", "active", "suspended", "rejected", "ended"]
"""`pending` waits for an operator, `scheduled` for the day it begins."""
Standing = Literal["good", "exhausted", "overdue"]

PRODUCTION = "production"
MOST_PRODUCTS = 1000
MOST_PLANS = 20
MOST_OPERATIONS = 500


@dataclass(frozen=True, slots=True)
class Operation:
    """What a product lets apps do: the calls of a route."""

    __pydantic_config__ = EDGE

    route: str
    """The name of a protected route."""
    methods: tuple[str, ...] = ()
    """Only these methods of the route; empty means all it has."""
    environment: str = PRODUCTION
    """Where it works: subscriptions are made for one environment of a product, such as `sandbox`."""
    weight: int = 1
    """How many calls a call counts as, in quotas of the plan and on the bill. 0 costs nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a subscription allows and costs. Limits count for each subscription on its own."""

    __pydantic_config__ = EDGE

    title: str = ""
    description: str = ""
    """Shown beside the price; Markdown."""
    spike_arrest: SpikeArrest | None = None
    """How fast; who is counted is the subscription, whatever `per` says."""
    quotas: tuple[Quota, ...] = ()
    """How much; who is counted is the subscription, whatever `per` says. Names are the plan's own."""
    price: RatePlan = field(default_factory=RatePlan)
    approval: Approval | None = None
    """Other than the product's own."""
    offered: bool = True
    """Whether it can be chosen; who has it keeps it."""


@dataclass(frozen=True, slots=True)
class Product:
    """Routes that are sold together. `name` is its key; plans are named by theirs."""

    name: str
    title: str = ""
    summary: str = ""
    """One sentence for the catalogue."""
    description: str = ""
    """Markdown."""
    operations: tuple[Operation, ...] = ()
    scopes: tuple[str, ...] = ()
    """What an app that subscribes may ask tokens for."""
    visibility: Visibility = "public"
    """`public`: everybody finds it. `private`: who is signed in. `internal`: only people of `groups`."""
    groups: tuple[str, ...] = ()
    approval: Approval = "auto"
    plans: tuple[tuple[str, Plan], ...] = ()
    documents: tuple[str, ...] = ()
    """Services whose OpenAPI documents are its reference."""
    deprecated: str = ""
    """Since when it is deprecated (`2026-12-01`); apps that call are told so (RFC 9745)."""
    sunset: str = ""
    """When it ends (RFC 8594)."""

    def plan(self, name: str) -> Plan | None:
        """The plan of that name, as it is sold now."""
        return next((plan for key, plan in self.plans if key == name), None)

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments of its operations, by name."""
        return tuple(sorted({one.environment for one in self.operations}))


@dataclass(frozen=True, slots=True)
class PlanKey:
    """One version of a plan. Versions are never changed: who bought one keeps it (grandfathering)."""

    product: str
    plan: str
    version: int

    def __str__(self) -> str:
        return f"{self.product}/{self.plan}@{self.version}"


@dataclass(frozen=True, slots=True)
class Subscription:
    """An app's right to use a product under one version of a plan, from `starts_at` up to, not including, `ends_at`.

    A change of plan ends one and begins another: usage belongs to the one it was made under. `follows` is the one
    before. Only what is `active` and not over lets calls through; `standing` is what money says of it.
    """

    id: str
    client_id: str
    team_id: str | None
    key: PlanKey
    environment: str
    state: State
    created_at: datetime
    created_by: str
    updated_at: datetime
    standing: Standing = "good"
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    follows: str | None = None
    reason: str = ""
    """What the operator said when refusing or suspending."""

    def entitles(self, now: datetime) -> bool:
        """Whether calls pass, money aside."""
        return self.state == "active" and (self.ends_at is None or now < self.ends_at)


@dataclass(frozen=True, slots=True)
class Entitlement:
    """One entry of the feed that gateways follow: what counts for a client, product and environment from now on.

    `subscription` empty: nothing any more. Numbers are without gaps.
    """

    seq: int
    client_id: str
    product: str
    environment: str
    subscription: str
    key: str
    standing: Standing
    at: datetime
