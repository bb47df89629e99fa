"""Spike arrest by Envoy's local rate limit: one bucket per client, user, address or route.

There are two instances. Per address and per route runs before any token is looked at; per client and per user
runs after, for who they are must be verified first. Both are off unless a route turns one on.
"""

from __future__ import annotations

import math

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.filters import jwt
from kronborg.gateway.envoy.resource import always, seconds, typed
from kronborg.gateway.limits_model import SpikeArrest, bucket_of
from kronborg.gateway.model import Limits, Route

BEFORE = "spike_arrest_before"
AFTER = "spike_arrest"
_TYPE = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
# The subject of a token without a person is its client (RFC 9068 section 2.2), so `user` has a value on each.
_HEADERS = {"client": jwt.CLIENT, "user": jwt.SUBJECT}


def listener_filter(name: str) -> JsonObject:
    """Off unless a route turns it on."""
    return {"name": name, "disabled": True, "typed_config": typed(_TYPE, stat_prefix=name)}


def name_for(arrest: SpikeArrest) -> str:
    """Which of the two instances enforces `arrest`."""
    return AFTER if arrest.per in _HEADERS else BEFORE


def route_config(route: Route, limits: Limits) -> JsonObject | None:
    """The route's bucket or buckets; None without a spike arrest."""
    arrest = route.spike_arrest
    if arrest is None:
        return None
    bucket = bucket_of(arrest)
    tokens: JsonObject = {
        "max_tokens": bucket.size,
        "tokens_per_fill": bucket.fill,
        "fill_interval": seconds(bucket.every),
    }
    wait = str(max(1, math.ceil(bucket.every.total_seconds())))
    shared: dict[str, JsonObject | str | list[JsonObject]] = {
        "stat_prefix": name_for(arrest),
        "token_bucket": tokens,
        "filter_enabled": always(),
        "filter_enforced": always(),
        "response_headers_to_add": [
            {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD", "header": {"key": "retry-after", "value": wait}}
        ],
    }
    if arrest.per == "route":
        return typed(_TYPE, **shared)
    return typed(
        _TYPE,
        **shared,
        # A key without a value is a wildcard: each value gets a bucket, the least recently used one goes.
        descriptors=[{"entries": [{"key": arrest.per}], "token_bucket": tokens}],
        rate_limits=[{"actions": [_identifier(arrest)]}],
        always_consume_default_token_bucket=False,
        max_dynamic_descriptors=limits.limiters,
    )


def _identifier(arrest: SpikeArrest) -> JsonObject:
    if arrest.per in _HEADERS:
        return {"request_headers": {"header_name": _HEADERS[arrest.per], "descriptor_key": arrest.per}}
    return {"masked_remote_address": {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}}
