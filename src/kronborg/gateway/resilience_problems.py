"""Why services cannot be published for how they are reached: replicas, checks, retries, breakers, fallbacks, leases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from kronborg.core.errors import Problem
from kronborg.gateway.model import Service
from kronborg.gateway.registration_model import network
from kronborg.gateway.resilience_model import Breaker, Fallback, HealthCheck, Registration, Retries

LONGEST_ANSWER = 8192
_PATH = re.compile(r"/[!-~]{0,510}")
_MEDIA = re.compile(r"[a-zA-Z0-9!#$&^_.+-]{1,80}/[a-zA-Z0-9!#$&^_.+-]{1,80}(; ?charset=[a-zA-Z0-9-]{1,20})?")
_SHORTEST = timedelta(milliseconds=10)
_LONGEST = timedelta(minutes=10)
_BODILESS = (204, 304)


def resilience_problems(service: Service, services: set[str]) -> Iterator[Problem]:
    """Every reason against this service; `services` are the names of all."""
    where = f"services.{service.name}"
    yield from _replicas(service, where)
    if service.registration is not None:
        yield from _registration(service, service.registration, f"{where}.registration")
    if service.health_check is not None:
        yield from _check(service.health_check, f"{where}.health_check")
    if service.ejection is not None:
        ejection = service.ejection
        yield from _within(ejection.failures, 1, 1000, f"{where}.ejection.failures")
        yield from _span(ejection.out_for, f"{where}.ejection.out_for")
        yield from _span(ejection.longest, f"{where}.ejection.longest")
    for name in ("connections", "pending", "requests", "retries"):
        yield from _within(getattr(service.bounds, name), 0, 1_000_000, f"{where}.bounds.{name}")
    if service.retries is not None:
        yield from _retries(service.retries, f"{where}.retries")
    if service.breaker is not None:
        yield from _breaker(service.breaker, f"{where}.breaker")
    if service.fallback is not None:
        yield from _fallback(service, service.fallback, services, f"{where}.fallback")


def _within(value: int, least: int, most: int, where: str) -> Iterator[Problem]:
    if not least <= value <= most:
        yield Problem(where, "is out of range", f"use {least} to {most}")


def _span(value: timedelta, where: str) -> Iterator[Problem]:
    if not _SHORTEST <= value <= _LONGEST:
        yield Problem(where, "is out of range", "use 10ms to 10m")


def _replicas(service: Service, where: str) -> Iterator[Problem]:
    for replica in service.replicas:
        yield from _within(replica.weight, 1, 1000, f"{where}.replicas.weight")
    if len({replica.url for replica in service.replicas}) != len(service.replicas):
        yield Problem(f"{where}.replicas", "names the same address twice", "give it one weight")
    if not timedelta(seconds=1) <= service.dns_refresh <= _LONGEST:
        yield Problem(f"{where}.dns_refresh", "is out of range", "use 1s to 10m")


def _registration(service: Service, told: Registration, where: str) -> Iterator[Problem]:
    if service.urls or service.replicas:
        yield Problem(where, "the service has fixed addresses too", "use one or the other")
    if not told.clients:
        yield Problem(f"{where}.clients", "no client may announce anything", "name the service's own client")
    if not told.networks:
        yield Problem(f"{where}.networks", "no address may be announced", "name the networks of its replicas")
    if any(network(text) is None for text in told.networks):
        yield Problem(f"{where}.networks", "is not a network", "write 192.0.2.0/24, without host bits")
    if max(len(told.clients), len(told.networks)) > 50:
        yield Problem(where, "names too many clients or networks", "use at most 50 of each")
    if not timedelta(seconds=2) <= told.lease <= timedelta(hours=1):
        yield Problem(f"{where}.lease", "is out of range", "use 2s to 1h")
    yield from _within(told.most, 1, 500, f"{where}.most")


def _check(told: HealthCheck, where: str) -> Iterator[Problem]:
    if told.kind == "http" and _PATH.fullmatch(told.path) is None:
        yield Problem(f"{where}.path", "is not a path", "start with / and use printable ASCII")
    if not told.statuses or not all(100 <= status <= 599 for status in told.statuses):
        yield Problem(f"{where}.statuses", "is not a status", "use 100 to 599")
    if len(told.grpc_service) > 200 or not told.grpc_service.isascii():
        yield Problem(f"{where}.grpc_service", "is not a name", "use at most 200 ASCII characters")
    yield from _span(told.every, f"{where}.every")
    yield from _span(told.timeout, f"{where}.timeout")
    yield from _within(told.healthy_after, 1, 100, f"{where}.healthy_after")
    yield from _within(told.unhealthy_after, 1, 100, f"{where}.unhealthy_after")


def _retries(told: Retries, where: str) -> Iterator[Problem]:
    yield from _within(told.attempts, 1, 5, f"{where}.attempts")
    yield from _within(told.budget, 1, 100, f"{where}.budget")
    if told.per_try is not None:
        yield from _span(told.per_try, f"{where}.per_try")
    if not timedelta(milliseconds=1) <= told.first_wait <= told.longest_wait <= timedelta(seconds=10):
        yield Problem(f"{where}.first_wait", "the waits are out of range", "use 1ms to 10s, the first not the longer")
    if len(told.statuses) > 20 or not all(400 <= status <= 599 for status in told.statuses):
        yield Problem(f"{where}.statuses", "cannot be retried", "use at most 20 statuses from 400 to 599")


def _breaker(told: Breaker, where: str) -> Iterator[Problem]:
    yield from _within(told.error_rate, 1, 100, f"{where}.error_rate")
    yield from _within(told.slow_rate, 1, 100, f"{where}.slow_rate")
    yield from _within(told.minimum_calls, 1, 100_000, f"{where}.minimum_calls")
    yield from _within(told.probes, 1, 1000, f"{where}.probes")
    if told.slow_after is not None:
        yield from _span(told.slow_after, f"{where}.slow_after")
    for name in ("window", "open_for"):
        if not timedelta(seconds=1) <= getattr(told, name) <= _LONGEST:
            yield Problem(f"{where}.{name}", "is out of range", "use 1s to 10m")


def _fallback(service: Service, told: Fallback, services: set[str], where: str) -> Iterator[Problem]:
    if told.service is not None:
        if told.service == service.name:
            yield Problem(f"{where}.service", "is the service itself", "name another service")
        elif told.service not in services:
            yield Problem(f"{where}.service", "the service is unknown", "declare it first")
        if told.status is not None or told.body:
            yield Problem(where, "is a service and an answer", "use one or the other")
        return
    if told.status is None:
        yield Problem(where, "neither names a service nor a status", "name another service, or the status to answer")
    elif not 200 <= told.status <= 599:
        yield Problem(f"{where}.status", "is out of range", "use 200 to 599")
    elif told.status in _BODILESS and told.body:
        yield Problem(f"{where}.body", "this status has no body", "use another status")
    if len(told.body.encode()) > LONGEST_ANSWER:
        yield Problem(f"{where}.body", "is too long", "use at most 8192 bytes")
    if "\0" in told.body:
        yield Problem(f"{where}.body", "holds a NUL", "use text")
    if _MEDIA.fullmatch(told.content_type) is None:
        yield Problem(f"{where}.content_type", "is not a media type", "write application/json")
