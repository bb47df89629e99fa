"""What is kept of the traffic that passed, and who else is told: by traces and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from kronborg.core.durations import Octets, Span
from kronborg.gateway.edge_model import EDGE


@dataclass(frozen=True, slots=True)
class TrafficSettings:
    """Access records: where they are, how long and how many."""

    __pydantic_config__ = EDGE

    store: Literal["database", "parquet"] = "database"
    """`database`: beside the installation's own, a file or a partition for each day. `parquet`: files in the data
    folder for hundreds of millions of records; needs the extra `analytics` and one machine."""
    keep: Span = timedelta(days=7)
    """How long each request is kept."""
    keep_counts: Span = timedelta(days=90)
    """How long counts and latencies by the minute are kept."""
    most: Octets = 10 * 1024**3
    """Bytes that all records may take; beyond them the oldest days go first."""


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """OpenTelemetry traces from the gateway."""

    __pydantic_config__ = EDGE

    collector: str
    """The OTLP/HTTP address for traces, such as `http://127.0.0.1:4318/v1/traces`."""
    percent: float = 1.0
    """How many of a hundred requests are traced."""
    trust_callers: bool = False
    """Whether `traceparent` from outside is continued. Otherwise it is taken away at the door and a trace of our own
    begins: a caller could have every request traced, or its own spans hung into somebody else's trace."""


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """OpenTelemetry metrics from the gateway."""

    __pydantic_config__ = EDGE

    collector: str
    """The OTLP/HTTP address for metrics, such as `http://127.0.0.1:4318/v1/metrics`."""
    every: Span = timedelta(seconds=10)
    """How often they are sent, a second to a minute. Breakers with `slow_after` see slow calls so late."""
