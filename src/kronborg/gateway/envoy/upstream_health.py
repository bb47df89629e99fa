"""Which replicas of a service get calls: active checks, ejection of those that fail, bounds on what is under way."""

from __future__ import annotations

from datetime import timedelta

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy.resource import seconds
from kronborg.gateway.model import Service
from kronborg.gateway.resilience_model import Ejection, HealthCheck

_SWEEP = timedelta(milliseconds=500)
_FALLBACK_BUDGET = 100
_LEAST_RETRIES = 3
_LOST = Ejection()


def health(service: Service) -> dict[str, JsonValue]:
    """The fields of a cluster that keep calls away from replicas that are not well."""
    found: dict[str, JsonValue] = {}
    if service.health_check is not None:
        found["health_checks"] = [_check(service.health_check)]
    ejection = service.ejection or (_LOST if service.fallback is not None else None)
    if ejection is not None:
        found["outlier_detection"] = _ejection(ejection)
    if found:
        # With a fallback it is used when no replica is well; without one, calls go to all of them rather than to none.
        found["common_lb_config"] = {"healthy_panic_threshold": {"value": 0 if service.fallback else 1}}
    return found


def bounds(service: Service, *, requests: int | None = None) -> JsonObject:
    """How much may be under way at once; `requests` in place of what the service says."""
    told = service.bounds
    limits: dict[str, JsonValue] = {
        "max_connections": told.connections,
        "max_pending_requests": told.pending,
        "max_requests": told.requests if requests is None else requests,
        "max_retries": told.retries,
    }
    if service.retries is not None or service.fallback is not None:
        # While everything fails every request is retried once, on the fallback, which has bounds of its own.
        percent = _FALLBACK_BUDGET if service.fallback or service.retries is None else service.retries.budget
        limits["retry_budget"] = {"budget_percent": {"value": percent}, "min_retry_concurrency": _LEAST_RETRIES}
        del limits["max_retries"]
    return {"thresholds": [limits]}


def _ejection(told: Ejection) -> JsonObject:
    return {
        "consecutive_5xx": told.failures,
        "consecutive_gateway_failure": told.failures,
        "enforcing_consecutive_gateway_failure": 100,
        "enforcing_success_rate": 0,
        "interval": seconds(_SWEEP),
        "base_ejection_time": seconds(told.out_for),
        "max_ejection_time": seconds(max(told.longest, told.out_for)),
        "max_ejection_percent": 100,
    }


def _check(told: HealthCheck) -> JsonObject:
    check: dict[str, JsonValue] = {
        "interval": seconds(told.every),
        "no_traffic_interval": seconds(told.every),
        "timeout": seconds(told.timeout),
        "healthy_threshold": told.healthy_after,
        "unhealthy_threshold": told.unhealthy_after,
        "interval_jitter_percent": 10,
    }
    if told.kind == "http":
        check["http_health_check"] = {
            "path": told.path,
            "host": "gateway-health-check",
            "expected_statuses": [{"start": status, "end": status + 1} for status in told.statuses],
        }
    elif told.kind == "grpc":
        check["grpc_health_check"] = {"service_name": told.grpc_service}
    else:
        check["tcp_health_check"] = {}
    return check
