"""Authenticator apps: time-based one-time passwords (RFC 6238), six digits every thirty seconds.

A secret counts from the moment that a code of it was typed; until then it travels, sealed and bound to its person, in
the form itself. Each step of time is accepted once, and one step before and after for clocks that are off.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime

import orjson

from kronborg.core.crypto import KeyProblem, Vault
from kronborg.core.db import Session, from_micros, to_micros
from kronborg.core.errors import Invalid, Problem
from kronborg.core.ids import new_id
from kronborg.core.languages import N_
from kronborg.factors.manage import add_factor
from kronborg.factors.model import Factor, Person
from kronborg.factors.store import insert_factor, list_sealed, use_step

STEP = 30
DIGITS = 6
PATIENCE_SECONDS = 1800
"""How long a secret that is shown may be confirmed."""


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret to be confirmed: `key` to type, `picture` to scan (a `data:` URI), `sealed` to come back with."""

    key: str
    uri: str
    picture: str
    sealed: str


def new_secret(vault: Vault, person: Person, *, installation: str, now: datetime) -> NewSecret:
    """A new secret for this person, shown once and kept nowhere."""
    import pyotp

    secret = pyotp.random_base32()
    return _shown(vault, person, secret, installation, now)


def same_secret(vault: Vault, person: Person, sealed: str, *, installation: str, now: datetime) -> NewSecret | None:
    """The secret that is being confirmed, shown again; None when it is not this person's or too old."""
    secret = _opened(vault, person.id, sealed, now=now)
    return None if secret is None else _shown(vault, person, secret, installation, now)


def _shown(vault: Vault, person: Person, secret: str, installation: str, now: datetime) -> NewSecret:
    import pyotp
    import segno

    uri = pyotp.TOTP(secret).provisioning_uri(name=person.username, issuer_name=installation)
    # Dark on white whatever the theme of the page: cameras want it so.
    picture = segno.make(uri, error="m", micro=False).svg_data_uri(scale=4, border=3, dark="#000", light="#fff")
    body = orjson.dumps([secret, to_micros(now)])
    sealed = vault.seal(body, context=f"factors.totp.new:{person.id}")
    key = " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))
    return NewSecret(key, uri, picture, sealed)


def _opened(vault: Vault, user_id: str, sealed: str, *, now: datetime) -> str | None:
    try:
        secret, at = orjson.loads(vault.open(sealed[:1000], context=f"factors.totp.new:{user_id}"))
    except KeyProblem:
        return None
    age = (now - from_micros(at)).total_seconds()
    return str(secret) if 0 <= age <= PATIENCE_SECONDS else None


async def confirm_secret(
    session: Session, vault: Vault, user_id: str, *, sealed: str, code: str, name: str, now: datetime
) -> Factor:
    """Make the secret count, once a code of it was typed. Raises `Invalid`."""
    secret = _opened(vault, user_id, sealed, now=now)
    if secret is None:
        raise Invalid(Problem("code", N_("this key was shown too long ago"), N_("scan the new one")))
    step = matching_step(secret, code, now=now)
    if step is None:
        raise Invalid(Problem("code", N_("this is not the code of this key"), N_("type the one your app shows now")))
    factor = Factor(new_id(), user_id, "totp", name, now, now)
    kept = vault.seal(secret.encode(), context=f"factors.totp:{factor.id}")

    async def insert() -> bool:
        # The code that confirmed it is used: it opens nothing a moment later.
        return await insert_factor(session, factor, sealed=kept, last_step=step)

    await add_factor(session, factor, insert, now=now)
    return factor


async def use_code(session: Session, vault: Vault, user_id: str, code: str, *, now: datetime) -> Factor | None:
    """The authenticator that this code is of, its step used; None for a wrong or a used code."""
    for kept in await list_sealed(session, user_id, "totp"):
        secret = vault.open(kept.sealed, context=f"factors.totp:{kept.factor.id}").decode()
        step = matching_step(secret, code, now=now)
        # RFC 6238 §5.2: the verifier MUST NOT accept the second attempt of the OTP.
        if step is not None and await use_step(session, kept.factor.id, step, now=now):
            return kept.factor
    return None


def matching_step(secret: str, code: str, *, now: datetime) -> int | None:
    """The step of time, out of the present one and its neighbours, that this code belongs to."""
    import pyotp

    typed = "".join(code.split())
    if len(typed) != DIGITS or not (typed.isascii() and typed.isdigit()):
        return None
    generator = pyotp.TOTP(secret, digits=DIGITS, interval=STEP)
    present = int(now.timestamp()) // STEP
    found = None
    for step in (present, present - 1, present + 1):
        if hmac.compare_digest(generator.generate_otp(step), typed) and found is None:
            found = step
    return found
