"""What `server:` says about people: how the pages look, how letters leave, how people sign in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from kronborg.accounts.settings import Attribute, PeopleSettings, RegistrationSettings
from kronborg.core.brand import Brand, brand_problems
from kronborg.core.errors import Invalid
from kronborg.core.mail import MailSettings
from kronborg.gateway.declare.factors_section import FactorsSection, factors_in
from kronborg.gateway.declare.parts import Host, Port, SecretReference, Section, Text, Uri
from kronborg.signin.model import PasswordSettings, SignInSettings

Choice = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class BrandSection(Section):
    """How the pages look."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=60)] = "Kronborg"
    """What people see as the name of this installation."""
    colour: Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None
    """The one colour of the brand, `#rrggbb`; contrast is seen to."""
    logo: Uri | None = None
    """An SVG, PNG or WebP file, relative to this one."""
    css: Uri | None = None
    """A style sheet of your own, relative to this file; it comes after ours on the pages of people."""
    icon: Uri | None = None
    """The picture in the browser's tab, SVG, PNG or WebP, relative to this file; by default the logo."""


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
    ca_file: Uri | None = None
    """Certificates in PEM that vouch for the server, instead of those of the system; relative to this file."""


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
    strength: Annotated[int, Field(ge=0, le=4)] = 2
    """What zxcvbn must give a new password: from 0 (anything goes) to 4 (out of reach)."""
    history: Annotated[int, Field(ge=0, le=24)] = 0
    """So many passwords before, the present one included, cannot be chosen again."""
    breached_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]+/$", max_length=500)] | None = None
    """A service that knows leaked passwords by the first five digits of their SHA-1, which are put behind this URL."""


class SignInSection(Section):
    """How people sign in."""

    passwords: PasswordSection = PasswordSection()
    """Passwords."""
    factors: FactorsSection = FactorsSection()
    """Second factors and passkeys."""


class AttributeSection(Section):
    """Something that is known of everyone."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    """What machines call it."""
    label: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    """What people read."""
    type: Literal["text", "number", "boolean", "choice"] = "text"
    """What it is made of."""
    choices: Annotated[tuple[Choice, ...], Field(max_length=100)] = ()
    """What there is to choose from, for type `choice`."""
    read: Literal["person", "admin"] = "person"
    """Who may see it: the person too, or administrators alone."""
    write: Literal["person", "admin"] = "person"
    """Who may change it."""
    required: bool = False
    """Asked for at registration, and never empty."""
    claim: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    """The claim that tells it to clients."""
    scope: Literal["openid", "profile", "email"] = "profile"
    """The scope of clients that are told."""


class SelfRegistrationSection(Section):
    """People who make their account themselves."""

    open: bool = False
    """Let anybody with an address register."""
    domains: Annotated[tuple[Host, ...], Field(max_length=200)] = ()
    """The only domains of their addresses, like `company.example`; any when empty."""
    verify: bool = True
    """An account begins when its address is proved; else at once, and the address is added once it is proved."""
    groups: Annotated[tuple[Text, ...], Field(max_length=50)] = ()
    """The groups they begin in."""
    terms_url: Uri | None = None
    """The page of the terms that they agree to."""
    per_hour: Annotated[int, Field(ge=1, le=10_000)] = 10
    """So many from one network."""


class PeopleSection(Section):
    """What an installation says about its people."""

    registration: SelfRegistrationSection = SelfRegistrationSection()
    """People who make their account themselves."""
    attributes: Annotated[tuple[AttributeSection, ...], Field(max_length=50)] = ()
    """What is known of everyone besides name and address."""
    delete_own_account: bool = True
    """People may delete their own account."""
    new_device_notice: bool = True
    """Write to people when they sign in with a browser they have not used before."""


def people_in(section: PeopleSection) -> PeopleSettings:
    """What an installation says about its people."""
    given = section.registration
    registration = RegistrationSettings(
        given.open, given.domains, given.verify, given.groups, given.terms_url, given.per_hour
    )
    attributes = tuple(
        Attribute(one.name, one.label, one.type, one.choices, one.read, one.write, one.required, one.claim, one.scope)
        for one in section.attributes
    )
    return PeopleSettings(registration, attributes, section.delete_own_account, section.new_device_notice)


def brand_in(section: BrandSection, folder: Path) -> Brand:
    """The brand, with its files relative to the folder of the document. Raises `Invalid`."""
    logo, css, icon = (None if one is None else folder / one for one in (section.logo, section.css, section.icon))
    brand = Brand(section.name, section.colour, logo, css, icon)
    problems = tuple(brand_problems(brand))
    if problems:
        raise Invalid(*problems)
    return brand


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
        ca_file=None if section.ca_file is None else folder / section.ca_file,
    )


def sign_in_in(section: SignInSection, folder: Path) -> SignInSettings:
    """How people sign in, with files relative to the folder of the document."""
    given = section.passwords
    passwords = PasswordSettings(
        memory_kib=given.memory_kib,
        passes=given.passes,
        at_once=given.at_once,
        shortest=given.shortest,
        strength=given.strength,
        history=given.history,
        breached_url=given.breached_url,
    )
    return SignInSettings(passwords=passwords, factors=factors_in(section.factors, folder))
