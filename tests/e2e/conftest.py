"""One running demo for the whole folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from certificates import certificate
from e2e.published import Published, publishing
from e2e.stack import PORTS, Stack, running_demo
from kronborg.cli.demo import write_files
from ports import free_ports

FETCH = '  fetch: { allow: ["127.0.0.0/8", "::1/128"], ca_file: ca.pem }\n'
"""Lets the demo fetch what `published` has, which is not at a public address."""


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the demo that all share."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="session")
def published(demo_data: Path) -> Iterator[Published]:
    context, _ = certificate(demo_data, "localhost")
    with publishing(context) as published:
        yield published


@pytest.fixture(scope="session")
def stack(demo_data: Path, published: Published) -> Iterator[Stack]:
    base = free_ports(PORTS)[0]
    write_files(demo_data, base)
    file = demo_data / "kronborg.yaml"
    file.write_text(file.read_text().replace("server:\n", "server:\n" + FETCH, 1))
    with running_demo(demo_data, port_base=base) as running:
        yield running
