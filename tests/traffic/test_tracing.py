"""Traces reach a collector over OTLP/HTTP, and what callers say about traces is not taken over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from gateway.live import Live, running, wait_until
from gateway.otlp import Collector
from kronborg.gateway.deliver import prepare
from kronborg.gateway.envoy.admin import set_runtime
from kronborg.gateway.model import Path, Route
from kronborg.gateway.telemetry_model import TracingSettings

CALLERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Traces(Collector):
    """Keeps the spans it was sent."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        super().__init__("/v1/traces", self.take)

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)


@pytest.fixture(scope="module")
def collector() -> Iterator[Traces]:
    made = Traces()
    yield made
    made.server.die()


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Traces) -> Iterator[Live]:
    with running(tmp_path_factory.mktemp("traced")) as live:
        yield live


def begin(live: Live, tracing: TracingSettings) -> None:
    live.kill()
    live.proxy = replace(live.proxy, tracing=tracing)
    snapshot = live.snapshot(Route("open", Path("prefix", "/open"), "echo", public=True))
    asyncio.run(prepare(snapshot, live.keys, live.proxy))
    live.start()
    asyncio.run(set_runtime(live.proxy.admin, {"tracing.opentelemetry.flush_interval_ms": "100"}))


@pytest.mark.spec("W3C Trace Context §3.2")
@pytest.mark.parametrize("trusted", [False, True])
def test_a_trace_begins_at_the_gateway_unless_callers_are_trusted(
    traced: Live, collector: Traces, trusted: bool
) -> None:
    begin(traced, TracingSettings(collector.url, percent=100, trust_callers=trusted))
    collector.spans.clear()

    for _ in range(5):
        answer = traced.get("/open/x?secret=hush", headers={"traceparent": CALLERS, "baggage": "a=b"})

    wait_until(lambda: bool(collector.spans), seconds=20)
    (passed_on,) = answer.seen("traceparent")
    traces = {span.trace_id.hex() for span in collector.spans}
    assert passed_on.split("-")[1] in traces
    assert (CALLERS.split("-")[1] in traces) == trusted
    assert passed_on.split("-")[2] in {span.span_id.hex() for span in collector.spans}
    assert not any(b"hush" in span.SerializeToString() for span in collector.spans)


def test_without_a_collector_there_is_nothing_of_it(tmp_path: FilePath) -> None:
    from kronborg.gateway.envoy import tracing
    from kronborg.gateway.envoy.proxy import Proxy

    proxy = Proxy(folder=tmp_path)

    assert (tracing.connection_options(proxy), tracing.clusters(proxy), tracing.early_mutations(proxy)) == ({}, [], [])
