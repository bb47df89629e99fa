"""What `server: {sign_in: {factors:}}` says: which second factors there are, and of whom they are asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from kronborg.core.quantities import Duration, parse_duration
from kronborg.factors.model import FactorSettings, SmsSettings
from kronborg.gateway.declare.parts import SecretReference, Section, Text, Uri


class SmsSection(Section):
    """How text messages leave: one of `webhook`, `function` and `folder`."""

    webhook: Uri | None = None
    """An https URL that is posted `{"to", "text"}`."""
    secret: SecretReference | None = None
    """Sent to the webhook as `Authorization: Bearer`."""
    function: Text | None = None
    """A function of a module of your own, `module:function`, called with number and text."""
    folder: Text | None = None
    """A folder for files in place of messages, relative to this file: for development."""
    per_hour: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """No more leave within an hour, whoever asks for them: they cost money."""


class FactorsSection(Section):
    """Second factors and passkeys."""

    policy: Literal["off", "optional", "required"] = "optional"
    """`optional`: who has one is asked. `required`: everybody is, and enrols at the next sign-in."""
    methods: Annotated[tuple[Literal["passkey", "totp", "email"], ...], Field(max_length=3)] = (
        "passkey",
        "totp",
        "email",
    )
    """What people can use; text messages as soon as `sms` says how they leave."""
    required_groups: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    """Members of these groups have to have one."""
    risks: Annotated[tuple[Literal["unknown_device", "new_network"], ...], Field(max_length=2)] = ()
    """Ask then too: in a browser, or from a network, that the person has not been seen with."""
    remember: Duration = parse_duration("30d")
    """How long a browser may be remembered; `0s` for never."""
    fresh: Duration = parse_duration("10m")
    """How recent a sign-in has to be to change one's factors."""
    sms: SmsSection | None = None
    """How text messages leave; without it there are none."""


def factors_in(section: FactorsSection, folder: Path) -> FactorSettings:
    """Second factors, with files relative to the folder of the document."""
    return FactorSettings(
        policy=section.policy,
        methods=section.methods,
        required_groups=section.required_groups,
        risks=section.risks,
        remember=section.remember,
        fresh=section.fresh,
        sms=None if section.sms is None else _sms_in(section.sms, folder),
    )


def _sms_in(section: SmsSection, folder: Path) -> SmsSettings:
    secret = section.secret
    return SmsSettings(
        webhook=section.webhook,
        secret_env=None if secret is None else secret.env,
        secret_file=None if secret is None or secret.file is None else folder / secret.file,
        function=section.function,
        folder=None if section.folder is None else folder / section.folder,
        per_hour=section.per_hour,
    )
