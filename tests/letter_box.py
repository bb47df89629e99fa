"""What people find in their mailboxes: the worker's part done at once, letters as files, links as paths."""

from __future__ import annotations

import email
import re
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from kronborg.accounts.people import People
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.events import latest
from kronborg.core.mail import MailSettings
from kronborg.core.mail_delivery import PostOffice, deliver
from kronborg.signin import notices
from kronborg.signin.asked import answer_asked


@dataclass
class Mailbox:
    """All mail of an installation, delivered into a folder."""

    database: Database
    vault: Vault
    people: People
    folder: Path
    seen: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)

    async def turn(self, *, now: datetime | None = None) -> list[EmailMessage]:
        """Do what the worker does, and give the letters that came."""
        now = now or clock.now()
        await answer_asked(self.database, self.people, now=now)
        async with self.database.read() as session:
            events = await latest(session, limit=200)
        for event in reversed(events):
            if event.name in notices.LETTERS and event.id not in self.told:
                self.told.add(event.id)
                await notices.tell(self.database, self.people, event, now=now)
        office = PostOffice(MailSettings(folder=self.folder), self.folder, "localhost")
        while await deliver(self.database, self.vault, office, now=now):
            pass
        new = sorted(path for path in self.folder.glob("*.eml") if path.name not in self.seen)
        self.seen.update(path.name for path in new)
        return [read(path.read_bytes()) for path in new]


def read(content: bytes) -> EmailMessage:
    """A message as it was sent."""
    return email.message_from_bytes(content, policy=default)


def text_of(letter: EmailMessage) -> str:
    """The plain text of a letter."""
    body = letter.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def link_in(letter: EmailMessage, issuer: str = "http://localhost:8081") -> str:
    """The path of the one link in a letter."""
    [link] = re.findall(rf"{re.escape(issuer)}(/\S+)", text_of(letter))
    return str(link)
