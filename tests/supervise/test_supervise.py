"""Children are started, awaited, watched and ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from kronborg.config import Address
from kronborg.supervise import Child, Stopped, Supervisor
from ports import free_port

pytestmark = pytest.mark.anyio

READY = """
import http.server, pathlib, os, sys
pathlib.Path(sys.argv[2]).write_text(str(os.getpid()))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
DIES = "import sys; sys.stderr.write('the database is on fire\\n'); sys.exit(7)"


def child(tmp_path: Path, name: str, code: str = READY) -> Child:
    port = free_port()
    argv = (sys.executable, "-c", code, str(port), str(tmp_path / f"{name}.pid"))
    return Child(name, argv, Address("127.0.0.1", port), setting=f"server.{name}.port")


def alive(tmp_path: Path, name: str) -> bool:
    pid = int((tmp_path / f"{name}.pid").read_text())
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_children_become_ready_and_end_with_the_supervisor(tmp_path: Path) -> None:
    news: list[tuple[str, str]] = []
    stop = asyncio.Event()
    children = [child(tmp_path, "one"), child(tmp_path, "two")]
    supervisor = Supervisor(children, logs=tmp_path, report=lambda *line: news.append(line))

    await supervisor.run(stop, on_ready=stop.set)

    assert sorted(name for name, what in news if what.startswith("ready in")) == ["one", "two"]
    assert not alive(tmp_path, "one")
    assert not alive(tmp_path, "two")


async def test_a_child_that_dies_ends_all_and_shows_its_last_words(tmp_path: Path) -> None:
    supervisor = Supervisor(
        [child(tmp_path, "good"), child(tmp_path, "bad", DIES)], logs=tmp_path, report=lambda *_: None
    )

    with pytest.raises(Stopped) as stopped:
        await supervisor.run(asyncio.Event(), on_ready=lambda: None)

    assert "bad stopped (exit code 7)" in stopped.value.message
    assert "the database is on fire" in stopped.value.message
    assert str(tmp_path / "bad.log") in stopped.value.message


async def test_what_children_write_is_private(tmp_path: Path) -> None:
    stop = asyncio.Event()
    supervisor = Supervisor([child(tmp_path, "one")], logs=tmp_path, report=lambda *_: None)

    await supervisor.run(stop, on_ready=stop.set)

    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in ("one.log", "one.pid")}
    assert modes == {"one.log": 0o600, "one.pid": 0o600}


async def test_a_killed_child_is_named_and_with_restart_comes_back(tmp_path: Path) -> None:
    news: list[tuple[str, str]] = []
    stop = asyncio.Event()

    def report(name: str, what: str) -> None:
        news.append((name, what))
        if len([1 for _, seen in news if seen.startswith("ready")]) == 2:
            stop.set()

    def kill() -> None:
        os.kill(int((tmp_path / "one.pid").read_text()), signal.SIGKILL)

    supervisor = Supervisor([child(tmp_path, "one")], logs=tmp_path, report=report, restart=True)
    await supervisor.run(stop, on_ready=kill)

    assert ("one", "died (killed by SIGKILL), starting again") in news


async def test_a_port_in_use_is_named_with_its_setting(tmp_path: Path) -> None:
    taken = child(tmp_path, "one")
    with socket.create_server(("127.0.0.1", taken.address.port)):
        supervisor = Supervisor([taken], logs=tmp_path, report=lambda *_: None)

        with pytest.raises(Stopped, match=r"is in use; change server\.one\.port"):
            await supervisor.run(asyncio.Event(), on_ready=lambda: None)
