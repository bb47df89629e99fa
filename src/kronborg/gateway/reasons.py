"""Why the gateway says no: each refusal has a name, a stage on the way of a request, and a sentence for the operator.

The name goes into the access record and into the problem that the caller gets (`reason`); the sentence is for
whoever runs the gateway. Where the proxy decides natively, `reason_of` reads its `response.code_details`; where one
of our scripts or processes decides, it states the name itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from kronborg.gateway.bot_rules import KNOWN as BOT_RULES
from kronborg.gateway.bot_rules import PREFIX as BOT_RULE

Stage = Literal[
    "connection",
    "routing",
    "address",
    "bots",
    "token",
    "access",
    "revocation",
    "binding",
    "step_up",
    "policy",
    "spike_arrest",
    "quota",
    "concurrency",
    "content",
    "service",
]
"""The stages of a request in their order; a decision trail shows each as passed, refused, or never reached."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One way to be refused."""

    name: str
    stage: Stage
    status: int
    meaning: str


REASONS: dict[str, Reason] = {
    one.name: one
    for one in (
        Reason("missing_token", "token", 401, "The route needs a token and the request had none."),
        Reason("invalid_token", "token", 401, "The token is malformed, expired, not ours, or for another API."),
        Reason("address_refused", "address", 403, "The request came from an address that may not call."),
        Reason("two_credentials", "token", 400, "The request had a token and an API key; one of them is needed."),
        Reason("missing_claim", "access", 403, "The token lacks a claim, or its value, that the route asks for."),
        Reason("policy_denied", "policy", 403, "The Cedar policy of the route does not permit the request."),
        Reason("step_up_required", "step_up", 401, "The person must sign in again, or more strongly."),
        Reason("missing_scope", "access", 403, "The token lacks a scope that the route asks for."),
        Reason("missing_role", "access", 403, "The person has none of the roles that the route asks for."),
        Reason("revoked", "revocation", 401, "The token was revoked, or its session, grant, client, user or key."),
        Reason("revocation_unknown", "revocation", 503, "The gateway has no news of revocations, or too old ones."),
        Reason("inspection_failed", "revocation", 503, "The gateway failed to inspect the request, so it refused it."),
        Reason("not_bound", "binding", 401, "The route takes bound tokens only, and this one is bound to nothing."),
        Reason("proof_missing", "binding", 401, "The token is bound to a key and came without a proof of it."),
        Reason("proof_invalid", "binding", 401, "The proof is malformed, old, used before, or for something else."),
        Reason("proof_needs_nonce", "binding", 401, "The proof must carry the nonce of the answer."),
        Reason("wrong_certificate", "binding", 401, "The token is bound to another certificate than the caller's."),
        Reason("binding_unknown", "binding", 503, "Nobody could check the proof just now."),
        Reason("malformed_request", "connection", 400, "The request does not follow HTTP, so it was not read further."),
        Reason("headers_too_large", "connection", 431, "The headers of the request are too large or too many."),
        Reason(
            "too_slow", "connection", 408, "The request took too long to arrive, or nothing moved on it for too long."
        ),
        Reason("client_gone", "connection", 499, "The caller went away before the answer was whole."),
        Reason("unsupported_protocol", "connection", 426, "The version of HTTP or the upgrade is not served."),
        Reason("overloaded", "connection", 503, "The gateway is short of memory or connections and sheds load."),
        Reason("unknown_host", "routing", 421, "No route serves this host."),
        Reason("misdirected", "routing", 421, "TLS was begun for another host than the one asked for."),
        Reason("ambiguous_path", "routing", 400, "A service could read the path as another one than was decided on."),
        Reason("method_not_allowed", "routing", 405, "The path does not take this method."),
        Reason("no_route", "routing", 404, "No route fits host and path."),
        Reason("token_unknown", "token", 503, "A reference token could not be looked up just now."),
        Reason("not_permitted", "access", 403, "The route opens to nobody who asks like this."),
        Reason("body_too_large", "content", 413, "The body of the request is larger than the route takes."),
        Reason("target_too_long", "content", 414, "The path with its query is longer than the route takes."),
        Reason("too_many_parameters", "content", 414, "The query has more parameters than the route takes."),
        Reason("malformed_json", "content", 400, "The body says that it is JSON and is none."),
        Reason("duplicate_key", "content", 400, "An object in the body has a name twice, which readers differ on."),
        Reason("json_too_complex", "content", 400, "The JSON body is deeper, wider or longer than the route takes."),
        Reason("wrong_media_type", "content", 415, "The body is of a type, or packed in a way, that is not taken."),
        Reason("invalid_parameter", "content", 422, "A parameter is not as the service's document says."),
        Reason("invalid_body", "content", 422, "The body is not as the service's document says."),
        Reason("not_described", "content", 404, "The service's document knows no such path or method."),
        Reason("document_missing", "content", 503, "The route asks for a document that the service does not have."),
        Reason("guard_unavailable", "content", 503, "Nobody could look into the request just now."),
        Reason("bot_rule", "bots", 403, "A rule against bots fits the request: the details name it."),
        *(Reason(f"{BOT_RULE}{rule.id}", "bots", 403, rule.why) for rule in BOT_RULES),
        Reason("service_missing", "service", 503, "The route names a service that the gateway does not know."),
        Reason("service_unhealthy", "service", 503, "No replica of the service is fit to answer."),
        Reason("breaker_open", "service", 503, "The breaker of the service is open, and nothing answers in its place."),
        Reason("service_overflow", "service", 503, "Too many requests wait for the service already."),
        Reason("service_unreachable", "service", 503, "No connection to the service came about."),
        Reason("service_untrusted", "service", 503, "TLS with the service failed: one of the two was not believed."),
        Reason("service_reset", "service", 503, "The service broke off before its answer was whole."),
        Reason("service_invalid", "service", 502, "The service answered with something that is not HTTP."),
        Reason("service_timeout", "service", 504, "The service did not answer within the time of the route."),
        Reason("other", "service", 500, "The gateway refused for a reason that has no name yet: see the details."),
        Reason(
            "concurrency",
            "concurrency",
            503,
            "As many calls of the route, or of the caller on it, as may be are under way.",
        ),
        Reason("rate_limit", "spike_arrest", 429, "Calls came faster than the second rate of the route lets pass."),
        Reason("quota_exceeded", "quota", 429, "The quota of the caller is spent until its window ends."),
        Reason("payment_required", "quota", 402, "The prepaid balance of the caller is spent."),
        Reason("no_subscription", "quota", 403, "The caller has no subscription that opens this."),
        Reason("quota_unknown", "quota", 503, "Nobody could say just now what is left of an exact quota."),
        Reason("spike_arrest", "spike_arrest", 429, "Calls came faster than the spike arrest of the route lets pass."),
    )
}
"""Every reason by its name."""

DETAILS: tuple[tuple[str, str], ...] = (
    ("jwt_authn_access_denied{Jwt_is_missing}", "missing_token"),
    ("jwt_authn_access_denied", "invalid_token"),
    ("[invalid_token]", "invalid_token"),
    ("[address_refused]", "address_refused"),
    ("[misdirected]", "misdirected"),
    ("[missing_scope]", "missing_scope"),
    ("[missing_role]", "missing_role"),
    ("[missing_claim]", "missing_claim"),
    ("[policy_denied]", "policy_denied"),
    *((f"[{BOT_RULE}{rule.id}]", f"{BOT_RULE}{rule.id}") for rule in BOT_RULES),
    (f"[{BOT_RULE}", "bot_rule"),
    ("rbac_access_denied", "not_permitted"),
    ("local_rate_limited", "spike_arrest"),
    ("request_payload_too_large", "body_too_large"),
    ("path_normalization_failed", "ambiguous_path"),
    ("headers_too_large", "headers_too_large"),
    ("too_many_headers", "headers_too_large"),
    ("request_header_timeout", "too_slow"),
    ("request_overall_timeout", "too_slow"),
    ("stream_idle_timeout", "too_slow"),
    ("max_duration_timeout", "too_slow"),
    ("low_version", "unsupported_protocol"),
    ("upgrade_failed", "unsupported_protocol"),
    ("overload", "overloaded"),
    ("route_not_found", "no_route"),
    ("route_configuration_not_found", "no_route"),
    ("cluster_not_found", "service_missing"),
    ("maintenance_mode", "service_unhealthy"),
    ("no_healthy_upstream", "service_unhealthy"),
    ("{overflow}", "service_overflow"),
    ("TLS_error", "service_untrusted"),
    ("{connection_timeout", "service_unreachable"),
    ("connection_failure", "service_unreachable"),
    ("upstream_response_timeout", "service_timeout"),
    ("upstream_per_try", "service_timeout"),
    ("upstream_max_stream_duration", "service_timeout"),
    ("protocol_error", "service_invalid"),
    ("response_payload_too_large", "service_invalid"),
    ("upstream_reset", "service_reset"),
    ("downstream_remote_disconnect", "client_gone"),
    ("downstream_local_disconnect", "client_gone"),
    ("remote_reset", "client_gone"),
    ("codec_error", "malformed_request"),
    ("underscore", "malformed_request"),
    ("missing_host", "malformed_request"),
    ("missing_path", "malformed_request"),
    ("strict_check", "malformed_request"),
    ("required_request_headers", "malformed_request"),
    ("http1.", "malformed_request"),
    ("http2.", "malformed_request"),
    ("http3.", "malformed_request"),
)
"""What the proxy's `response.code_details` contain when it decides natively, and the reason; the first that fits."""

FLAGS = {
    "UH": "service_unhealthy",
    "UF": "service_unreachable",
    "UT": "service_timeout",
    "LH": "service_unhealthy",
    "LR": "service_reset",
    "UR": "service_reset",
    "UC": "service_reset",
    "UO": "service_overflow",
    "URX": "service_reset",
    "NC": "service_missing",
    "NFCF": "service_missing",
    "UPE": "service_invalid",
    "UMSDR": "service_timeout",
    "NR": "no_route",
    "RL": "spike_arrest",
    "SI": "too_slow",
    "DT": "too_slow",
    "DPE": "malformed_request",
    "IH": "malformed_request",
    "OM": "overloaded",
    "DC": "client_gone",
    "DR": "client_gone",
}
"""The proxy's response flags, asked when the details say nothing."""

STATUSES = {
    400: "ambiguous_path",
    401: "invalid_token",
    403: "not_permitted",
    404: "no_route",
    405: "method_not_allowed",
    408: "too_slow",
    413: "body_too_large",
    421: "unknown_host",
    426: "unsupported_protocol",
    429: "spike_arrest",
    431: "headers_too_large",
    503: "token_unknown",
    504: "service_timeout",
}
"""What an answer of the gateway's own means that neither states a reason nor has details: direct responses, scripts."""


@lru_cache(maxsize=4096)
def reason_of(details: str, flags: str, status: int, stated: str) -> str:
    """The name of why a request was not served; empty when a service, or the gateway itself, answered it.

    `details` and `flags` are the proxy's own words, `stated` what a script or process of ours said when it refused.
    """
    if stated:
        return stated if stated in REASONS else "other"
    if details == "via_upstream":
        return ""
    for mark, name in DETAILS:
        if mark in details:
            return name
    for flag in flags.split(","):
        if flag in FLAGS:
            return FLAGS[flag]
    if 0 < status < 400:  # RFC 9110 section 15: from 400 on they are errors
        return ""
    return STATUSES.get(status, "other")
