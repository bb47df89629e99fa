"""How letters leave: a batch at a time, by SMTP (RFC 5321) or as `.eml` files, tried again for a day and then given up.

A letter is claimed, sent outside every transaction, and forgotten. A crash in between sends it once more.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as CRLF
from email.policy import SMTPUTF8 as CRLF_UTF8
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import TYPE_CHECKING

from kronborg.core.crypto import KeyProblem, Vault
from kronborg.core.db import Database
from kronborg.core.events import record
from kronborg.core.json import JsonObject
from kronborg.core.mail import Letter, MailSettings, open_letter
from kronborg.core.mail_store import (
    Waiting,
    claim_letter,
    delete_letter,
    delete_old_counts,
    due_letters,
    put_off_letter,
)

if TYPE_CHECKING:
    from aiosmtplib import SMTP

BATCH = 20
LEASE = timedelta(minutes=2)
GIVE_UP_AFTER = timedelta(days=1)
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
TIMEOUT = 20.0
"""Seconds for each step of the conversation with the server."""


class NotSent(Exception):
    """A letter did not leave. `for_good`: the server will never take it."""

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.for_good = reason, for_good


@dataclass(frozen=True, slots=True)
class PostOffice:
    """Where letters go: the settings, with the password read and the folder resolved; `domain` names our letters."""

    settings: MailSettings
    folder: Path
    domain: str
    password: str | None = None


async def deliver(database: Database, vault: Vault, office: PostOffice, *, now: datetime) -> int:
    """Send what is due, at most a batch; how many letters were looked at. An idle installation writes nothing."""
    async with database.read() as reading:
        due = await due_letters(reading, now=now, limit=BATCH)
    if not due:
        return 0
    async with _carrier(office) as carrier:
        for looked_at, waiting in enumerate(due, 1):
            async with database.write() as session:
                if not await claim_letter(session, waiting, until=now + LEASE):
                    continue
            try:
                await carrier.carry(_message(vault, office, waiting, now=now), name=f"{now:%Y%m%dT%H%M%S}-{waiting.id}")
            except NotSent as failure:
                await _failed(database, waiting, failure, now=now)
                if not failure.for_good:
                    return looked_at  # the server is away, or busy: the others wait for another turn
            else:
                async with database.write() as session:
                    await delete_letter(session, waiting.id)
    return len(due)


async def send_now(office: PostOffice, letter: Letter, *, now: datetime) -> None:
    """Send one letter, past the queue. Raises `NotSent`."""
    message = compose(letter, office, letter_id=f"{now:%Y%m%d%H%M%S}", now=now)
    async with _carrier(office) as carrier:
        await carrier.carry(message, name=f"{now:%Y%m%dT%H%M%S}-test")


async def forget_counts(database: Database, *, now: datetime) -> int:
    """Forget how many letters addresses were sent long ago, a batch; how many."""
    async with database.write() as session:
        return await delete_old_counts(session, before=now - timedelta(days=1), limit=500)


def compose(letter: Letter, office: PostOffice, *, letter_id: str, now: datetime) -> EmailMessage:
    """The message (RFC 5322). Raises `NotSent` for an address that is none: nothing of it becomes a header."""
    name, address = parseaddr(office.settings.sender)
    to, sender = _address(letter.to), _address(address, name)
    ascii_only = to.addr_spec.isascii() and sender.addr_spec.isascii()
    message = EmailMessage(policy=CRLF if ascii_only else CRLF_UTF8)
    message["From"] = sender
    message["To"] = to
    # A line break would begin another header (RFC 5322 §2.2).
    message["Subject"] = " ".join(letter.subject.split())
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{letter_id}@{office.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: nobody's absence answers it
    message.set_content(letter.text)
    if letter.html is not None:
        message.add_alternative(letter.html, subtype="html")
    return message


def _address(text: str, name: str = "") -> Address:
    local, _, domain = text.rpartition("@")
    if not local or not domain or any(ord(c) <= 0x20 or c in '<>,;:"()[]\\\x7f' for c in text):
        raise NotSent("the address is not well-formed", for_good=True)
    try:
        plain = domain if domain.isascii() else domain.encode("idna").decode()
        return Address(name, local, plain)
    except (ValueError, UnicodeError, HeaderParseError, IndexError):
        raise NotSent("the address is not well-formed", for_good=True) from None


def _message(vault: Vault, office: PostOffice, waiting: Waiting, *, now: datetime) -> EmailMessage:
    try:
        letter = open_letter(vault, waiting.id, waiting.sealed)
    except KeyProblem:
        raise NotSent("the letter was sealed with another master key", for_good=True) from None
    return compose(letter, office, letter_id=waiting.id, now=now)


async def _failed(database: Database, waiting: Waiting, failure: NotSent, *, now: datetime) -> None:
    """Try again later, twice as late each time; after a day, or when it is of no use, give up and say so."""
    attempts = waiting.attempts + 1
    async with database.write() as session:
        if not failure.for_good and now - waiting.written_at < GIVE_UP_AFTER:
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(attempts - 1, 12))
            await put_off_letter(session, waiting.id, until=now + wait)
            return
        await delete_letter(session, waiting.id)
        detail: JsonObject = {"attempts": attempts, "reason": failure.reason}
        await record(session, "letter.given_up", actor="system", subject=waiting.id, now=now, detail=detail)


class _Folder:
    """Writes letters as files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def carry(self, message: EmailMessage, *, name: str) -> None:
        """One file, readable by its owner only: there may be a link in it."""
        await asyncio.to_thread(self._write, name, message.as_bytes())

    def _write(self, name: str, content: bytes) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self._folder / f"{name}.eml"
            path.touch(mode=0o600)
            path.write_bytes(content)
        except OSError as error:
            raise NotSent(f"the folder of letters cannot be written: {error.strerror}") from None


class _Server:
    """Speaks with an SMTP server; connects at the first letter."""

    def __init__(self, office: PostOffice) -> None:
        self._office = office
        self._smtp: SMTP | None = None

    async def carry(self, message: EmailMessage, *, name: str) -> None:
        """One letter. Raises `NotSent`."""
        import aiosmtplib

        try:
            if self._smtp is None:
                self._smtp = await _connected(self._office)
            await self._smtp.send_message(message)
        except aiosmtplib.SMTPRecipientsRefused as refused:
            code = refused.recipients[0].code
            raise NotSent(f"the server refused the recipient with {code}", for_good=code >= 500) from None
        except (aiosmtplib.SMTPDataError, aiosmtplib.SMTPRecipientRefused) as refused:
            raise NotSent(f"the server refused the letter with {refused.code}", for_good=refused.code >= 500) from None
        except aiosmtplib.SMTPNotSupported:
            raise NotSent("the server does not take such an address", for_good=True) from None
        except aiosmtplib.SMTPAuthenticationError as refused:
            raise NotSent(f"the server refused our account with {refused.code}") from None
        except ssl.SSLCertVerificationError:
            raise NotSent("the certificate of the server is not trusted") from None
        except (aiosmtplib.SMTPException, OSError) as error:
            reason = error.__cause__ if isinstance(error.__cause__, ssl.SSLCertVerificationError) else None
            told = "the certificate of the server is not trusted" if reason else type(error).__name__
            raise NotSent(f"the server did not take the letter: {told}") from None

    async def close(self) -> None:
        """Say goodbye, whether or not anybody hears it."""
        import aiosmtplib

        if self._smtp is not None:
            try:
                await self._smtp.quit()
            except (aiosmtplib.SMTPException, OSError):
                self._smtp.close()


async def _connected(office: PostOffice) -> SMTP:
    import aiosmtplib

    settings = office.settings
    context = ssl.create_default_context(cafile=None if settings.ca_file is None else str(settings.ca_file))
    smtp = aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port,
        use_tls=settings.security == "tls",
        # Not "if the server offers it": whoever stands in between could take the offer away.
        start_tls=settings.security == "starttls",
        tls_context=context,
        timeout=TIMEOUT,
        local_hostname=office.domain,
    )
    try:
        await smtp.connect()
        if settings.username is not None and office.password is not None:
            await smtp.login(settings.username, office.password)
    except BaseException:
        smtp.close()
        raise
    return smtp


@asynccontextmanager
async def _carrier(office: PostOffice) -> AsyncIterator[_Folder | _Server]:
    if office.settings.host is None:
        yield _Folder(office.folder)
        return
    server = _Server(office)
    try:
        yield server
    finally:
        await server.close()
