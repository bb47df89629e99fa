"""Free ports below the range that outgoing connections take theirs from, each given once, to one test worker only."""

from __future__ import annotations

import os
import random
import re
import socket

LOWEST, HIGHEST = 10_000, 32_767
WORKERS = 4
"""Test workers that share the ports between them (`--maxprocesses`)."""

_chooser = random.Random(os.getpid() ^ int.from_bytes(os.urandom(4), "big"))
_given: set[int] = set()


def free_port() -> int:
    """A port on which nothing listens now."""
    return free_ports(1)[0]


def free_ports(count: int) -> tuple[int, ...]:
    """`count` free ports in a row."""
    first, last = _share()
    for _ in range(500):
        start = _chooser.randrange(first, last - count)
        ports = tuple(range(start, start + count))
        if _given.isdisjoint(ports) and all(_is_free(port) for port in ports):
            _given.update(ports)
            return ports
    raise RuntimeError("no free ports")


def _share() -> tuple[int, int]:
    """The ports of this worker: somebody else must not take one between its choice and its use."""
    found = re.fullmatch(r"gw(\d+)", os.environ.get("PYTEST_XDIST_WORKER", ""))
    if found is None:
        return LOWEST, HIGHEST
    size = (HIGHEST - LOWEST) // WORKERS
    first = LOWEST + int(found[1]) % WORKERS * size
    return first, first + size


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
