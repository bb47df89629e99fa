"""Whoever asks the processes that look into contents, and ends those that take too long.

A few processes of `guard_worker.py`, begun when the first is needed. One that gives no answer in time is killed, with
whatever it was at, and another takes its place: the control process itself never waits for what a caller sent.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import subprocess
import sys
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from queue import LifoQueue

import orjson
from prometheus_client import Counter

from kronborg.core.log import get_logger
from kronborg.gateway.documents_check import Sent
from kronborg.gateway.documents_model import Described
from kronborg.gateway.guard import Verdict
from kronborg.gateway.guard_json import Refused
from kronborg.gateway.guard_worker import MOST_DOCUMENTS, receive, send
from kronborg.gateway.model import Route

log = get_logger("kronborg.gateway.guard")

SECONDS = 1.0
"""How long a look may take: the proxy waits for two."""
PATIENCE = 1.5
"""A request that waited longer for its turn is not looked at any more: its caller was refused by then."""
READY_SECONDS = 15.0
"""How long a process may take to begin, and to make a document ready that it did not know: no caller wrote these."""
MOST = 2

killed = Counter("kronborg_guard_killed", "Processes that took too long with what a request held")


class TookTooLong(Exception):
    """Nobody could look into the request in time."""


class NotReady(Exception):
    """The document of the service cannot be made ready."""


class _Worker:
    """One process."""

    def __init__(self) -> None:
        self._end, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kronborg.gateway.guard_worker"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={"PYTHONPATH": ":".join(one for one in sys.path if one)},
                start_new_session=True,
            )
        # When this object goes, and when the interpreter ends.
        self.end = weakref.finalize(self, _end, self._process, self._end)
        self._known: set[str] = set()
        self._end.settimeout(READY_SECONDS)
        receive(self._end)

    def look(self, route: Route, sent: Sent, document: Described | None, seconds: float) -> Verdict:
        """Raises `OSError` (also for a timeout), `EOFError`, `NotReady`."""
        if document is not None and document.digest not in self._known:
            self._make_ready(document)
        self._end.settimeout(seconds)
        send(self._end, pickle.dumps((route, sent, document.digest if document else "")))
        reason, reported, errors = orjson.loads(receive(self._end))
        return Verdict(reason, tuple(Refused(*one) for one in errors), reported)

    def _make_ready(self, document: Described) -> None:
        self._end.settimeout(READY_SECONDS)
        send(self._end, pickle.dumps(document))
        if not orjson.loads(receive(self._end)):
            raise NotReady
        if len(self._known) >= MOST_DOCUMENTS:
            self._known.clear()  # as the process did
        self._known.add(document.digest)


class Workers:
    """At most `MOST` processes, each at one request."""

    def __init__(self, *, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(MOST, thread_name_prefix="guard")
        self._idle: LifoQueue[_Worker] = LifoQueue()

    async def look(self, route: Route, sent: Sent, document: Described | None) -> Verdict:
        """What a process says of the contents of a request. Raises `TookTooLong`, `NotReady`."""
        asked = time.monotonic()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._look, route, sent, document, asked)

    def _look(self, route: Route, sent: Sent, document: Described | None, asked: float) -> Verdict:
        if time.monotonic() - asked > PATIENCE:
            raise TookTooLong
        try:
            worker = _Worker() if self._idle.empty() else self._idle.get()
        except (OSError, EOFError) as failure:
            raise TookTooLong from failure
        try:
            verdict = worker.look(route, sent, document, self._seconds)
        except NotReady:
            self._idle.put(worker)
            raise
        except (OSError, EOFError) as failure:
            worker.end()
            killed.inc()
            log.warning("guard_worker_ended", route=route.name, timeout=isinstance(failure, TimeoutError))
            raise TookTooLong from failure
        self._idle.put(worker)
        return verdict


def _end(process: subprocess.Popen[bytes], end: socket.socket) -> None:
    end.close()
    process.kill()
    process.wait()
