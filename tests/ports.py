"""Free ports below the range that outgoing connections take theirs from."""

from __future__ import annotations

import os
import random
import socket

_chooser = random.Random(os.getpid() ^ int.from_bytes(os.urandom(4), "big"))


def free_port() -> int:
    """A port between 10000 and 32767 on which nothing listens now."""
    return free_ports(1)[0]


def free_ports(count: int) -> tuple[int, ...]:
    """`count` free ports in a row."""
    for _ in range(500):
        first = _chooser.randrange(10000, 32767 - count)
        if all(_is_free(port) for port in range(first, first + count)):
            return tuple(range(first, first + count))
    raise RuntimeError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
