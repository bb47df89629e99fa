"""`server.identity.workers`: several identity processes on one port, each watched for itself."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest

from kronborg.cli.store_access import prepare
from kronborg.cli.up import product_children
from kronborg.config import Address, Settings, load_settings, resolved
from kronborg.core.errors import Invalid
from kronborg.server import port_is_free
from kronborg.supervise import Child, Stopped, Supervisor, check_ports
from ports import free_port

pytestmark = pytest.mark.anyio


def settings_for(tmp_path: Path, *, workers: int) -> Settings:
    port = free_port()
    settings = Settings(
        data=tmp_path,
        issuer=f"http://localhost:{port}",
        identity=Address("127.0.0.1", port),
        identity_workers=workers,
    )
    return load_settings(environ=resolved(settings))


def identity_children(settings: Settings) -> list[Child]:
    return [child for child in product_children(settings) if child.name.startswith("identity")]


async def processes_behind(url: str) -> set[str]:
    """Who answers: a request id begins with the process that gave it."""
    seen = set()
    for _ in range(60):
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"{url}/.well-known/openid-configuration")
        assert answer.status_code == 200
        seen.add(answer.headers["x-request-id"].partition("-")[0])
        if len(seen) == 2:
            break
    return seen


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux spreads connections over those who share a port")
async def test_two_workers_share_the_port_and_one_that_is_killed_comes_back(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, workers=2)
    await asyncio.to_thread(prepare, settings)
    news: list[tuple[str, str]] = []
    stop, ready, again = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def report(name: str, what: str) -> None:
        news.append((name, what))
        if [one for one, said in news if said.startswith("ready")].count("identity-2") == 2:
            again.set()

    supervisor = Supervisor(identity_children(settings), logs=tmp_path, report=report, restart=True)
    running = asyncio.ensure_future(supervisor.run(stop, on_ready=ready.set))
    async with asyncio.timeout(60):
        await ready.wait()
        before = await processes_behind(settings.identity.url)
        os.kill(supervisor.pids["identity-2"], signal.SIGKILL)
        await again.wait()
        after = await processes_behind(settings.identity.url)
        stop.set()
        await running

    assert len(before) == len(after) == 2
    assert len(before & after) == 1
    assert ("identity-2", "died (killed by SIGKILL), starting again") in news
    assert port_is_free(settings.identity.host, settings.identity.port)


def test_one_worker_is_one_process_as_ever(tmp_path: Path) -> None:
    [child] = identity_children(settings_for(tmp_path, workers=1))

    assert (child.name, child.shared) == ("identity", False)


def test_a_port_in_use_is_told_once_for_all_workers(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, workers=3)
    here = settings.identity
    with socket.create_server((here.host, here.port)), pytest.raises(Stopped) as stopped:
        check_ports(identity_children(settings))

    assert stopped.value.message.count("is in use") == 1
    assert "change server.identity.port" in stopped.value.message


@pytest.mark.parametrize("workers", ["0", "65", "many"])
def test_how_many_is_bounded(tmp_path: Path, workers: str) -> None:
    file = tmp_path / "kronborg.yaml"
    file.write_text(f"version: 1\nserver:\n  identity:\n    workers: {workers}\n")

    with pytest.raises(Invalid) as invalid:
        load_settings(file, tmp_path, {})

    assert "workers" in invalid.value.problems[0].where


def test_the_file_says_how_many(tmp_path: Path) -> None:
    file = tmp_path / "kronborg.yaml"
    file.write_text("version: 1\nserver:\n  identity:\n    workers: 4\n")

    settings = load_settings(file, tmp_path, {})

    assert [child.name for child in identity_children(settings)] == [f"identity-{n}" for n in (1, 2, 3, 4)]
