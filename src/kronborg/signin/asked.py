"""What strangers asked for by typing an address, answered by the worker.

The page only keeps the question. So its answer takes the same time whoever is known here, and what it costs to look
somebody up, to make a link and to write a letter cannot be measured from outside.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from kronborg.accounts.links import told_in
from kronborg.accounts.links_store import list_asked, take_asked
from kronborg.accounts.people import People
from kronborg.core.crypto import KeyProblem
from kronborg.core.db import Database, Session
from kronborg.core.json import JsonObject
from kronborg.core.log import get_logger
from kronborg.signin import recovery, registration

log = get_logger("kronborg.asked")

BATCH = 50


Answer = Callable[[Session, People, JsonObject, datetime], Awaitable[None]]

ANSWERS: Mapping[str, Answer] = {
    registration.REGISTER: registration.answer_registration,
    registration.ATTACH: registration.answer_attachment,
    recovery.FORGOT: recovery.answer_forgotten,
}


async def answer_asked(database: Database, people: People, *, now: datetime) -> int:
    """Answer what waits, at most a batch; how many. An idle installation writes nothing."""
    async with database.read() as reading:
        waiting = await list_asked(reading, limit=BATCH)
    for asked in waiting:
        async with database.write() as session:
            if not await take_asked(session, asked.id):
                continue  # another worker was faster
            try:
                told = told_in(people.letters.vault, asked)
            except KeyProblem:
                log.warning("asked_with_another_key", kind=asked.kind)
                continue
            await ANSWERS[asked.kind](session, people, told, now)
    return len(waiting)
