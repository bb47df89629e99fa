"""Where a route sends requests for a service, and how often it tries: what knows of breakers and fallbacks.

The cluster `service.NAME` stands for a service as a whole. With a fallback it is an aggregate of `replicas.NAME` and
whoever answers in its place, so that a request whose replica failed is tried there. With a breaker a route weighs it
against `instead.NAME` by keys of Envoy's runtime, which the control process sets within a breath: no new snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy.resource import seconds, typed
from kronborg.gateway.model import Route, Service, Snapshot
from kronborg.gateway.resilience_model import IDEMPOTENCY_KEY, IDEMPOTENT, Fallback, Retries

WHOLE = 10_000
"""The weights of a service and its stand-in together."""

# A request that failed so has never reached the service, whatever its method.
_UNSENT = "connect-failure,refused-stream,reset-before-request"
_SENT = "reset,retriable-status-codes"
_SAFE: JsonObject = {"retry_on": _UNSENT, "num_retries": 1}
_RETRY_ON = "x-envoy-retry-on"


BOUNDED = "bounded."
"""How the names of the clusters begin that bound the calls of one route."""


def cluster_name(service: str) -> str:
    """The cluster of a service; the prefix keeps it apart from our own."""
    return f"service.{service}"


def replicas_name(service: Service) -> str:
    """The cluster that holds the replicas of a service."""
    return cluster_name(service.name) if service.fallback is None else f"replicas.{service.name}"


def instead_name(service: str) -> str:
    """The cluster that gets the calls while the breaker of a service is open.

    One name whatever the fallback is, and never without the service's own: Envoy refuses a route whose weights, as the
    runtime has them at that moment, are nothing together.
    """
    return f"instead.{service}"


def bounded_name(route: str, service: str) -> str:
    """The cluster of a route that bounds how many of its calls are under way: the same replicas, a bound of its own."""
    return f"{BOUNDED}{route}@{service}"


def answer_name(service: str) -> str:
    """The listener inside the proxy that says the words of a fallback."""
    return f"answer.{service}"


def breaker_prefix(name: str) -> str:
    """The prefix of the runtime keys of a service, or of a split (`split.ROUTE`)."""
    return f"breaker.{name}"


def members(service: Service, services: Mapping[str, Service]) -> list[str]:
    """The clusters that a service as a whole is made of: its replicas, then whoever answers in their place."""
    if service.fallback is None:
        return [replicas_name(service)]
    other = services.get(service.fallback.service or "")
    return [replicas_name(service), instead_name(service.name) if other is None else replicas_name(other)]


@dataclass(frozen=True, slots=True)
class Targets:
    """The services of a snapshot by name, for the routes to them."""

    services: Mapping[str, Service]

    @classmethod
    def of(cls, snapshot: Snapshot) -> Targets:
        """Those of a snapshot."""
        return cls({service.name: service for service in snapshot.services})

    def target(self, name: str) -> JsonObject:
        """The part of a route's action that says where requests go: to one service."""
        service = self.services.get(name)
        if service is None or service.breaker is None:
            return {"cluster": cluster_name(name)}
        return {
            "weighted_clusters": {
                "runtime_key_prefix": breaker_prefix(name),
                "clusters": [
                    {"name": cluster_name(name), "weight": WHOLE},
                    {"name": instead_name(name), "weight": 0},
                ],
            }
        }

    def split(self, route: str, parts: Sequence[tuple[str, int]]) -> JsonObject:
        """The same for several services with their weights."""
        clusters: dict[str, int] = {}
        guarded = False
        for name, weight in parts:
            clusters[cluster_name(name)] = clusters.get(cluster_name(name), 0) + weight
        for name, _ in parts:
            service = self.services.get(name)
            if service is not None and service.breaker is not None:
                guarded = True
                clusters.setdefault(instead_name(name), 0)
        weighted: dict[str, JsonValue] = {
            "clusters": [{"name": name, "weight": weight} for name, weight in clusters.items()]
        }
        if guarded:
            weighted["runtime_key_prefix"] = breaker_prefix(f"split.{route}")
        return {"weighted_clusters": weighted}

    def retry(self, route: Route) -> JsonObject:
        """How often a request of this route is tried, and where."""
        service = self.services.get(route.service)
        if service is None or (service.retries is None and service.fallback is None):
            return _SAFE
        return _retry(service, route)

    def headers(self, route: Route) -> list[JsonObject]:
        """Request headers that complete the retry policy of the route; they go no further than the router."""
        service = self.services.get(route.service)
        if service is None or (service.retries is None and service.fallback is None) or _all_repeatable(route):
            return []
        value = f"%CEL({_repeatable(route)} ? '{_SENT}' : '')%"
        return [{"append_action": "OVERWRITE_IF_EXISTS_OR_ADD", "header": {"key": _RETRY_ON, "value": value}}]

    def times(self, route: Route) -> dict[str, JsonValue]:
        """How long all attempts of the route together may take, where that is more than one may."""
        service = self.services.get(route.service)
        if service is None or service.fallback is None or (service.retries and service.retries.per_try):
            return {}
        # What is never tried again, a POST, has the time of the route; it is each attempt's.
        return {"timeout": seconds(route.timeout * (_tries(service) + 1))}


def _all_repeatable(route: Route) -> bool:
    """Whether the route takes no request that may not be sent twice; nothing has to be asked of each then."""
    return bool(route.methods) and set(route.methods) <= set(IDEMPOTENT)


def _repeatable(route: Route) -> str:
    """The condition on requests that may be sent twice. A policy of Envoy knows no methods, but headers add to it."""
    methods = ", ".join(f"'{method}'" for method in IDEMPOTENT)
    condition = f"request.method in [{methods}]"
    return f"({condition} || '{IDEMPOTENCY_KEY}' in request.headers)" if route.retry_keyed else f"({condition})"


def _alone(service: Service) -> bool:
    return len(service.urls) + len(service.replicas) == 1


def _tries(service: Service) -> int:
    """How many further attempts; the last is the fallback's."""
    told = service.retries
    if service.fallback is None:
        return 1 if told is None else told.attempts
    if told is None:
        return 1 if _alone(service) else 2
    return told.attempts + 1


def _per_try(service: Service, route: Route) -> timedelta | None:
    """How long one attempt may take; None: as long as all of them."""
    if service.retries is not None and service.retries.per_try is not None:
        return service.retries.per_try
    return route.timeout if service.fallback is not None else None


def _retry(service: Service, route: Route) -> JsonObject:
    told = service.retries or Retries()
    tries = _tries(service)
    policy: dict[str, JsonValue] = {
        "retry_on": f"{_UNSENT},{_SENT}" if _all_repeatable(route) else _UNSENT,
        "retriable_status_codes": list(told.statuses),
        "num_retries": tries,
        "retry_back_off": {
            "base_interval": seconds(max(told.first_wait, timedelta(milliseconds=1))),
            "max_interval": seconds(max(told.longest_wait, told.first_wait)),
        },
    }
    per_try = _per_try(service, route)
    if per_try is not None:
        policy["per_try_timeout"] = seconds(per_try)
    if not _alone(service):
        hosts = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
        policy["retry_host_predicate"] = [{"name": "previous_hosts", "typed_config": typed(hosts)}]
        policy["host_selection_retry_max_attempts"] = 3
    if service.fallback is not None:
        kind = "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
        policy["retry_priority"] = {"name": "previous_priorities", "typed_config": typed(kind, update_frequency=tries)}
    return policy


def has_words(fallback: Fallback | None) -> bool:
    """Whether a fallback is an answer that the gateway gives itself."""
    return fallback is not None and fallback.service is None
