"""What an installation says about its people: who may register, and what else is known of everyone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from kronborg.core.errors import Problem

AttributeKind = Literal["text", "number", "boolean", "choice"]
By = Literal["person", "admin"]

MAX_ATTRIBUTES = 50
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_CLAIM = re.compile(r"[A-Za-z][A-Za-z0-9_:./-]{0,99}")
# Names that a token or an answer uses for something else (OIDC Core §2, §5.1; RFC 7519 §4.1; RFC 9068 §2.2).
_TAKEN_NAMES = (
    "iss sub aud exp nbf iat jti azp nonce auth_time acr amr sid at_hash c_hash s_hash client_id scope cnf act events "
    "name preferred_username updated_at email email_verified locale roles groups entitlements authorization_details "
    "status may_act active token_type organisation organisations"
)
_TAKEN = frozenset(_TAKEN_NAMES.split())


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something that is known of everyone. `read` and `write` by `person` is the person and administrators."""

    name: str
    label: str
    kind: AttributeKind = "text"
    choices: tuple[str, ...] = ()
    read: By = "person"
    write: By = "person"
    required: bool = False
    """Asked for at registration, and never empty afterwards."""
    claim: str | None = None
    """The claim that tells it to clients (OIDC Core §5.1.2), to those with the scope `scope`."""
    scope: Literal["openid", "profile", "email"] = "profile"


@dataclass(frozen=True, slots=True)
class RegistrationSettings:
    """People who make their account themselves: nobody may, unless `open`."""

    open: bool = False
    domains: tuple[str, ...] = ()
    """The only domains of their addresses; any when empty."""
    verify: bool = True
    """The account begins when the address is proved; else at once, and without the address until then."""
    groups: tuple[str, ...] = ()
    terms_url: str | None = None
    per_hour: int = 10
    """So many from one network."""


@dataclass(frozen=True, slots=True)
class PeopleSettings:
    """All of it."""

    registration: RegistrationSettings = field(default_factory=RegistrationSettings)
    attributes: tuple[Attribute, ...] = ()
    delete_own_account: bool = True
    new_device_notice: bool = True


def people_problems(settings: PeopleSettings, where: str = "server.people") -> list[Problem]:
    """Everything that makes these settings unusable."""
    problems = []
    if len(settings.attributes) > MAX_ATTRIBUTES:
        problems.append(Problem(f"{where}.attributes", f"at most {MAX_ATTRIBUTES} attributes"))
    for twice in _twice([one.name for one in settings.attributes]):
        problems.append(Problem(f"{where}.attributes.{twice}", "is there twice", "drop one"))
    for twice in _twice([one.claim for one in settings.attributes if one.claim]):
        problems.append(Problem(f"{where}.attributes", f"two attributes are told as {twice}", "give each its own"))
    for one in settings.attributes:
        problems += _attribute_problems(one, f"{where}.attributes.{one.name}")
    terms = settings.registration.terms_url
    if terms is not None and not terms.startswith(("https://", "http://localhost")):
        problems.append(Problem(f"{where}.registration.terms_url", "is no https address", "write https://…"))
    for domain in settings.registration.domains:
        if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", domain):
            problems.append(
                Problem(f"{where}.registration.domains", "holds no domain", "write company.example, in lower case")
            )
    return problems


def _attribute_problems(one: Attribute, where: str) -> list[Problem]:
    problems = []
    if not _NAME.fullmatch(one.name):
        problems.append(Problem(where, "is no name", "use a lower-case letter, then letters, digits and underscores"))
    if not 1 <= len(one.label) <= 60:
        problems.append(Problem(f"{where}.label", "must have 1 to 60 characters", "say what people should read"))
    if (one.kind == "choice") != bool(one.choices):
        problems.append(
            Problem(f"{where}.choices", "belong to kind choice, and to no other", "list them, or drop them")
        )
    if len(one.choices) > 100 or any(not 1 <= len(each) <= 100 for each in one.choices):
        problems.append(Problem(f"{where}.choices", "are too many, too long or empty", "at most 100 of 100 characters"))
    if one.write == "person" and one.read == "admin":
        problems.append(Problem(f"{where}.read", "is less than write", "who may write something may read it"))
    if one.required and one.write == "admin":
        problems.append(Problem(f"{where}.required", "cannot be kept", "let the person write it, or drop required"))
    if one.claim is not None and (not _CLAIM.fullmatch(one.claim) or one.claim in _TAKEN):
        problems.append(Problem(f"{where}.claim", "is not free for use", "choose another name for the claim"))
    return problems


def _twice(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
