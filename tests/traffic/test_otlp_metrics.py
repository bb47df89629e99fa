"""Metrics reach a collector over OTLP/HTTP: few, under names of ours, and nothing that a caller wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path as FilePath

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint, ResourceMetrics

from gateway.live import Live, running, wait_until
from gateway.otlp import Collector
from kronborg.gateway.deliver import prepare
from kronborg.gateway.envoy import metrics as envoy_metrics
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.model import Path, Route
from kronborg.gateway.telemetry_model import MetricsSettings, TracingSettings
from kronborg.gateway.telemetry_problems import telemetry_problems

PREFIX = "kronborg.gateway."


class Heard:
    """The latest of what was sent."""

    def __init__(self) -> None:
        self.resources: list[ResourceMetrics] = []

    def take(self, body: bytes) -> None:
        self.resources.extend(ExportMetricsServiceRequest.FromString(body).resource_metrics)

    @property
    def metrics(self) -> list[Metric]:
        return [one for resource in self.resources for scope in resource.scope_metrics for one in scope.metrics]

    def points(self, name: str) -> list[NumberDataPoint]:
        found = [one for one in self.metrics if one.name == PREFIX + name]
        return [point for one in found for point in (*one.sum.data_points, *one.gauge.data_points)]

    def most(self, name: str, **attributes: str) -> int:
        """The largest number that was told under these attributes; counters are told as sums since the start."""
        told = [point for point in self.points(name) if attributes_of(point) == attributes]
        return max((point.as_int for point in told), default=-1)


def attributes_of(point: NumberDataPoint) -> dict[str, str]:
    return {one.key: one.value.string_value for one in point.attributes}


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, Heard]]:
    heard = Heard()
    collector = Collector("/v1/metrics", heard.take)
    with running(tmp_path_factory.mktemp("metered")) as live:
        live.kill()
        live.proxy = replace(live.proxy, metrics=MetricsSettings(collector.url, every=timedelta(seconds=1)))
        routes = (Route("open", Path("prefix", "/open"), "echo", public=True),)
        asyncio.run(prepare(live.snapshot(*routes), live.keys, live.proxy))
        live.start()
        yield live, heard
    collector.server.die()


def test_requests_are_counted_by_status_class(heard: tuple[Live, Heard]) -> None:
    live, told = heard

    for path in ("/open", "/open", "/open/hush?secret=hush", "/nowhere"):
        live.get(path, headers={"User-Agent": "hush"})

    wait_until(lambda: told.most("requests", status="2xx") >= 3 and told.most("requests", status="4xx") == 1)
    assert told.most("live") == 1
    assert told.most("bytes", direction="in") > 0


def test_only_what_is_named_leaves_and_says_whose_it_is(heard: tuple[Live, Heard]) -> None:
    live, told = heard

    live.get("/open/hush")

    wait_until(lambda: PREFIX + "request_milliseconds" in {one.name for one in told.metrics})
    names = {one.name for one in told.metrics}
    resource = {one.key: one.value.string_value for one in told.resources[-1].resource.attributes}
    assert names <= {PREFIX + name for name, _ in envoy_metrics.SENT.values()}
    assert (resource["service.name"], resource["service.instance.id"]) == ("kronborg-gateway", "gateway-1")
    assert not any(b"hush" in one.SerializeToString() for one in told.resources)


def test_without_a_collector_there_is_nothing_of_it(tmp_path: FilePath) -> None:
    proxy = Proxy(folder=tmp_path)

    assert envoy_metrics.sinks(proxy) == {"stats_flush_on_admin": True}
    assert envoy_metrics.clusters(proxy) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "collector:4318",
        "ftp://c.example/",
        "http:///v1",
        "http://a:b@c.example/",
        "http://c.example:99999/",
        "http://c\n/",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    told = list(telemetry_problems(TracingSettings(url), MetricsSettings(url)))

    assert [one.where for one in told] == [f"server.gateway.{kind}.collector" for kind in ("tracing", "metrics")]


def test_shares_and_times_are_bounded() -> None:
    fine = "https://collector.example/v1/traces"
    often = MetricsSettings(fine, every=timedelta(milliseconds=10))

    told = list(telemetry_problems(TracingSettings(fine, percent=101), often))

    assert [one.where for one in told] == ["server.gateway.tracing.percent", "server.gateway.metrics.every"]
