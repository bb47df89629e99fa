"""The inputs of the forms of routes and services, group by group, in the order in which they stand there.

What an input means is said where its field is: see the nouns. Here are the labels and, where words help, the choices.
"""

from __future__ import annotations

from kronborg.gateway.access_model import AccessRule, Addresses, StepUp
from kronborg.gateway.content_model import Content, Sizes
from kronborg.gateway.documents_model import Published
from kronborg.gateway.form_fields import Group, Input
from kronborg.gateway.limits_model import Concurrency, SpikeArrest
from kronborg.gateway.model import Cors
from kronborg.gateway.resilience_model import (
    Bounds,
    Breaker,
    Ejection,
    Fallback,
    HealthCheck,
    Registration,
    Retries,
)
from kronborg.gateway.service_tls_model import ServiceTls
from kronborg.limits.model import Quota

_PER = (
    ("client", "Each client"),
    ("user", "Each user"),
    ("key", "Each API key"),
    ("address", "Each address"),
    ("route", "The route as a whole"),
    ("header", "Each value of a header"),
    ("claim", "Each value of a claim"),
)
_EFFECT = (("enforce", "Refuse what is above"), ("shadow", "Only count it (shadow)"))
_WEIGHT = (
    Input("weight", "Weight of a call", "number"),
    Input("weight_header", "Header with the weight", example="Such as call-weight."),
    Input("heaviest", "Heaviest call", "number"),
)
_ARREST = (
    Input("rate", "Rate", example="Such as 5ps or 12pm."),
    Input("burst", "Burst", "number"),
    Input("per", "Counted for", "choice", _PER),
    Input("identifier", "Identifier"),
    *_WEIGHT,
    Input(
        *("preset", "Preset", "choice"),
        (("none", "None: the burst as it is told"), ("apigee-runtime", "Apigee: a tenth of the rate at once")),
    ),
    Input("effect", "Effect", "choice", _EFFECT),
)
_QUOTA = (
    Input("name", "Name", example="Such as daily."),
    Input("count", "Calls", "number", example="Such as 10000."),
    Input("interval", "Every", "number"),
    Input("unit", "Unit", "choice"),
    Input(
        *("window", "Window", "choice"),
        (
            ("default", "The clock's own"),
            ("calendar", "From a start (calendar)"),
            ("flexi", "From the first call (flexi)"),
            ("rolling", "The last interval, always (rolling)"),
        ),
    ),
    Input("start", "Start"),
    Input("time_zone", "Time zone"),
    Input("per", "Counted for", "choice", _PER),
    Input("identifier", "Identifier"),
    *_WEIGHT,
    Input(
        *("mode", "How exactly", "choice"),
        (("counted", "Counted: cheap, a little may pass beyond"), ("leased", "Leased: exact, never one more")),
    ),
    Input(
        *("answer", "Answer when used up", "choice"),
        (
            ("quota_exceeded", "429 quota exceeded"),
            ("payment_required", "402 payment required"),
            ("no_subscription", "403 no subscription"),
        ),
    ),
    Input("scope", "Counted at", "choice", (("global", "All gateways together"), ("node", "Each gateway on its own"))),
    Input("effect", "Effect", "choice", _EFFECT),
)
_STEP_UP = (
    Input("acr", "Authentication context classes (acr)", "words"),
    Input("max_age", "Signed in at most … ago", "duration"),
)
_MODE = (("off", "Do not look"), ("report", "Look and report"), ("enforce", "Refuse what does not fit"))

ROUTE_GROUPS: tuple[Group, ...] = (
    Group("step_up", "Step-up", StepUp, _STEP_UP, "Ask for a stronger or a newer sign-in."),
    Group(
        "rules",
        "Rule by method",
        AccessRule,
        (
            Input("methods", "Methods", "words"),
            Input("scopes", "Scopes", "words"),
            Input("roles", "Roles", "words"),
            Input("claims", "Claims", "claims"),
            *(Input(f"step_up.{one.name}", one.label, one.kind) for one in _STEP_UP),
        ),
        "Beside what is asked of every request, ask this of requests by some methods.",
        rows=4,
    ),
    Group(
        "addresses",
        "Addresses",
        Addresses,
        (
            Input("allow", "Only from", "words", example="Such as 192.0.2.0/24 or 2001:db8::7, one in a line."),
            Input("deny", "Never from", "words"),
        ),
        "Allow and refuse networks.",
    ),
    Group("spike_arrest", "Spike arrest", SpikeArrest, _ARREST, "Hold callers to a smoothed rate."),
    Group("rate_limit", "Second rate", SpikeArrest, _ARREST, "Hold callers to another rate next to it."),
    Group("quotas", "Quota", Quota, _QUOTA, "Count calls in a window of time.", rows=4),
    Group(
        "concurrency",
        "Concurrency",
        Concurrency,
        (Input("count", "Calls at once", "number", example="Such as 20."), Input("per", "Counted for", "choice")),
        "Bound the calls that are under way at once.",
    ),
    Group(
        "sizes",
        "Bounds on the head of requests",
        Sizes,
        (
            Input("target", "Path with query", "size"),
            Input("parameters", "Query parameters", "number", example="Such as 30."),
            Input("headers", "Header lines", "number", example="Such as 40."),
            Input("header_bytes", "Headers together", "size"),
        ),
        "Bound path, parameters and headers more tightly than the gateway does.",
    ),
    Group(
        "content",
        "Checks of bodies",
        Content,
        (
            Input("validate", "Against the OpenAPI document", "choice", _MODE),
            Input("json.depth", "Depth of JSON", "number"),
            Input("json.members", "Members of an object", "number"),
            Input("json.items", "Items of an array", "number"),
            Input("json.string", "Longest text", "size"),
            Input("json.keys", "Longest name of a member", "number"),
            Input("types", "Media types", "words"),
        ),
        "Look into the bodies of requests.",
    ),
    Group(
        "cors",
        "CORS",
        Cors,
        (
            Input("origins", "Origins", "words", example="Such as https://shop.example, one in a line."),
            Input("headers", "Request headers", "words"),
            Input("exposed", "Response headers", "words"),
            Input("credentials", "With cookies", "tick"),
            Input("max_age", "Preflights hold for", "duration"),
        ),
        "Let web pages of other origins call this route.",
    ),
)

SERVICE_GROUPS: tuple[Group, ...] = (
    Group(
        "registration",
        "Registration",
        Registration,
        (
            Input("clients", "Clients", "words"),
            Input("networks", "Networks", "words"),
            Input("lease", "Lease", "duration"),
            Input("most", "At most", "number"),
        ),
        "Let replicas announce themselves, in place of addresses.",
    ),
    Group(
        "health_check",
        "Health check",
        HealthCheck,
        (
            Input("kind", "Kind", "choice", (("http", "HTTP"), ("grpc", "gRPC"), ("tcp", "TCP: only connect"))),
            Input("path", "Path"),
            Input("statuses", "Good statuses", "words"),
            Input("grpc_service", "gRPC service"),
            Input("every", "Every", "duration"),
            Input("timeout", "Answer within", "duration"),
            Input("healthy_after", "Well after", "number"),
            Input("unhealthy_after", "Unwell after", "number"),
        ),
        "Ask each replica whether it is well.",
    ),
    Group(
        "ejection",
        "Outlier ejection",
        Ejection,
        (
            Input("failures", "Failures in a row", "number"),
            Input("out_for", "Left out for", "duration"),
            Input("longest", "At most for", "duration"),
        ),
        "Leave out replicas that fail.",
    ),
    Group(
        "retries",
        "Retries",
        Retries,
        (
            Input("attempts", "Further attempts", "number"),
            Input("per_try", "One attempt within", "duration"),
            Input("budget", "Budget in per cent", "number"),
            Input("first_wait", "First wait", "duration"),
            Input("longest_wait", "Longest wait", "duration"),
            Input("statuses", "Failed statuses", "words"),
        ),
        "Send failed requests again.",
    ),
    Group(
        "breaker",
        "Circuit breaker",
        Breaker,
        (
            Input("error_rate", "Errors in per cent", "number"),
            Input("slow_after", "Slow after", "duration"),
            Input("slow_rate", "Slow calls in per cent", "number"),
            Input("window", "Window", "duration"),
            Input("minimum_calls", "Fewest calls", "number"),
            Input("open_for", "Open for", "duration"),
            Input("probes", "Half-open: calls to try with", "number"),
        ),
        "Stop calling the service while it fails or is slow.",
    ),
    Group(
        "fallback",
        "Fallback",
        Fallback,
        (
            Input("service", "Service"),
            Input("status", "Status", "number", example="Such as 503."),
            Input("content_type", "Content type"),
            Input("body", "Answer", "area"),
        ),
        "Let another service answer in its place, or always the same words.",
    ),
    Group(
        "bounds",
        "Bounds",
        Bounds,
        (
            Input("connections", "Connections", "number"),
            Input("pending", "Waiting requests", "number"),
            Input("requests", "Requests", "number"),
            Input("retries", "Retries", "number"),
        ),
        "What may be under way to it at once, from each gateway.",
        optional=False,
    ),
    Group(
        "tls",
        "TLS",
        ServiceTls,
        (
            Input("ca", "Authorities", "area", example="-----BEGIN CERTIFICATE----- and so on."),
            Input("client_certificate", "Certificate of the gateway"),
            Input("sni", "Server name (SNI)"),
            Input("verify_names", "Names of its certificate", "words"),
            Input("minimum", "Oldest version", "choice", (("1.2", "TLS 1.2"), ("1.3", "TLS 1.3"))),
        ),
        "Say whom the gateway believes behind https, and what it shows of itself.",
    ),
    Group(
        "openapi",
        "OpenAPI document",
        Published,
        (Input("url", "Address"), Input("every", "Fetched every", "duration"), Input("file", "File")),
        "Say where the document comes from that routes may hold requests against.",
    ),
)
