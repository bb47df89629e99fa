"""`/healthz` (the process lives), `/readyz` (it can do its work) and `/metrics` (Prometheus)."""

from __future__ import annotations

import ipaddress

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kronborg.core.db import Database
from kronborg.core.http import problem
from kronborg.core.log import get_logger

log = get_logger("kronborg.health")


def health_routes(database: Database) -> list[Route]:
    """The three routes; ready means that the database answers and its schema is in place."""

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        try:
            await database.lookup.first("SELECT seq FROM core_events LIMIT 1")
        except Exception:  # any failure of the database means not ready
            log.warning("not_ready", exc_info=True)
            return problem(503, "Not ready", "The database does not answer.", headers={"retry-after": "1"})
        return PlainTextResponse("ready\n")

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


async def metrics(request: Request) -> Response:
    """The metrics of this process, for a scraper on this machine."""
    if not _from_this_machine(request):
        raise HTTPException(404)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _from_this_machine(request: Request) -> bool:
    """Metrics tell an attacker what works: they are for a scraper beside us, not for what a proxy passes on."""
    if request.client is None or {"x-forwarded-for", "forwarded"} & set(request.headers):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
