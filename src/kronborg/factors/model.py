"""The nouns of factors: what somebody can prove besides a password, and what an installation asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from kronborg.core.errors import Problem

Kind = Literal["passkey", "totp", "sms", "email"]
KINDS: Final[tuple[Kind, ...]] = ("passkey", "totp", "sms", "email")
"""From the strongest to the weakest, which is how a page offers them."""
RECOVERY: Final = "recovery"

MAX_FACTORS = 20
MAX_NAME = 60
RECOVERY_CODES = 10
FEW_CODES = 3
"""At this many unused codes or fewer a page says that it is time for new ones."""


@dataclass(frozen=True, slots=True)
class SmsSettings:
    """How text messages leave: to an HTTP webhook, by a function of a module, or as files in a folder.

    A webhook is posted `{"to", "text"}` with `Authorization: Bearer` and the secret, read at each start from the
    environment variable or the file named. `function` is `module:function`, called with number and text.
    No more than `per_hour` leave within an hour, whoever asks for them.
    """

    webhook: str | None = None
    secret_env: str | None = None
    secret_file: Path | None = None
    function: str | None = None
    folder: Path | None = None
    per_hour: int = 1000


@dataclass(frozen=True, slots=True)
class FactorSettings:
    """What an installation offers, and of whom it asks a second factor.

    With `off` nobody is asked and nothing is offered; with `optional` those who have one are asked; with `required`
    everybody is, and who has none enrols at the next sign-in. `required_groups` says so for members of these groups
    alone. `risks` name the situations in which even a remembered browser is asked. `remember` is how long a browser
    may be remembered, zero for never. `fresh` is how recent a sign-in has to be to change one's factors.
    """

    policy: Literal["off", "optional", "required"] = "optional"
    methods: tuple[Kind, ...] = ("passkey", "totp", "email")
    required_groups: tuple[str, ...] = ()
    risks: tuple[Literal["unknown_device", "new_network"], ...] = ()
    remember: timedelta = timedelta(days=30)
    fresh: timedelta = timedelta(minutes=10)
    sms: SmsSettings | None = None

    @property
    def offered(self) -> tuple[Kind, ...]:
        """The methods people can use here, the strongest first."""
        if self.policy == "off":
            return ()
        texts = self.sms is not None
        return tuple(kind for kind in KINDS if (texts if kind == "sms" else kind in self.methods))

    @property
    def may_ask(self) -> bool:
        """Whether some people are asked although they have no factor."""
        return self.policy == "required" or bool(self.required_groups) or bool(self.risks)


@dataclass(frozen=True, slots=True)
class Factor:
    """Something that somebody has proved to have. `hint` is a number or an address, mostly hidden."""

    id: str
    user_id: str
    kind: Kind
    name: str
    created_at: datetime
    last_used_at: datetime | None
    hint: str = ""
    backup_eligible: bool = False
    backed_up: bool = False


@dataclass(frozen=True, slots=True)
class SealedFactor:
    """A factor with what is kept to check it: a sealed secret or number, and the last step used of an authenticator."""

    factor: Factor
    sealed: str
    last_step: int


@dataclass(frozen=True, slots=True)
class Passkey:
    """The public half of a passkey (WebAuthn Level 3 §4, credential record)."""

    factor: Factor
    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RememberedBrowser:
    """A browser in which its person is not asked for a second factor for a while."""

    id: str
    user_agent: str
    address: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a factor is for, as an authenticator shows it."""

    id: str
    username: str
    name: str
    email: str | None
    email_verified: bool


def sms_problems(sms: SmsSettings | None) -> list[Problem]:
    """What is wrong with the way text messages leave, if they do."""
    if sms is None:
        return []
    where = "server.sign_in.factors.sms"
    ways = [way for way in (sms.webhook, sms.function, sms.folder) if way is not None]
    if len(ways) != 1:
        return [Problem(where, "names no way or several", "give one of webhook, function and folder")]
    if sms.webhook is not None and not sms.webhook.startswith(("https://", "http://")):
        return [Problem(f"{where}.webhook", "is not an absolute https URL", "write it like https://sms.example/send")]
    if sms.function is not None and sms.function.count(":") != 1:
        return [Problem(f"{where}.function", "is not module:function", "write it like company.texts:send")]
    return []
