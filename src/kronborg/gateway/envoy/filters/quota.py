"""What a route tells the quota part of `inspect`: names, counts, who is counted, and how much a call weighs."""

from __future__ import annotations

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy import limit_headers
from kronborg.gateway.model import Route, Snapshot
from kronborg.limits.model import Quota


def settings_of(route: Route, snapshot: Snapshot) -> dict[str, JsonValue]:
    """The members of the route's settings; none without quotas."""
    if not route.quotas:
        return {}
    settings: dict[str, JsonValue] = {"quotas": [_told(quota) for quota in route.quotas]}
    policies = limit_headers.policies_of(route)
    if policies:
        settings["policies"] = policies
    if snapshot.limits.legacy_headers:
        settings["legacy_limits"] = True
    return settings


def _told(quota: Quota) -> JsonObject:
    told: dict[str, JsonValue] = {
        "name": quota.name,
        "count": quota.count,
        "per": quota.per,
        "weight": quota.weight,
        "answer": quota.answer,
    }
    if quota.identifier:
        told["identifier"] = quota.identifier
    if quota.weight_header:
        told["weight_header"] = quota.weight_header
        told["heaviest"] = quota.heaviest
    if quota.mode == "leased":
        told["leased"] = True
    if quota.window == "rolling":
        told["rolling"] = True
    if quota.effect == "shadow":
        told["shadow"] = True
    return told
