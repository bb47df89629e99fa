"""Documents of others, kept: for how long, renewed when, and asked for once however many wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from kronborg.core.fetch import Fetcher, Unreachable
from kronborg.core.kept import LONGEST, MOST, SHORTEST, USUAL
from outside import LOOPBACK, Answer, Asked, Outside, outside

pytestmark = pytest.mark.anyio
SECOND = timedelta(seconds=1)


def counted(there: Outside, cache_control: str = "", status: int = 200) -> None:
    """Answer with how often it was asked."""

    def answer(_asked: Asked) -> Answer:
        return Answer(b'{"n":%d}' % len(there.asked), headers={"cache-control": cache_control}, status=status)

    there.answers["/doc"] = answer


def held(begun: asyncio.Event, until: asyncio.Event) -> Callable[[Asked], Answer]:
    """Say that somebody asked, and answer later."""

    def answer(_asked: Asked) -> Answer:
        begun.set()
        return Answer(b'{"a":1}', until=until)

    return answer


@pytest.mark.parametrize(
    ("cache_control", "kept"),
    [
        ("", USUAL),
        ("max-age=300", timedelta(minutes=5)),
        ("public, Max-Age=300, must-revalidate", timedelta(minutes=5)),
        ("max-age=0", SHORTEST),
        ("no-store", SHORTEST),
        ("no-cache, max-age=300", SHORTEST),
        ("max-age=999999999", LONGEST),
        ("max-age=-5", USUAL),
        ("x-max-age=5", USUAL),
    ],
)
async def test_a_document_is_kept_as_long_as_its_server_says_within_bounds(
    now: datetime, cache_control: str, kept: timedelta
) -> None:
    async with outside() as there:
        counted(there, cache_control)
        fetcher, url = Fetcher(LOOPBACK), there.url("/doc")

        answers = [await fetcher.document(url, now=moment) for moment in (now, now + kept - SECOND, now + kept)]

    assert answers == [{"n": 1}, {"n": 1}, {"n": 2}]


async def test_a_document_is_renewed_before_its_time_at_most_every_half_minute(now: datetime) -> None:
    async with outside() as there:
        counted(there)
        fetcher, url = Fetcher(LOOPBACK), there.url("/doc")
        moments = [now + timedelta(seconds=seconds) for seconds in (0, 1, 29, 31, 32)]

        answers = [await fetcher.document(url, now=moment, renew=True) for moment in moments]

    assert answers == [{"n": 1}, {"n": 1}, {"n": 1}, {"n": 2}, {"n": 2}]


async def test_a_failure_is_remembered_and_does_not_take_away_what_was_there(now: datetime) -> None:
    async with outside() as there:
        fetcher, url = Fetcher(LOOPBACK), there.url("/doc")
        for moment in (now, now + 29 * SECOND):
            with pytest.raises(Unreachable):
                await fetcher.document(url, now=moment)
        tried = len(there.asked)
        counted(there)
        first = await fetcher.document(url, now=now + 30 * SECOND)
        counted(there, status=500)
        stale = await fetcher.document(url, now=now + 30 * SECOND + USUAL)
        with pytest.raises(Unreachable):
            await fetcher.document(url, now=now + 30 * SECOND + LONGEST)

    assert tried == 1
    assert stale == first


async def test_an_unchanged_document_is_not_sent_again(now: datetime) -> None:
    def answer(asked: Asked) -> Answer:
        unchanged = asked.headers.get("if-none-match") == '"1"'
        return Answer(b"" if unchanged else b'{"a":1}', status=304 if unchanged else 200, headers={"etag": '"1"'})

    async with outside() as there:
        there.answers["/doc"] = answer
        fetcher, url = Fetcher(LOOPBACK), there.url("/doc")

        first = await fetcher.document(url, now=now)
        second = await fetcher.document(url, now=now + USUAL)
        third = await fetcher.document(url, now=now + 2 * USUAL)

    assert first is second is third
    assert [asked.headers.get("if-none-match") for asked in there.asked] == [None, '"1"', '"1"']


async def test_many_who_want_a_document_at_once_ask_for_it_once(now: datetime) -> None:
    over, begun = asyncio.Event(), asyncio.Event()
    async with outside() as there:
        there.answers["/doc"] = held(begun, over)
        fetcher, url = Fetcher(LOOPBACK), there.url("/doc")
        waiting = [asyncio.create_task(fetcher.document(url, now=now)) for _ in range(20)]
        await begun.wait()
        over.set()
        answers = await asyncio.gather(*waiting)

    assert answers == [{"a": 1}] * 20
    assert len(there.asked) == 1


async def test_one_who_gives_up_does_not_take_the_others_along(now: datetime) -> None:
    over, begun = asyncio.Event(), asyncio.Event()
    async with outside() as there:
        there.answers["/doc"] = held(begun, over)
        fetcher, url = Fetcher(LOOPBACK), there.url("/doc")
        first = asyncio.create_task(fetcher.document(url, now=now))
        await begun.wait()
        second = asyncio.create_task(fetcher.document(url, now=now))
        await asyncio.sleep(0)
        first.cancel()
        over.set()
        answer = await second

    assert answer == {"a": 1}
    assert first.cancelled()


async def test_what_is_kept_is_bounded(now: datetime) -> None:
    async with outside() as there:
        for number in range(MOST + 2):
            there.answers[f"/doc/{number}"] = Answer(b"{}")
        fetcher = Fetcher(LOOPBACK)
        for number in range(MOST + 1):
            await fetcher.document(there.url(f"/doc/{number}"), now=now)
        asked = len(there.asked)
        await fetcher.document(there.url("/doc/1"), now=now)
        await fetcher.document(there.url("/doc/0"), now=now)

    assert (asked, len(there.asked)) == (MOST + 1, MOST + 2)


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":1e999}', b"\xff", b""])
async def test_what_is_no_json_object_is_refused(now: datetime, body: bytes) -> None:
    async with outside() as there:
        there.answers["/doc"] = Answer(body)

        with pytest.raises(Unreachable):
            await Fetcher(LOOPBACK).document(there.url("/doc"), now=now)
