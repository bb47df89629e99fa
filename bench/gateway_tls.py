"""What TLS costs at the gateway for each request on open connections: Envoy's own CPU time, ways taking turns.

`PYTHONPATH=.:tests .venv/bin/python -m bench.gateway_tls`
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from gateway.live import running
from gateway.tls_callers import AUTHORITY, Caller, Kept, caller_certificate, server_certificate
from kronborg.gateway.deliver import prepare
from kronborg.gateway.envoy import tls
from kronborg.gateway.listener_model import Listener, ListenerTls
from kronborg.gateway.model import Path as RoutePath
from kronborg.gateway.model import Route
from kronborg.gateway.secret_files import refresh
from ports import free_port

REQUESTS = 2000
ROUNDS = 4
ASK = b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n"


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def calls(connection: socket.socket, times: int) -> None:
    """Ask one after the other."""
    for _ in range(times):
        connection.sendall(ASK)
        received = b""
        while not received.endswith(b"}"):
            received += connection.recv(65_536)


def main() -> None:
    """Print microseconds of CPU for each request, and the ratio to plain HTTP."""
    folder = Path(tempfile.mkdtemp())
    (folder / "authority.pem").write_bytes(AUTHORITY.pem)
    mutual = ListenerTls(("here",), client_certificates="required", authorities=str(folder / "authority.pem"))
    ways = {"plain": None, "tls": ListenerTls(("here",)), "mutual": mutual}
    listeners = tuple(Listener(name, port=free_port(), tls=how) for name, how in ways.items())
    own = {"plain": None, "tls": None, "mutual": caller_certificate()}
    with running(folder) as live, contextlib.ExitStack() as stack:
        live.kill()
        live.proxy = replace(live.proxy, listeners=listeners)
        snapshot = live.snapshot(Route("open", RoutePath("prefix", "/open"), "echo", public=True))
        kept = Kept({"here": server_certificate("localhost")})
        names = tls.needed(snapshot, live.proxy)
        asyncio.run(refresh(names, kept, live.proxy, now=datetime.now(UTC)))
        asyncio.run(prepare(snapshot, live.keys, live.proxy))
        live.start()
        assert live.process is not None
        connections: dict[str, socket.socket] = {}
        for one in listeners:
            if one.tls is None:
                connections[one.name] = stack.enter_context(socket.create_connection(("127.0.0.1", one.port)))
            else:
                caller = Caller(folder, one.port, own=own[one.name])
                connections[one.name] = stack.enter_context(caller.connected())
            calls(connections[one.name], 200)
        spent = dict.fromkeys(ways, 0.0)
        for _ in range(ROUNDS):
            for name, connection in connections.items():
                before = cpu(live.process.pid)
                calls(connection, REQUESTS)
                spent[name] += cpu(live.process.pid) - before
    for name, seconds in spent.items():
        each = seconds / (ROUNDS * REQUESTS) * 1_000_000
        print(f"{name:8} {each:7.1f} us CPU for each request   {seconds / spent['plain']:.2f} of plain")


if __name__ == "__main__":
    main()
