"""What `server:` says about people: how the pages look, how letters leave, how people sign in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from kronborg.core.brand import Brand
from kronborg.core.mail import MailSettings
from kronborg.gateway.declare.parts import Host, Port, SecretReference, Section, Text, Uri
from kronborg.signin.model import PasswordSettings, SignInSettings


class BrandSection(Section):
    """How the pages look."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=60)] = "Kronborg"
    """What people see as the name of this installation."""
    colour: Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None
    """The one colour of the brand, `#rrggbb`; contrast is seen to."""
    logo: Uri | None = None
    """An SVG, PNG or WebP file, relative to this one."""


class MailSection(Section):
    """How letters leave: by an SMTP server, or without one as files in the folder `mail` of the data folder."""

    sender: Text = "Kronborg <kronborg@localhost>"
    """Whom the letters come from."""
    host: Host | None = None
    """The SMTP server."""
    port: Port = 587
    """Its port."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is protected; `none` only for a server on this machine."""
    username: Text | None = None
    """The account at the server, if it asks for one."""
    password: SecretReference | None = None
    """The password of that account."""


class PasswordSection(Section):
    """What passwords must be, and what comparing one costs."""

    shortest: Annotated[int, Field(ge=8, le=64)] = 12
    """Characters at least."""
    memory_kib: Annotated[int, Field(ge=7168, le=1 << 20)] = 19456
    """Argon2id: memory."""
    passes: Annotated[int, Field(ge=1, le=20)] = 2
    """Argon2id: passes."""
    at_once: Annotated[int, Field(ge=1, le=64)] = 2
    """Comparisons at the same time, in each process."""


class SignInSection(Section):
    """How people sign in."""

    passwords: PasswordSection = PasswordSection()
    """Passwords."""


def brand_in(section: BrandSection, folder: Path) -> Brand:
    """The brand, with its logo relative to the folder of the document."""
    return Brand(section.name, section.colour, None if section.logo is None else folder / section.logo)


def mail_in(section: MailSection, folder: Path) -> MailSettings:
    """How letters leave, with files relative to the folder of the document."""
    password = section.password
    file = None if password is None or password.file is None else folder / password.file
    return MailSettings(
        sender=section.sender,
        host=section.host,
        port=section.port,
        security=section.security,
        username=section.username,
        password_env=None if password is None else password.env,
        password_file=file,
    )


def sign_in_in(section: SignInSection) -> SignInSettings:
    """How people sign in."""
    given = section.passwords
    passwords = PasswordSettings(
        memory_kib=given.memory_kib, passes=given.passes, at_once=given.at_once, shortest=given.shortest
    )
    return SignInSettings(passwords=passwords)
