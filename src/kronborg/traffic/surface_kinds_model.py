"""Every kind of finding: how grave it is, why it matters and how to mend it, in words for an operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kronborg.traffic.surface_model import Severity


@dataclass(frozen=True, slots=True)
class FindingKind:
    """What is the same for all findings of a kind."""

    severity: Severity
    title: str
    why: str
    mend: str


KINDS: Mapping[str, FindingKind] = {
    "open_to_all": FindingKind(
        "critical",
        "Everything of a service is open",
        "A public route with the prefix / and every method hands the whole service to the internet.",
        "Give the route an audience, or narrow its path and methods to what everybody may have.",
    ),
    "open_writes": FindingKind(
        "high",
        "Anybody may change things",
        "The route is public and lets through methods that change things.",
        "Ask for a token (audience and scopes), or allow GET and HEAD only.",
    ),
    "open_reads": FindingKind(
        "medium",
        "Anybody may read",
        "The route is public. That may be meant: then acknowledge it, with the reason.",
        "Ask for a token (audience and scopes), or acknowledge that it is public.",
    ),
    "any_token": FindingKind(
        "medium",
        "Any token of the API opens it",
        "No scope, role, rule or policy is asked for, so that every app with any token of this API may call.",
        "Name the scopes or roles that the route needs.",
    ),
    "whole_host": FindingKind(
        "medium",
        "The route takes every path",
        "A prefix / publishes whatever the service will ever serve, its admin and debug pages too.",
        "Publish the paths that are meant, one route for each.",
    ),
    "every_method": FindingKind(
        "low",
        "Every method is let through",
        "Methods that nobody uses are ways in that nobody watches.",
        "List the methods that are used.",
    ),
    "wide_cors": FindingKind(
        "high",
        "Pages of every subdomain may call with cookies",
        "One forgotten subdomain that an attacker takes over can act as whoever visits it.",
        "Name the origins one by one, or turn credentials off.",
    ),
    "unlimited_open": FindingKind(
        "medium",
        "Public and without any limit",
        "Anybody can call it as often as they like.",
        "Set a rate limit or spike arrest, by address.",
    ),
    "unlimited": FindingKind(
        "low",
        "No limit at all",
        "One app in a loop, or one stolen token, can take all of the service.",
        "Set a spike arrest, a quota or a bound on calls at once.",
    ),
    "unused_route": FindingKind(
        "low",
        "Nobody uses the route",
        "What nobody calls nobody misses, and nobody notices when it is abused.",
        "Remove the route, or acknowledge why it stays.",
    ),
    "deprecated_called": FindingKind(
        "medium",
        "A deprecated operation is still called",
        "The service's document says deprecated, and callers depend on it all the same.",
        "Tell the callers (Traffic shows who they are), then remove it.",
    ),
    "shadow_path": FindingKind(
        "medium",
        "A path that the service's document does not know",
        "It answers to callers although nobody described it: forgotten, internal or unreviewed.",
        "Describe it in the OpenAPI document, or stop publishing it.",
    ),
    "around_gateway": FindingKind(
        "critical",
        "The service answers without a token, past the gateway",
        "Whoever reaches its address needs no token: nothing of the gateway protects it there.",
        "Let the service take connections of the gateway only (mTLS or network rules), and check tokens itself.",
    ),
    "plain_listener": FindingKind(
        "high",
        "Plain HTTP beyond this machine",
        "Tokens and passwords can be read on the way.",
        "Serve TLS, or bind to the loopback behind a proxy that does.",
    ),
    "unused_scopes": FindingKind(
        "low",
        "A client has scopes that it never uses",
        "What a stolen token may do beyond what the app does is harm without use.",
        "Take the scopes away from the client.",
    ),
    "legacy_grant": FindingKind(
        "high",
        "A client uses a legacy grant",
        "With the password grant the app sees passwords; with the implicit grant tokens travel in addresses.",
        "Move the client to the authorization code with PKCE.",
    ),
    "old_secret": FindingKind(
        "medium",
        "A client secret is old",
        "The longer a secret lives, the more places it has been in.",
        "Add a new secret, let the app use it, and remove the old one.",
    ),
    "long_tokens": FindingKind(
        "medium",
        "Access tokens last long",
        "A stolen token works until it ends, at every place that does not hear of revocations.",
        "Shorten the lifetime of the API's tokens; refresh tokens renew them.",
    ),
    "long_refresh": FindingKind(
        "medium",
        "Refresh tokens last long",
        "A stolen refresh token gives access for as long as it lasts.",
        "Set a shorter refresh_token_lifetime for the client.",
    ),
    "long_key": FindingKind(
        "medium",
        "An API key lasts long",
        "Keys leak: a short life bounds the harm.",
        "Rotate it with a shorter lifetime.",
    ),
    "unused_key": FindingKind(
        "medium",
        "An API key is not used",
        "A key that nobody uses is one that nobody misses when it is stolen.",
        "Revoke it.",
    ),
    "old_key": FindingKind(
        "low",
        "An API key was never rotated",
        "It has been the same for a long time.",
        "Rotate it: the old one goes on working for a while.",
    ),
    "certificate_ends": FindingKind(
        "high",
        "A certificate ends soon",
        "When it has ended, callers are turned away.",
        "Renew it; with ACME, look why the last try failed.",
    ),
    "certificate_ended": FindingKind(
        "critical",
        "A certificate has ended",
        "Callers who check it are turned away.",
        "Renew it now.",
    ),
    "client_certificate_ends": FindingKind(
        "medium",
        "A client's certificate ends soon",
        "The client cannot authenticate any more when it has ended.",
        "Ask its operators for the new one.",
    ),
    "gateway_behind": FindingKind(
        "high",
        "A gateway serves an old version",
        "What was closed since then is still open there.",
        "Look at the gateway: why it refused or did not hear of the newest version.",
    ),
    "gateway_silent": FindingKind(
        "high",
        "A gateway is not heard of",
        "Nobody knows what it serves, nor whether it hears of revocations.",
        "Start it again, or take it out of the fleet.",
    ),
    "gateway_old": FindingKind(
        "medium",
        "A gateway runs another version of Kronborg",
        "Fixes that are in here may be missing there.",
        "Upgrade it.",
    ),
    "revocation_stale": FindingKind(
        "high",
        "A gateway hears late of revocations",
        "Stolen tokens that were revoked still open it.",
        "Look at its connection to the control plane.",
    ),
}
