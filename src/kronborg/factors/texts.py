"""Text messages: through an HTTP webhook, a function of the operator's own, or as files for development."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Awaitable, Callable

import orjson

from kronborg.core.errors import Refusal
from kronborg.core.fetch import Fetcher, Unreachable
from kronborg.core.ids import new_id
from kronborg.core.log import get_logger
from kronborg.factors.model import SmsSettings

log = get_logger("kronborg.texts")

Sender = Callable[[str, str], Awaitable[None]]
"""Sends a text (second) to a number (first). Raises `NotSent`."""

LONGEST = 10.0
"""Seconds that a function of the operator's own may take."""


class NotSent(Refusal):
    """The message did not leave; the reason is in the log."""

    def __init__(self) -> None:
        super().__init__("the text message could not be sent")


def sender_of(settings: SmsSettings, fetcher: Fetcher, *, secret: str | None = None) -> Sender:
    """The way that the settings name. `secret` is what they say where to find."""
    if settings.webhook is not None:
        return _by_webhook(settings.webhook, fetcher, secret)
    if settings.function is not None:
        return _by_function(settings.function)
    if settings.folder is not None:
        return _by_folder(settings)
    raise ValueError("the settings name no way to send text messages")


def _by_webhook(url: str, fetcher: Fetcher, secret: str | None) -> Sender:
    headers = {} if secret is None else {"authorization": f"Bearer {secret}"}

    async def send(number: str, text: str) -> None:
        body = orjson.dumps({"to": number, "text": text})
        try:
            answer = await fetcher.post(url, body, "application/json", headers)
        except Unreachable:
            raise NotSent from None
        if not 200 <= answer.status < 300:
            log.warning("text_refused", status=answer.status)
            raise NotSent

    return send


def _by_function(name: str) -> Sender:
    async def send(number: str, text: str) -> None:
        module, _, attribute = name.partition(":")
        try:
            function = getattr(importlib.import_module(module), attribute)
            async with asyncio.timeout(LONGEST):
                if inspect.iscoroutinefunction(function):
                    await function(number, text)
                else:
                    await asyncio.to_thread(function, number, text)
        except Exception:  # code of the operator's own: whatever it raises, the message did not leave
            log.exception("text_failed")
            raise NotSent from None

    return send


def _by_folder(settings: SmsSettings) -> Sender:
    folder = settings.folder
    if folder is None:
        raise ValueError("no folder")

    async def send(number: str, text: str) -> None:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread((folder / f"{new_id()}.txt").write_text, f"To: {number}\n\n{text}\n", encoding="utf-8")

    return send
