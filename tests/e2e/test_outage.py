"""Identity is killed; the gateway goes on serving the tokens it can verify by itself."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from e2e.stack import running_demo
from kronborg.cli.demo import demo_children
from kronborg.config import load_settings
from kronborg.supervise import Stopped, Supervisor

pytestmark = pytest.mark.anyio


async def test_the_gateway_serves_valid_jwts_while_identity_is_killed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_demo(data) as demo:
        jwt = demo.token("shop-batch", scope="inventory:read")
    settings = load_settings(data / "kronborg.yaml", data)
    children = demo_children(settings)
    identity = Supervisor([c for c in children if c.name == "identity"], logs=data / "logs", report=lambda *_: None)
    rest = Supervisor([c for c in children if c.name != "identity"], logs=data / "logs", report=lambda *_: None)
    stop, up, identity_up = asyncio.Event(), asyncio.Event(), asyncio.Event()
    url, headers = f"{settings.gateway_url}/inventory/stock", {"authorization": f"Bearer {jwt}"}

    async with httpx.AsyncClient(trust_env=False) as http, asyncio.TaskGroup() as tasks:
        dying = tasks.create_task(swallow(identity, identity_up))
        tasks.create_task(rest.run(stop, on_ready=up.set))
        await identity_up.wait()
        await up.wait()
        before = await http.get(url, headers=headers)
        os.kill(pid_of("kronborg.run identity", data), signal.SIGKILL)
        reason = await dying
        during = [await http.get(url, headers=headers) for _ in range(20)]
        forged = await http.get(url, headers={"authorization": f"Bearer {jwt[:-6]}AAAAAA"})
        stop.set()

    assert "identity stopped (killed by SIGKILL)" in reason
    assert before.status_code == 200
    assert {answer.status_code for answer in during} == {200}
    assert forged.status_code == 401


async def swallow(supervisor: Supervisor, up: asyncio.Event) -> str:
    with suppress(asyncio.CancelledError):
        try:
            await supervisor.run(asyncio.Event(), on_ready=up.set)
        except Stopped as stopped:
            return stopped.message
    return ""


def pid_of(words: str, data: Path) -> int:
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if words in line and str(data) in line:
            return int(process.pid)
    raise AssertionError(f"no process {words}")
