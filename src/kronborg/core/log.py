"""Structured logs: one JSON object a line, with the request id, and without secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import TextIO, cast

import orjson

# structlog loads rich where there is one, for a console that no process of ours has: 4 MB and a quarter of a second.
_WITHOUT_RICH = "rich" not in sys.modules
if _WITHOUT_RICH:
    sys.modules["rich"] = None  # type: ignore[assignment]  # how Python says that there is no such module
import structlog  # noqa: E402

if _WITHOUT_RICH:
    del sys.modules["rich"]

_request_id: ContextVar[str] = ContextVar("request_id", default="")

_SECRET_KEYS = re.compile(
    r"secret|password|passwd|token|assertion|cookie|authorization|code_verifier|api_key|private|credential", re.I
)
_SECRET_TEXT = re.compile(
    r"kro_[a-z]{2}_[A-Za-z0-9_-]{8,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]+|(?<=(?i:bearer) )\S+|(?<=(?i:basic) )\S+"
)
REDACTED = "[redacted]"
MAX_TEXT = 2000


def current_request_id() -> str:
    """The id of the request this task serves, or an empty string outside a request."""
    return _request_id.get()


def bind_request_id(request_id: str) -> None:
    """Make `request_id` part of every log line and event of this task."""
    _request_id.set(request_id)


def redact(event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Blank values whose key names a secret, and text that looks like a token; bound every text."""
    for key, value in list(event.items()):
        if _SECRET_KEYS.search(key):
            event[key] = REDACTED
        elif isinstance(value, str):
            event[key] = _SECRET_TEXT.sub(REDACTED, value)[:MAX_TEXT]
        elif isinstance(value, dict):
            event[key] = redact(value)
    return event


def _finish(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    request_id = _request_id.get()
    if request_id:
        event["request_id"] = request_id
    return redact(event)


def configure(process: str, *, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send our logs and those of the libraries to `stream` (standard error) as JSON lines naming `process`."""
    target = stream or sys.stderr
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        cast("structlog.types.Processor", _finish),
    ]

    def render(_logger: object, _method: str, event: MutableMapping[str, object]) -> str:
        return orjson.dumps({"process": process, **event}, default=str).decode()

    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            cast("structlog.types.Processor", render),
        ],
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx", "httpcore", "aiosqlite", "sqlalchemy.engine", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger: `log.info("token_issued", client_id=…)`: a fixed event name, then facts as keywords."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
