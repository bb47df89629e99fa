"""Where requests may come from: before anything else is looked at, and only ever a reason to refuse."""

from __future__ import annotations

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.access_model import Addresses, networks_of
from kronborg.gateway.envoy.replies import ADDRESS_REFUSED
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Route, Snapshot

NAME = "addresses"
RBAC = "envoy.extensions.filters.http.rbac.v3.RBAC"


def listener_filter(snapshot: Snapshot) -> dict[str, JsonObject]:
    """With what is asked of every request; left out where nothing is asked anywhere."""
    if not snapshot.has_addresses:
        return {}
    return {NAME: {"name": NAME, "typed_config": typed(RBAC, **rules(snapshot.addresses))}}


def route_config(route: Route, snapshot: Snapshot) -> JsonObject:
    """What is asked of every request, and what this route asks besides: both must hold."""
    return typed(RBAC + "PerRoute", rbac=rules(snapshot.addresses, route.addresses))


def rules(*asked: Addresses | None) -> dict[str, JsonValue]:
    """What refuses whoever one of these does not let in."""
    refused: list[JsonObject] = []
    for one in asked:
        if one is not None and one.allow:
            refused.append({"not_id": _among(one.allow)})
        if one is not None and one.deny:
            refused.append(_among(one.deny))
    policy: JsonObject = {"permissions": [{"any": True}], "principals": refused}
    return {"rules": {"action": "DENY", "policies": {ADDRESS_REFUSED: policy} if refused else {}}}


def _among(texts: tuple[str, ...]) -> JsonObject:
    ranges: list[JsonObject] = [
        {"remote_ip": {"address_prefix": str(network.network_address), "prefix_len": network.prefixlen}}
        for network in networks_of(texts)
    ]
    return {"or_ids": {"ids": ranges}}
