"""What a provider says of somebody, taken out of its claims by the mapping of its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kronborg.core.json import JsonObject, JsonValue
from kronborg.federation.model import ProviderSettings, Told
from kronborg.federation.presets import Known

MAX_VALUE = 500
MAX_GROUPS = 500
METHODS = frozenset(
    "face fpt geo hwk iris kba mca mfa otp pin pop pwd rba retina sc sms swk tel user vbm wia".split()  # noqa: SIM905
)
"""RFC 8176 §2: authentication methods with a registered name. Others say nothing to us."""


class NoSubject(ValueError):
    """The provider does not say who it speaks of."""


def told_by(known: Known, claims: JsonObject, extra: JsonObject) -> Told:
    """What `claims` (signed) and `extra` (from userinfo) say together; signed ones count first.

    Raises `NoSubject`. An address and whether it is verified always come from the same place.
    """
    settings, preset = known.settings, known.preset
    both = {**extra, **claims}
    email = text_of(both, settings.email_claim)
    source = claims if text_of(claims, settings.email_claim) else extra
    verified = bool(email) and _is_true(_found(source, preset.verified_claim))
    return Told(
        provider=known.key,
        subject=subject_of(both, settings),
        username=text_of(both, settings.username_claim),
        name=text_of(both, settings.name_claim),
        email=email,
        email_verified=verified,
        groups=texts_of(both, settings.groups_claim),
        attributes=attributes_of(settings, both),
        amr=tuple(method for method in texts_of(claims, "amr") if method in METHODS),
        acr=text_of(claims, "acr"),
        sid=text_of(claims, "sid"),
    )


def attributes_of(settings: ProviderSettings, claims: JsonObject) -> JsonObject:
    """Our attributes, as far as there are claims for them."""
    found = {name: _found(claims, claim) for name, claim in settings.attributes.items()}
    return {name: _plain(value) for name, value in found.items() if value is not None}


def subject_of(claims: JsonObject, settings: ProviderSettings) -> str:
    """Who the provider speaks of, by a name that it never gives to anybody else. Raises `NoSubject`."""
    value = _found(claims, settings.subject_claim or "sub")
    # One provider numbers people.
    subject = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        raise NoSubject
    return subject


def text_of(claims: JsonObject, name: str) -> str:
    """A claim that is text of a bearable length; empty otherwise."""
    value = _found(claims, name)
    return value.strip() if isinstance(value, str) and len(value) <= MAX_VALUE and "\0" not in value else ""


def texts_of(claims: JsonObject, name: str) -> tuple[str, ...]:
    """A claim that is a list of texts, or one text."""
    value = _found(claims, name)
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    return tuple(one for one in values[:MAX_GROUPS] if isinstance(one, str) and 0 < len(one) <= MAX_VALUE)


def _found(claims: JsonObject, name: str) -> JsonValue:
    """A claim by its name, or by a path with dots through objects (`realm_access.roles`)."""
    if not name:
        return None
    if name in claims:
        return claims[name]
    value: JsonValue = claims
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _is_true(value: JsonValue) -> bool:
    """Some providers write booleans as text or number."""
    return value is True or value in ("true", "1") or (value == 1 and isinstance(value, int))


def _plain(value: JsonValue) -> JsonValue:
    """A value as attributes keep it: texts, numbers, booleans and lists of texts, of bearable length."""
    if isinstance(value, str):
        return value.replace("\0", "")[:MAX_VALUE]
    if isinstance(value, (bool, int, float)):
        return value
    return [one[:MAX_VALUE] for one in value if isinstance(one, str)][:50] if isinstance(value, Sequence) else None
