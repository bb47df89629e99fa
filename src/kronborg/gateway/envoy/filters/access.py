"""Who may pass a route: the token's type, every scope, one of the roles. Closed by default.

The filter refuses when a named policy matches; the name tells the answer which challenge to send. In the
listener it has no policy that allows anything, so a route that says nothing is closed.
"""

from __future__ import annotations

import base64
import re

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy.filters import jwt
from kronborg.gateway.envoy.replies import INVALID_TOKEN, MISSING_ROLE, MISSING_SCOPE
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Route

NAME = "access"
_TYPE = "envoy.extensions.filters.http.rbac.v3."
_SEGMENT = "[A-Za-z0-9_-]+"
_WORD_BITS = 6
_TYPE_MEMBER = b'"typ":"at+jwt"'


def listener_filter() -> JsonObject:
    """Refuses everything that no route opened."""
    return {"name": NAME, "typed_config": typed(_TYPE + "RBAC", rules={"action": "ALLOW", "policies": {}})}


def route_config(route: Route) -> JsonObject:
    """The refusals of a protected route. Envoy tries them by name: an unfit token comes before a missing right."""
    refusals: dict[str, JsonValue] = {
        INVALID_TOKEN: _unless(
            # Exactly one credential, of the type at+jwt (RFC 9068 section 4, RFC 8725 section 3.11).
            _header("authorization", {"safe_regex": {"regex": bearer_at_jwt()}}),
            # An ID token names no client_id; an access token always does (RFC 9068 section 2.2).
            {"header": {"name": jwt.CLIENT, "present_match": True}},
        )
    }
    if route.scopes:
        refusals[MISSING_SCOPE] = _unless(
            *(_header(jwt.SCOPE, {"safe_regex": {"regex": _among(scope)}}) for scope in sorted(route.scopes))
        )
    if route.roles:
        refusals[MISSING_ROLE] = _unless({"or_ids": {"ids": [_role(role) for role in sorted(route.roles)]}})
    return typed(_TYPE + "RBACPerRoute", rbac={"rules": {"action": "DENY", "policies": refusals}})


def bearer_at_jwt() -> str:
    """A regular expression for one bearer credential that is a JWT with `"typ":"at+jwt"` in its header.

    Envoy does not look at `typ`. The signed header is base64url, in which the member can stand at three
    alignments; each gives one fixed run of characters. Only the issuer writes signed headers, so the run
    cannot be planted; a header written with other spacing is refused, not let through.
    """
    runs = "|".join(_run(shift) for shift in range(3))
    return rf"[Bb]earer [A-Za-z0-9_-]*(?:{runs})[A-Za-z0-9_-]*\.{_SEGMENT}\.{_SEGMENT}"


def _run(shift: int) -> str:
    """The base64url characters that depend on nothing but the member, when it starts at `shift` mod 3."""
    encoded = base64.urlsafe_b64encode(b"\0" * shift + _TYPE_MEMBER).decode().rstrip("=")
    start = -(-shift * 8 // _WORD_BITS)
    end = (shift + len(_TYPE_MEMBER)) * 8 // _WORD_BITS
    return encoded[start:end]


def _among(scope: str) -> str:
    return rf"(?:.* )?{re.escape(scope)}(?: .*)?"


def _header(name: str, match: JsonObject) -> JsonObject:
    return {"header": {"name": name, "string_match": match}}


def _role(role: str) -> JsonObject:
    return {
        "sourced_metadata": {
            "metadata_matcher": {
                "filter": jwt.METADATA,
                "path": [{"key": jwt.PAYLOAD}, {"key": "roles"}],
                "value": {"list_match": {"one_of": {"string_match": {"exact": role}}}},
            },
            "metadata_source": "DYNAMIC",
        }
    }


def _unless(*conditions: JsonObject) -> JsonObject:
    """A policy that matches, and so refuses, unless every condition holds."""
    return {
        "permissions": [{"any": True}],
        "principals": [{"not_id": {"and_ids": {"ids": list(conditions)}}}],
    }
