"""The place where the canary sings: a host of its own, whose only route the gateway answers itself.

It asks for a token for an audience that is no API's, so that a token of the canary opens nothing else, and what opens
here is an empty answer. The name is one that no DNS can have (RFC 6761 section 6.4).
"""

from __future__ import annotations

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy import direct, replies
from kronborg.gateway.envoy.filters import access, body, jwt
from kronborg.gateway.model import Path, Route, Snapshot
from kronborg.gateway.revocation_model import CANARY

HOST = "canary.kronborg.invalid"
PATH = "/"
ROUTE = Route("kronborg-canary", Path("exact", PATH), "", audience=CANARY)


def virtual_host(snapshot: Snapshot) -> JsonObject:
    """204 for a token of the canary that is not revoked; nothing else."""
    configs: dict[str, JsonValue] = {
        jwt.NAME: jwt.route_config(ROUTE, snapshot),
        access.NAME: access.route_config(ROUTE, snapshot),
        body.NAME: direct.OFF,
    }
    entry: JsonObject = {
        "name": ROUTE.name,
        "match": {"path": PATH},
        "metadata": {"filter_metadata": {replies.METADATA: replies.hints(ROUTE, None)}},
        "direct_response": {"status": 204},
        "typed_per_filter_config": configs,
    }
    return {"name": "canary", "domains": [HOST], "routes": [entry, direct.answer({"prefix": "/"}, 404)]}
