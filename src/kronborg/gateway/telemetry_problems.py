"""Why collectors of traces and metrics cannot be told to the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from kronborg.core.errors import Problem
from kronborg.gateway.telemetry_model import MetricsSettings, TracingSettings

_SOONEST, _LATEST = timedelta(seconds=1), timedelta(minutes=1)


def telemetry_problems(tracing: TracingSettings | None, metrics: MetricsSettings | None) -> Iterator[Problem]:
    """Every reason against them."""
    if tracing is not None:
        yield from _address("server.gateway.tracing.collector", tracing.collector)
        if not 0 <= tracing.percent <= 100:
            yield Problem("server.gateway.tracing.percent", "is no share of a hundred", "use 0 to 100")
    if metrics is not None:
        yield from _address("server.gateway.metrics.collector", metrics.collector)
        if not _SOONEST <= metrics.every <= _LATEST:
            yield Problem("server.gateway.metrics.every", "is out of range", "use a second to a minute")


def _address(where: str, url: str) -> Iterator[Problem]:
    try:
        place = urlsplit(url)
        known = place.scheme in ("http", "https") and bool(place.hostname) and place.port != 0
    except ValueError:
        known, place = False, urlsplit("")
    if not known or not url.isascii() or not url.isprintable() or " " in url or len(url) > 2000:
        yield Problem(where, "is no http or https URL", "write for example http://127.0.0.1:4318/v1/metrics")
    elif place.username is not None or place.query or place.fragment:
        yield Problem(where, "must have no user, query or fragment", "cut it off")
