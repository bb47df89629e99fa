"""The whole product as a newcomer starts it: `kronborg demo`, on free ports, with data of its own."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from kronborg.supervise import die_with_parent
from ports import free_ports

START_WITHIN = 60
PORTS = 18
"""In a row, as many as a demo takes."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running demo."""

    process: subprocess.Popen[str]
    data: Path
    shop: str
    gateway: str
    identity: str
    wish_list: str
    mcp: str
    passwords: dict[str, str]

    def secret(self, client: str) -> str:
        """The secret that the demo made for one of its machine clients."""
        return (self.data / "secrets" / client).read_text().strip()

    def token(self, client: str, **parameters: str) -> str:
        """An access token by client credentials."""
        answer = httpx.post(
            f"{self.identity}/oauth/token",
            data={"grant_type": "client_credentials", **parameters},
            auth=(client, self.secret(client)),
            trust_env=False,
        )
        answer.raise_for_status()
        token: str = answer.json()["access_token"]
        return token


def demo_command(data: Path, port_base: int, *more: str) -> list[str]:
    """How the demo is started."""
    kronborg = Path(sys.executable).with_name("kronborg")
    return [str(kronborg), "demo", "--json", "--data", str(data), "--port-base", str(port_base), *more]


@contextmanager
def running_demo(data: Path, *, port_base: int | None = None, more: tuple[str, ...] = ()) -> Iterator[Stack]:
    """Start a demo and wait until it says where things are; ends it with SIGINT."""
    base = port_base or free_ports(PORTS)[0]
    process = subprocess.Popen(
        demo_command(data, base, *more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    try:
        facts = _first_line(process)
        yield Stack(
            process,
            data,
            shop=facts["shop"],
            gateway=facts["gateway"],
            identity=facts["identity"],
            wish_list=facts["wish_list"],
            mcp=facts["mcp"],
            passwords=facts["users"],
        )
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        if not process.stdout or not process.stdout.closed:
            process.communicate(timeout=30)


def _first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    assert process.stderr is not None
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline:
        readable, _, _ = select.select([process.stdout], [], [], 0.5)
        if readable:
            line = process.stdout.readline()
            if line.startswith("{"):
                facts: dict[str, Any] = json.loads(line)
                return facts
            if not line:
                break
    process.terminate()
    raise AssertionError(f"the demo did not start: {process.stderr.read()}")
