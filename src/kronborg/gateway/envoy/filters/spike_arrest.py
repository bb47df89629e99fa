"""Spike arrest by Envoy's local rate limit: one bucket per client, user, key, address, route, header or claim.

There are three instances, for one instance takes from all of its buckets even when one of them refuses. Per address
runs before any token is looked at; the others run after, for who they count must be verified first, and so that a
flood without tokens empties nobody's bucket. `rate_limit` is a second limit of a route, asked last: what the first
refuses takes nothing from it. All are off unless a route turns one on.
"""

from __future__ import annotations

from collections.abc import Iterator

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy import limit_headers
from kronborg.gateway.envoy.filters import jwt
from kronborg.gateway.envoy.resource import always, seconds, typed
from kronborg.gateway.limits_model import SpikeArrest, bucket_of
from kronborg.gateway.model import Limits, Route

BEFORE = "spike_arrest_before"
AFTER = "spike_arrest"
SECOND = "rate_limit"
SECOND_STATUS = 510
"""The proxy cannot tell its instances apart by anything else when they refuse; the answer that goes out is a 429."""
SHADOW = "x-kronborg-shadow"
"""A request header that a limit in shadow mode writes where it would have refused; access records carry it."""

_TYPE = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
# The subject of a token without a person is its client (RFC 9068 section 2.2), so `user` has a value on each.
_HEADERS = {"client": jwt.CLIENT, "user": jwt.SUBJECT, "key": "x-kronborg-key"}
# A name is one principal's only together with who issued it; the header is there on tokens of other issuers.
_VERIFIED = ("client", "user", "claim")
# The action of addresses has a key of its own, and takes no other.
_ADDRESS = "masked_remote_address"


def listener_filter(name: str) -> JsonObject:
    """Off unless a route turns it on."""
    return {"name": name, "disabled": True, "typed_config": typed(_TYPE, stat_prefix=name)}


def name_for(arrest: SpikeArrest) -> str:
    """Which of the first two instances enforces the spike arrest of a route."""
    return BEFORE if arrest.per == "address" else AFTER


def route_configs(route: Route, limits: Limits) -> Iterator[tuple[str, JsonObject]]:
    """The filters that this route turns on, with the buckets of each."""
    if route.spike_arrest is not None:
        yield name_for(route.spike_arrest), _config(AFTER, route.spike_arrest, route, limits)
    if route.rate_limit is not None:
        yield SECOND, _config(SECOND, route.rate_limit, route, limits)


def weight_guards(route: Route) -> list[tuple[str, int, int]]:
    """Headers that say the weight of a call on this route, with the least and the largest they may say."""
    arrests = [one for one in (route.spike_arrest, route.rate_limit) if one and one.weight_header]
    guards = [(one.weight_header, 1, one.heaviest) for one in arrests]
    return guards + [(one.weight_header, 0, one.heaviest) for one in route.quotas if one.weight_header]


def _config(policy: str, arrest: SpikeArrest, route: Route, limits: Limits) -> JsonObject:
    bucket = bucket_of(arrest)
    tokens: JsonObject = {
        "max_tokens": bucket.size,
        "tokens_per_fill": bucket.fill,
        "fill_interval": seconds(bucket.every),
    }
    shared: dict[str, JsonValue] = {
        # What would be refused is counted under this name with `.http_local_rate_limit.rate_limited`.
        "stat_prefix": policy,
        "token_bucket": tokens,
        "filter_enabled": always(),
        "filter_enforced": always() if arrest.effect == "enforce" else {"default_value": {"numerator": 0}},
        "response_headers_to_add": limit_headers.refused(policy, arrest, route),
    }
    if policy == SECOND:
        shared["status"] = {"code": SECOND_STATUS}
    if arrest.effect == "shadow":
        shared["request_headers_to_add_when_not_enforced"] = [
            {"append_action": "APPEND_IF_EXISTS_OR_ADD", "header": {"key": SHADOW, "value": policy}}
        ]
    actions = [_identifier(arrest)]
    key = _ADDRESS if arrest.per == "address" else arrest.per
    descriptors: list[JsonValue] = [{"entries": [{"key": key}], "token_bucket": tokens}]
    if route.issuers and arrest.per in _VERIFIED:
        actions.append(
            {"request_headers": {"header_name": jwt.ISSUER, "descriptor_key": "iss", "skip_if_absent": True}}
        )
        descriptors.append({"entries": [{"key": arrest.per}, {"key": "iss"}], "token_bucket": tokens})
    rule: dict[str, JsonValue] = {"actions": list[JsonValue](actions)}
    if arrest.weight_header:
        # Without the header there would be no number, hence no bucket of the caller's own.
        name = f"request.headers['{arrest.weight_header}']"
        # The guard of the route asks each line for itself, so two numbers pass it; here they are one text with a comma.
        single = f"{name}.contains(',') ? '{arrest.heaviest}' : {name}"
        stated = f"'{arrest.weight_header}' in request.headers ? ({single}) : '{arrest.weight}'"
        rule["hits_addend"] = {"format": f"%CEL({stated})%"}
    elif arrest.weight != 1:
        rule["hits_addend"] = {"number": arrest.weight}
    if arrest.per == "route" and len(rule) == 1:
        return typed(_TYPE, **shared)
    return typed(
        _TYPE,
        **shared,
        # A key without a value is a wildcard: each value gets a bucket, the least recently used one goes.
        descriptors=descriptors,
        rate_limits=[rule],
        always_consume_default_token_bucket=False,
        max_dynamic_descriptors=limits.limiters,
    )


def _identifier(arrest: SpikeArrest) -> JsonObject:
    if arrest.per == "address":
        return {"masked_remote_address": {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}}
    if arrest.per == "route":
        return {"generic_key": {"descriptor_key": arrest.per, "descriptor_value": "all"}}
    if arrest.per == "claim":
        place: JsonObject = {"key": jwt.METADATA, "path": [{"key": jwt.PAYLOAD}, {"key": arrest.identifier}]}
        return {"metadata": {"descriptor_key": arrest.per, "metadata_key": place}}
    name = _HEADERS.get(arrest.per, arrest.identifier)
    return {"request_headers": {"header_name": name, "descriptor_key": arrest.per}}
