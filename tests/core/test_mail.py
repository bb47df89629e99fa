"""Letters: how they are written, bounded, sent by a real SMTP server, tried again and given up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from certificates import certificate
from kronborg.core.brand import Brand
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.events import latest
from kronborg.core.letters import ASKED, NOTICE, Letters
from kronborg.core.mail import Letter, MailSettings, mail_problems, post
from kronborg.core.mail_delivery import NotSent, PostOffice, compose, deliver, send_now
from kronborg.core.mail_store import due_letters
from letter_box import read, text_of
from ports import free_port

pytestmark = pytest.mark.anyio

TO = "hamlet@kronborg.example"
LETTER = Letter(TO, "To be", "or not\nto be", "<p>or <b>not</b></p>")


@dataclass
class Taken:
    """What a server took, and how it answers."""

    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    refuse: str = ""

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.letters.append(read(envelope.content))
        self.recipients += envelope.rcpt_tos
        self.encrypted.append(session.ssl is not None)
        return "250 OK"


@contextmanager
def server(taken: Taken, **options: object) -> Iterator[int]:
    """An SMTP server on the loopback."""
    port = free_port()
    controller = Controller(taken, hostname="127.0.0.1", port=port, **options)  # type: ignore[arg-type]
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def office(tmp_path: Path, port: int | None = None, **settings: object) -> PostOffice:
    host = None if port is None else "127.0.0.1"
    usual = MailSettings("Kronborg <no-reply@kronborg.example>", host, port or 0, "none")
    return PostOffice(replace(usual, **settings), tmp_path / "mail", "kronborg.example")  # type: ignore[arg-type]


async def write(database: Database, vault: Vault, now: datetime, *letters: Letter) -> None:
    async with database.write() as session:
        for letter in letters or (LETTER,):
            await post(session, vault, letter, now=now)


async def names(database: Database) -> list[str]:
    async with database.read() as session:
        return [event.name for event in await latest(session)]


async def test_letters_are_sent_and_forgotten(database: Database, vault: Vault, now: datetime, tmp_path: Path) -> None:
    taken = Taken()
    await write(database, vault, now, LETTER, Letter("ophelia@kronborg.example", "Hey", "non nonny"))

    with server(taken) as port:
        sent = await deliver(database, vault, office(tmp_path, port), now=now)
        again = await deliver(database, vault, office(tmp_path, port), now=now + timedelta(days=1))

    first = next(letter for letter in taken.letters if letter["to"] == TO)
    assert (sent, again, len(taken.letters)) == (2, 0, 2)
    assert first["from"] == "Kronborg <no-reply@kronborg.example>"
    assert (first["subject"], first["auto-submitted"]) == ("To be", "auto-generated")
    assert first["message-id"].endswith("@kronborg.example>")
    assert text_of(first).splitlines() == ["or not", "to be"]
    assert first.get_content_type() == "multipart/alternative"


async def test_without_a_server_letters_are_files_that_only_their_owner_reads(
    database: Database, vault: Vault, now: datetime, tmp_path: Path
) -> None:
    await write(database, vault, now)

    await deliver(database, vault, office(tmp_path), now=now)

    [path] = (tmp_path / "mail").iterdir()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert read(path.read_bytes())["to"] == TO


async def test_a_server_that_is_away_is_tried_again_ever_later_and_given_up_after_a_day(
    database: Database, vault: Vault, now: datetime, tmp_path: Path
) -> None:
    gone, tries, at = office(tmp_path, free_port()), 0, now
    await write(database, vault, now)

    while at < now + timedelta(days=3) and "letter.given_up" not in await names(database):
        tries += await deliver(database, vault, gone, now=at)
        at += timedelta(seconds=15) if at < now + timedelta(minutes=5) else timedelta(minutes=61)

    async with database.read() as session:
        left = await due_letters(session, now=at, limit=5)
    assert now + timedelta(days=1) <= at < now + timedelta(days=1, hours=3)
    assert 10 < tries < 50
    assert list(left) == []


@pytest.mark.parametrize(("answer", "events", "left"), [("550 no such", 1, 0), ("451 later", 0, 1)])
async def test_a_refusal_for_good_is_given_up_at_once_and_another_is_not(
    database: Database, vault: Vault, now: datetime, tmp_path: Path, answer: str, events: int, left: int
) -> None:
    await write(database, vault, now)

    with server(Taken(refuse=answer)) as port:
        await deliver(database, vault, office(tmp_path, port), now=now)

    async with database.read() as session:
        waiting = await due_letters(session, now=now + timedelta(days=1), limit=5)
    assert (await names(database)).count("letter.given_up") == events
    assert len(waiting) == left


async def test_starttls_with_a_certificate_that_is_checked_and_a_login(tmp_path: Path, now: datetime) -> None:
    context, ca_file = certificate(tmp_path, "localhost")
    taken = Taken()

    def judge(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object) -> AuthResult:
        right = isinstance(given, LoginPassword) and (given.login, given.password) == (b"us", b"secret")
        return AuthResult(success=right, handled=right)

    guarded = {"require_starttls": True, "tls_context": context, "auth_required": True, "authenticator": judge}
    with server(taken, **guarded) as port:
        there = office(tmp_path, port, host="localhost", security="starttls", username="us")
        trusting = replace(there, settings=replace(there.settings, ca_file=ca_file), password="secret")
        await send_now(trusting, LETTER, now=now)
        with pytest.raises(NotSent, match="certificate"):
            await send_now(replace(there, password="secret"), LETTER, now=now)
        with pytest.raises(NotSent, match="account"):
            await send_now(replace(trusting, password="wrong"), LETTER, now=now)

    assert taken.encrypted == [True]


async def test_starttls_is_not_optional(tmp_path: Path, now: datetime) -> None:
    taken = Taken()

    with server(taken) as port, pytest.raises(NotSent):
        await send_now(office(tmp_path, port, security="starttls"), LETTER, now=now)

    assert taken.letters == []


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example\r\nBcc: c@d.example",
        "a@b.example, c@d.example",
        "a@b.example>\n",
        "<a@b.example>",
        "a b@c.example",
        "",
        "no-at-sign",
        "a@",
    ],
)
async def test_an_address_never_becomes_a_header_or_a_second_address(
    tmp_path: Path, now: datetime, address: str
) -> None:
    with pytest.raises(NotSent):
        compose(replace(LETTER, to=address), office(tmp_path), letter_id="1", now=now)


async def test_a_subject_is_one_line(tmp_path: Path, now: datetime) -> None:
    message = compose(replace(LETTER, subject="Hi\r\nBcc: c@d.example"), office(tmp_path), letter_id="1", now=now)

    assert message["subject"] == "Hi Bcc: c@d.example"
    assert message["bcc"] is None


async def test_addresses_of_every_script_are_written_as_they_should(tmp_path: Path, now: datetime) -> None:
    message = compose(replace(LETTER, to="håkon@blåbær.example"), office(tmp_path), letter_id="1", now=now)

    assert message["to"] == "håkon@xn--blbr-roah.example"


async def test_one_address_gets_so_many_within_an_hour_of_each_kind(
    database: Database, vault: Vault, now: datetime
) -> None:
    letters = Letters(vault, "https://id.kronborg.example", Brand("Elsinore"))

    async def ask(to: str = TO, *, later: timedelta = timedelta()) -> bool:
        async with database.write() as session:
            return await letters.post(session, "known", to=to, language="", bound=ASKED, now=now + later)

    asked = [await ask() for _ in range(7)]
    other = await ask("ophelia@kronborg.example")
    cased = await ask(TO.upper())
    async with database.write() as session:
        told = await letters.post(session, "known", to=TO, language="", bound=NOTICE, now=now)
    again = await ask(later=timedelta(hours=1, seconds=1))

    assert asked == [True] * 5 + [False] * 2
    assert (other, cased, told, again) == (True, False, True, True)


def test_a_letter_has_brand_link_and_nothing_that_runs() -> None:
    letters = Letters(Vault(bytes(32)), "https://id.kronborg.example", Brand("Els & Inore", "#123456"))
    values = {"username": "<b>x</b>", "organisation": "<script>"}

    letter = letters.compose("invitation", to=TO, language="xx", link=letters.url("/join", token="a b"), values=values)

    assert letter.subject == "<script> invites you to Els & Inore"
    assert "https://id.kronborg.example/join?token=a+b" in letter.text
    assert letter.html is not None
    assert 'lang="en"' in letter.html
    assert "#123456" in letter.html
    assert "<script>" not in letter.html
    assert "<b>x" not in letter.html


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"sender": "nobody"}, "server.mail.sender"),
        ({"sender": "a@b.example\nBcc: c@d.example"}, "server.mail.sender"),
        ({"host": "smtp.example", "security": "none"}, "server.mail.security"),
        ({"host": "smtp.example", "username": "us"}, "server.mail.password"),
        ({"ca_file": Path("/nowhere/ca.pem")}, "server.mail.ca_file"),
    ],
)
def test_settings_that_would_send_in_the_clear_or_from_nobody_are_refused(
    change: dict[str, object], where: str
) -> None:
    problems = mail_problems(replace(MailSettings(), **change))  # type: ignore[arg-type]

    assert [problem.where for problem in problems] == [where]
    assert mail_problems(MailSettings()) == []
