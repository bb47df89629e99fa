"""The answers the gateway gives itself: RFC 9457 problems with RFC 6750 challenges, and no word on why.

A mapper is picked by what stopped the request (Envoy's `response.code_details`) or by the status. The first
that fits wins; the last resort still says nothing but the status.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import cast

from kronborg.core.jose import ALGORITHMS
from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.bot_rules import PREFIX as BOT_RULE
from kronborg.gateway.envoy.filters import spike_arrest
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.envoy.target import BOUNDED
from kronborg.gateway.model import METHODS, Route
from kronborg.gateway.reasons import DETAILS, REASONS, STATUSES

REALM = "kronborg"
"""The protection space named in every challenge (RFC 9110 section 11.5)."""

METADATA = "kronborg"
"""The namespace of what a route tells the challenges."""

INVALID_TOKEN = "invalid_token"  # noqa: S105
MISSING_ROLE = "missing_role"
MISSING_CLAIM = "missing_claim"
POLICY_DENIED = "policy_denied"
ADDRESS_REFUSED = "address_refused"
MISDIRECTED = "misdirected"
MISSING_SCOPE = "missing_scope"
TWO_CREDENTIALS = "two_credentials"
"""Names of refusing policies; Envoy repeats them in `response.code_details`, where mappers find them."""

_DETAILS = {
    400: "The request is malformed.",
    401: "A valid access token is required.",
    402: "What was paid for is used up.",
    403: "The access token does not allow this.",
    404: "There is nothing here.",
    405: "The method is not allowed here.",
    408: "The request took too long to arrive.",
    413: "The request body is too large.",
    421: "This host is not served here.",
    426: "Another protocol version is required.",
    429: "Too many requests; try again later.",
    431: "The request headers are too large.",
    500: "The request could not be served.",
    502: "The service gave no valid answer.",
    503: "The service is not available right now; try again later.",
    504: "The service did not answer in time.",
}
_TYPES = {
    429: "https://iana.org/assignments/http-problem-types#quota-exceeded",
    503: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
}
_AS_IT_IS: JsonObject = {"inline_string": "%LOCAL_REPLY_BODY%"}
_DPOP_ALGS = " ".join(ALGORITHMS)
_HINTS = f"xds.route_metadata.filter_metadata['{METADATA}']"
# Where a route asks more of some methods, the scopes of all stand there by method.
_BY_METHOD = f"'scopes' in {_HINTS} && request.method in {_HINTS}['scopes']"
_SCOPE = f"%CEL({_BY_METHOD} ? {_HINTS}['scopes'][request.method] : {_HINTS}['scope'])%"
_TITLES = {413: "Content Too Large"}
# Only a route that bounds its calls has a cluster of such a name.
_BOUNDED = f"response.code_details.contains('{{overflow}}') && xds.cluster_name.startsWith('{BOUNDED}')"


def reply_config() -> JsonObject:
    """The `local_reply_config` of the listener."""
    # RFC 6750 section 3.1: a request without any token gets a challenge without an error code.
    silent = _challenge("scope", "resource_metadata")
    broken = _challenge("scope", "resource_metadata", error="invalid_token")
    short = _challenge("scope", "resource_metadata", error="insufficient_scope")
    # Another scope would not help who lacks the role.
    unfit = _challenge("resource_metadata", error="insufficient_scope")
    mappers = [
        # The scripts of `inspect` write the whole problem, and at most leave the challenge to the route.
        _as_written("whole", None),
        _as_written("challenge", broken),
        _mapper(_stated(TWO_CREDENTIALS), 400, TWO_CREDENTIALS, None),
        _mapper(_because("jwt_authn_access_denied{Jwt_is_missing}"), 401, "missing_token", silent),
        _mapper(_because("jwt_authn_access_denied"), 401, INVALID_TOKEN, broken),
        _mapper(_because(f"[{INVALID_TOKEN}]"), 401, INVALID_TOKEN, broken),
        _mapper(_because(f"[{MISSING_SCOPE}]"), 403, MISSING_SCOPE, short),
        _mapper(_because(f"[{MISSING_ROLE}]"), 403, MISSING_ROLE, unfit),
        _mapper(_because(f"[{MISSING_CLAIM}]"), 403, MISSING_CLAIM, unfit),
        _mapper(_because(f"[{POLICY_DENIED}]"), 403, POLICY_DENIED, unfit),
        _mapper(_because(f"[{ADDRESS_REFUSED}]"), 403, ADDRESS_REFUSED, None),
        _mapper(_because(f"[{MISDIRECTED}]"), 421, MISDIRECTED, None),
        _mapper(_because(f"[{BOT_RULE}"), 403, "bot_rule", None),
        _mapper(_because("rbac_access_denied"), 403, "not_permitted", None),
        _violated(_status(spike_arrest.SECOND_STATUS), spike_arrest.SECOND),
        _violated(_because("local_rate_limited"), spike_arrest.AFTER),
        _mapper(_cel(_BOUNDED), 503, "concurrency", None),
        *_native(),
        _mapper(_status(401), 401, STATUSES[401], broken),
        *(
            _mapper(_status(status), status, STATUSES.get(status, "other"), None)
            for status in _DETAILS
            if status != 401
        ),
        {"filter": _status(200), "body_format_override": {"text_format_source": _AS_IT_IS}},
    ]
    return {
        "mappers": mappers,
        "body_format": _body("%RESPONSE_CODE%", "Refused", "The request could not be served.", "other"),
    }


def hints(route: Route, pointer: str | None, *, bound: bool = False) -> JsonObject:
    """What the challenges of a protected route add, told by the route that refused, ready to be appended.

    RFC 6750 section 3: the scope that would do. RFC 9728 section 5.1: where to learn which server issues tokens.
    """
    by_method = _scopes_by_method(route)
    return {
        "scope": _scope(route.scopes),
        **({"scopes": by_method} if by_method else {}),
        "resource_metadata": f', resource_metadata="{pointer}"' if pointer else "",
        # RFC 9449 section 7.1: a second challenge, where tokens bound to a key are asked for.
        "dpop": f', DPoP algs="{_DPOP_ALGS}"' if bound else "",
    }


def _scopes_by_method(route: Route) -> JsonObject:
    """What methods need that need more than all do."""
    asked: dict[str, set[str]] = {}
    for rule in route.rules:
        if rule.scopes:
            for method in rule.covered or METHODS:
                asked.setdefault(method, set(route.scopes)).update(rule.scopes)
    return {method: _scope(scopes) for method, scopes in sorted(asked.items())}


def _scope(scopes: Iterable[str]) -> str:
    listed = " ".join(sorted(scopes))
    return f', scope="{listed}"' if listed else ""


def next_nonce() -> JsonObject:
    """The header with the nonce for the next proof (RFC 9449 section 8.2), where `inspect` was given one."""
    value = "%DYNAMIC_METADATA(kronborg.binding:nonce)%"
    return {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD", "header": {"key": "dpop-nonce", "value": value}}


def dpop_challenge() -> str:
    """What a caller with a DPoP proof is told (RFC 9449 section 7.1); the error is still to be filled in."""
    return f'DPoP realm="{REALM}", error="@ERROR@", algs="{_DPOP_ALGS}"'


def problem(status: int, *, reason: str, detail: str | None = None) -> JsonObject:
    """The body of a refusal that a script writes itself; the request id is still to be added."""
    return {
        "type": _TYPES.get(status, "about:blank"),
        "title": _title(status),
        "status": status,
        "detail": detail or _DETAILS[status],
        "reason": reason,
    }


def _as_written(answer: str, challenge: str | None) -> JsonObject:
    """Answers whose body a script wrote, as it says in the metadata of the request."""
    mapper: dict[str, JsonValue] = {
        "filter": _stated(answer, "answer"),
        "body_format_override": {"content_type": "application/problem+json", "text_format_source": _AS_IT_IS},
    }
    if challenge is not None:
        mapper["headers_to_add"] = [_header("www-authenticate", challenge)]
    return mapper


def _stated(value: str, key: str = "reason") -> JsonObject:
    """What a script says in the metadata of the request."""
    matcher: JsonObject = {"filter": METADATA, "path": [{"key": key}], "value": {"string_match": {"exact": value}}}
    return {"metadata_filter": {"matcher": matcher, "match_if_key_not_found": False}}


def _challenge(*hinted: str, error: str | None = None) -> str:
    said = "" if error is None else f', error="{error}"'
    told = "".join(_SCOPE if hint == "scope" else f"%METADATA(ROUTE:{METADATA}:{hint})%" for hint in (*hinted, "dpop"))
    return f'Bearer realm="{REALM}"{said}{told}'


def _native() -> list[JsonObject]:
    """What the proxy decides itself where the status alone would give the wrong reason."""
    known = [(mark, REASONS[name]) for mark, name in DETAILS if REASONS[name].status in _DETAILS]
    return [
        _mapper(_because(mark), reason.status, reason.name, None)
        for mark, reason in known
        if reason.status in (400, 431, 502, 503)
    ]


def _violated(condition: JsonObject, policy: str) -> JsonObject:
    """A refusal by one of the rates, with its name (draft-ietf-httpapi-ratelimit-headers-10 section 6.1)."""
    mapper = _mapper(condition, 429, policy, None)
    body = _body("429", _title(429), _DETAILS[429], policy, _TYPES[429])
    problem: JsonValue = {**cast("JsonObject", body["json_format"]), "violated-policies": [policy]}
    return {**mapper, "body_format_override": {**body, "json_format": problem}}


def _mapper(condition: JsonObject, status: int, reason: str, challenge: str | None) -> JsonObject:
    mapper: dict[str, JsonObject | int | list[JsonObject]] = {
        "filter": condition,
        "status_code": status,
        "body_format_override": _body(str(status), _title(status), _DETAILS[status], reason, _TYPES.get(status)),
    }
    if challenge is not None:
        mapper["headers_to_add"] = [_header("www-authenticate", challenge)]
    elif status == 503:
        mapper["headers_to_add"] = [_header("retry-after", "1")]
    return mapper


def _header(key: str, value: str) -> JsonObject:
    return {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD", "header": {"key": key, "value": value}}


def _title(status: int) -> str:
    return _TITLES.get(status) or HTTPStatus(status).phrase


def _body(status: str, title: str, detail: str, reason: str, kind: str | None = None) -> JsonObject:
    return {
        "content_type": "application/problem+json",
        "json_format": {
            "type": kind or "about:blank",
            "title": title,
            "status": int(status) if status.isdigit() else status,
            "detail": detail,
            "reason": reason,
            "request_id": "%REQ(X-REQUEST-ID)%",
        },
    }


def _because(details: str) -> JsonObject:
    """Answers whose code details contain `details`."""
    return _cel(_contains(details))


def _contains(details: str) -> str:
    return f"response.code_details.contains('{details}')"


def _cel(expression: str) -> JsonObject:
    return {
        "extension_filter": {
            "name": "details",
            "typed_config": typed(
                "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                expression=expression,
            ),
        }
    }


def _status(status: int) -> JsonObject:
    return {
        "status_code_filter": {
            "comparison": {"op": "EQ", "value": {"default_value": status, "runtime_key": f"reply.{status}"}}
        }
    }
