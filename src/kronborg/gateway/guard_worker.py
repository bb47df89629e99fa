"""The process that looks into the contents of requests: what a caller sent is read here and nowhere else.

Its parsers and validators are native code that holds a whole process while it runs, and how long that takes is for the
caller to choose. So it is a process of its own, which its parent may end at any moment (`guard_workers.py`): it has no
database, no secret and no environment. Frames are a length and that many bytes: it is given documents to make ready,
says `true` or `false`, and is given requests by the digest of their document, of which it says what it thinks.
"""

from __future__ import annotations

import pickle
import resource
import socket
import struct
import sys
from collections.abc import Mapping

import orjson

from kronborg.core.errors import Invalid
from kronborg.core.json import JsonValue
from kronborg.gateway.documents_check import Sent
from kronborg.gateway.documents_compile import Compiled, compile_document
from kronborg.gateway.documents_model import Described
from kronborg.gateway.guard import look
from kronborg.gateway.model import Route

HEAD = struct.Struct(">I")
LARGEST_FRAME = 8 * 1024 * 1024
MOST_DOCUMENTS = 50
_MEMORY = 2 * 1024 * 1024 * 1024


def send(to: socket.socket, content: bytes) -> None:
    """One frame."""
    to.sendall(HEAD.pack(len(content)) + content)


def receive(of: socket.socket) -> bytes:
    """One frame. Raises `EOFError` when there is no more, or one that is too large."""
    (length,) = HEAD.unpack(_exactly(of, HEAD.size))
    if length > LARGEST_FRAME:
        raise EOFError("a frame is too large")
    return _exactly(of, length)


def _exactly(of: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = of.recv(min(length - len(parts), 1 << 20))
        if not part:
            raise EOFError("nobody is there any more")
        parts += part
    return bytes(parts)


def main() -> None:
    """Answer what comes over standard input until it ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    parent, ready = socket.socket(fileno=0), dict[str, Compiled]()
    send(parent, b"true")
    while True:
        try:
            frame = receive(parent)
        except EOFError:
            return
        # Written by our parent: nobody else has the other end.
        asked = pickle.loads(frame)  # noqa: S301
        answer = _made_ready(ready, asked) if isinstance(asked, Described) else _looked(ready, *asked)
        send(parent, orjson.dumps(answer, default=str))


def _made_ready(ready: dict[str, Compiled], document: Described) -> bool:
    try:
        compiled = compile_document(orjson.loads(document.content))
    except Invalid:
        return False
    if len(ready) >= MOST_DOCUMENTS:
        ready.clear()
    ready[document.digest] = compiled
    return True


def _looked(ready: Mapping[str, Compiled], route: Route, sent: Sent, digest: str) -> JsonValue:
    verdict = look(route, sent, ready[digest] if digest else None)
    return [
        verdict.reason,
        verdict.reported,
        [[one.reason, one.expected, one.pointer, one.place] for one in verdict.errors],
    ]


if __name__ == "__main__":
    main()
    sys.exit()
