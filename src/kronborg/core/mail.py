"""Mail: a letter is written in the transaction of what it tells of, waits sealed in a table, and is sent by the worker.

Letters carry links and codes, so their text is sealed at rest and forgotten once it is sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from pathlib import Path
from typing import Literal

import orjson

from kronborg.core.crypto import Vault
from kronborg.core.db import Session
from kronborg.core.errors import Problem
from kronborg.core.ids import new_id
from kronborg.core.mail_store import insert_letter

CONTEXT = "core.letter"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class MailSettings:
    """How letters leave: by an SMTP server, or without one as files in a folder (`.eml`), for development.

    The password is read from the environment variable or the file named, at each start.
    """

    sender: str = "Kronborg <kronborg@localhost>"
    host: str | None = None
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password_env: str | None = None
    password_file: Path | None = None
    folder: Path | None = None
    ca_file: Path | None = None


def mail_problems(settings: MailSettings) -> list[Problem]:
    """What would send letters in the clear, or from nobody."""
    problems = []
    sender = parseaddr(settings.sender)[1]
    if not re.fullmatch(r"[^\s@<>,;]+@[^\s@<>,;]+", sender) or not settings.sender.isprintable():
        problems.append(Problem("server.mail.sender", "is no address", "write Company <no-reply@company.example>"))
    if settings.host is not None and settings.security == "none" and settings.host not in LOOPBACK:
        problems.append(
            Problem(
                "server.mail.security", "would send letters in the clear", "use starttls or tls beyond this machine"
            )
        )
    if settings.host is not None and (settings.username is None) == bool(
        settings.password_env or settings.password_file
    ):
        problems.append(Problem("server.mail.password", "and username belong together", "give both, or neither"))
    if settings.ca_file is not None and not settings.ca_file.is_file():
        problems.append(Problem("server.mail.ca_file", "is no file", "give a file of certificates in PEM"))
    return problems


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter to one person, as plain text and, if there is one, as HTML."""

    to: str
    subject: str
    text: str
    html: str | None = None


async def post(session: Session, vault: Vault, letter: Letter, *, now: datetime) -> str:
    """Let a letter be sent after this transaction; its id."""
    letter_id = new_id()
    body = orjson.dumps([letter.to, letter.subject, letter.text, letter.html])
    sealed = vault.seal(body, context=f"{CONTEXT}:{letter_id}")
    await insert_letter(session, letter_id, sealed, now=now)
    return letter_id


def open_letter(vault: Vault, letter_id: str, sealed: str) -> Letter:
    """A letter that waits."""
    return Letter(*orjson.loads(vault.open(sealed, context=f"{CONTEXT}:{letter_id}")))
