"""Traces reach a collector over OTLP/HTTP, and what callers say about traces is not taken over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path as FilePath

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from gateway.live import Live, Quiet, running, wait_until
from kronborg.gateway.deliver import prepare
from kronborg.gateway.envoy.admin import set_runtime
from kronborg.gateway.model import Path, Route
from kronborg.gateway.telemetry_model import TracingSettings
from ports import free_port

CALLERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """Takes OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = ExportTraceServiceRequest.FromString(self._chunks())
                for resource in asked.resource_spans:
                    for scope in resource.scope_spans:
                        spans.extend(scope.spans)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def _chunks(self) -> bytes:
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = Quiet(("127.0.0.1", free_port()), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.die()


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Live]:
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
    traced: Live, collector: Collector, trusted: bool
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
