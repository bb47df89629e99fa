"""Rules against scanners and odd clients as conditions of Envoy's own: no process is asked, nothing runs per request
but comparisons. The name of the rule that refused stands in `response.code_details`.
"""

from __future__ import annotations

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.bot_rules import PREFIX, KnownRule, declared, rules_for
from kronborg.gateway.content_model import Bots
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Path, Route, Snapshot

NAME = "bots"
SHADOW = "bots_"
"""What Envoy's counters of rules that only report begin with."""
_TYPE = "envoy.extensions.filters.http.rbac.v3."


def listener_filter(snapshot: Snapshot) -> dict[str, JsonObject]:
    """With what the gateway asks of every request; left out where nothing is asked anywhere."""
    if snapshot.bots is None and all(route.bots is None for route in snapshot.routes):
        return {}
    return {NAME: {"name": NAME, "typed_config": typed(_TYPE + "RBAC", **_rules(snapshot.bots, ()))}}


def route_config(route: Route, snapshot: Snapshot) -> JsonObject | None:
    """What this route asks; None where it is what every request is asked."""
    bots = route.bots or snapshot.bots
    if bots is None:
        return None
    paths = paths_of(route.path)
    if route.bots is None and rules_for(bots, paths) == rules_for(bots):
        return None
    return typed(_TYPE + "RBACPerRoute", rbac=_rules(bots, paths))


def paths_of(path: Path) -> tuple[str, ...]:
    """Texts that stand for what a route declares."""
    return declared(path.literal, path.pattern, path.value)


def _rules(bots: Bots | None, paths: tuple[str, ...]) -> dict[str, JsonValue]:
    if bots is None or bots.mode == "off":
        return {}
    policies: dict[str, JsonValue] = {
        PREFIX + rule.id: {"permissions": [{"any": True}], "principals": [_condition(rule)]}
        for rule in rules_for(bots, paths)
    }
    rules: JsonObject = {"action": "DENY", "policies": policies}
    if bots.mode == "report":
        return {"shadow_rules": rules, "shadow_rules_stat_prefix": SHADOW}
    return {"rules": rules}


def _condition(rule: KnownRule) -> JsonObject:
    ids: list[JsonObject] = []
    if rule.path:
        ids.append({"url_path": {"path": _regex(rule.path)}})
    if rule.agent:
        ids.append({"header": {"name": "user-agent", "string_match": _regex(rule.agent)}})
    if rule.present:
        value: JsonObject = {"string_match": _regex(rule.value)} if rule.value else {"present_match": True}
        ids.append({"header": {"name": rule.present, **value}})
    if rule.absent:
        ids.append({"not_id": {"header": {"name": rule.absent, "present_match": True}}})
    if rule.methods:
        method = {"safe_regex": {"regex": "|".join(rule.methods)}}
        ids.append({"header": {"name": ":method", "string_match": method}})
    return ids[0] if len(ids) == 1 else {"and_ids": {"ids": [*ids]}}


def _regex(text: str) -> JsonObject:
    return {"safe_regex": {"regex": f"(?is){text}"}}
