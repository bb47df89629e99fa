"""A page of the feed of revocations on its way to a gateway elsewhere, and there."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from kronborg.core.json import JsonValue
from kronborg.tokens.feed import Page, plain
from kronborg.tokens.feed_store import Kind, Revocation

_KINDS: dict[str, Kind] = {
    "token": "token",
    "grant": "grant",
    "session": "session",
    "client": "client",
    "user": "user",
    "key": "key",
    "address": "address",
}


def write_page(page: Page) -> bytes:
    """A page as JSON."""
    entries = [plain(entry) for entry in page.entries]
    return orjson.dumps({"entries": entries, "last": page.last, "reset": page.reset, "more": page.more})


def read_page(body: bytes) -> Page:
    """The page that `write_page` made this of, to the second. Raises `ValueError`."""
    told = orjson.loads(body)
    try:
        entries = tuple(_entry(one) for one in told["entries"])
        last, reset, more = told["last"], told["reset"], told["more"]
    except (KeyError, TypeError) as error:
        raise ValueError("a page is not as written") from error
    if not isinstance(last, int) or not isinstance(reset, bool):
        raise ValueError("a page is not as written")
    return Page(entries, last, reset, more is True)


def _entry(told: dict[str, JsonValue]) -> Revocation:
    begin = told["not_before"]
    return Revocation(
        int(str(told["seq"])),
        _KINDS[str(told["kind"])],
        str(told["subject"]),
        None if begin is None else _moment(begin),
        _moment(told["until"]),
        _moment(told["at"]),
    )


def _moment(seconds: JsonValue) -> datetime:
    return datetime.fromtimestamp(int(str(seconds)), UTC)
