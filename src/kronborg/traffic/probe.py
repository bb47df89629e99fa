"""Asks services, past the gateway and without a token, for what the gateway asks a token for: do they answer?

Bounded: only services that say so, only addresses and paths that are declared, HEAD or GET, no redirect is followed, no
credential is sent, a few requests for each service, some seconds, a few bytes. It tells what the worker reaches from
where it stands; a firewall that lets the worker through may stop others.
"""

from __future__ import annotations

import asyncio
import http.client
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from kronborg.gateway.model import Route, Service, Snapshot
from kronborg.traffic.surface_facts_model import Probed

PATHS = 3
"""Of each service; each at one of its replicas after another."""
REPLICAS = 3
SERVICES = 500
AT_ONCE = 8
SECONDS = 3.0
_READ = 1024
_AGENT = "kronborg-surface-probe"


@dataclass(frozen=True, slots=True)
class Question:
    """One request to make."""

    service: str
    base: str
    path: str
    method: str
    host: str = ""

    @property
    def url(self) -> str:
        """Where it goes."""
        return f"{self.base}{self.path}"


def questions(snapshot: Snapshot, *, everywhere: bool) -> Iterator[Question]:
    """What to ask: of services that are to be probed, the paths that ask for a token at the gateway."""
    by_service: dict[str, list[Route]] = {}
    for route in snapshot.routes:
        if not route.public and route.service:
            by_service.setdefault(route.service, []).append(route)
    wanted = [one for one in snapshot.services if (everywhere if one.probe is None else one.probe)]
    for service in wanted[:SERVICES]:
        paths = list(_paths(by_service.get(service.name, [])))[:PATHS]
        for base in _addresses(service)[:REPLICAS]:
            for method, path, host in paths:
                yield Question(service.name, base, path, method, host)


def _addresses(service: Service) -> Sequence[str]:
    return (*service.urls, *(replica.url for replica in service.replicas))


def _paths(routes: Sequence[Route]) -> Iterator[tuple[str, str, str]]:
    """Method and path as the service sees them; paths with open places are left out, as nothing says what fits."""
    for route in routes:
        methods = route.methods or ("GET",)
        method = "HEAD" if "HEAD" in methods and "GET" not in methods else "GET"
        if method not in methods or route.path.kind not in ("exact", "prefix") or route.grpc:
            continue
        path, rewrite = route.path.value, route.rewrite
        if rewrite is not None:
            # What comes after the prefix stays: of the prefix itself nothing does.
            path = rewrite.path or rewrite.prefix or path
        if path.startswith("/") and path.isascii() and path.isprintable() and not set(path) & set("{} ?#"):
            yield method, path, (rewrite.host if rewrite is not None and rewrite.host else "")


async def probe(snapshot: Snapshot, *, everywhere: bool, now: datetime) -> tuple[Probed, ...]:
    """Ask all of it, a few at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(question: Question) -> Probed:
        async with places:
            outcome, status = await asyncio.to_thread(ask, question)
        return Probed(question.service, question.url, question.method, now, outcome, status)

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one(each)) for each in _distinct(questions(snapshot, everywhere=everywhere))]
    return tuple(task.result() for task in running)


def _distinct(found: Iterator[Question]) -> list[Question]:
    return list({(one.service, one.url): one for one in found}.values())


def ask(question: Question) -> tuple[str, int]:
    """`answered` with 2xx, `refused` with anything else, or `unreachable`."""
    parts = urlsplit(question.base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "unreachable", 0
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        # Nothing secret is sent, and whose certificate it is does not change whether it answers.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=SECONDS)
    headers = {"user-agent": _AGENT, "accept": "*/*", "connection": "close"}
    if question.host:
        headers["host"] = question.host
    try:
        connection.request(question.method, question.path, headers=headers)
        answer = connection.getresponse()
        answer.read(_READ)
        status = answer.status
    except (OSError, http.client.HTTPException, ValueError):
        return "unreachable", 0
    finally:
        connection.close()
    return ("answered" if 200 <= status < 300 else "refused"), status
