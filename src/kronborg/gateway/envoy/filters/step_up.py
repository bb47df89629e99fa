"""What a route tells the `step_up` part of `inspect`: how a person must have signed in, and the challenge otherwise."""

from __future__ import annotations

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.access_model import AccessRule
from kronborg.gateway.envoy import replies
from kronborg.gateway.model import Route


def settings(route: Route, pointer: str | None) -> list[JsonObject]:
    """One member for each rule that asks for it, the route's own first; `pointer` is where its API is described."""
    asked = (AccessRule(step_up=route.step_up), *route.rules)
    return [_asked(rule, pointer) for rule in asked if rule.step_up is not None]


def _asked(rule: AccessRule, pointer: str | None) -> JsonObject:
    wanted = rule.step_up
    told: dict[str, JsonValue] = {}
    # RFC 9470 section 3.
    challenge = f'Bearer realm="{replies.REALM}", error="insufficient_user_authentication"'
    challenge += ', error_description="A fresher or stronger sign-in is required"'
    if wanted is not None and wanted.acr:
        told["acr"] = list(wanted.acr)
        challenge += f', acr_values="{" ".join(wanted.acr)}"'
    if wanted is not None and wanted.max_age is not None:
        seconds = int(wanted.max_age.total_seconds())
        told["max_age"] = seconds
        challenge += f', max_age="{seconds}"'
    if pointer:
        # RFC 9728 section 5.1.
        challenge += f', resource_metadata="{pointer}"'
    if rule.methods:
        told["methods"] = list(rule.covered)
    return {**told, "challenge": challenge}
