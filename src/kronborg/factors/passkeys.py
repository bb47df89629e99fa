"""Passkeys (WebAuthn Level 3): registration and authentication, with challenges that are used once.

A challenge is not kept: it travels sealed in the form, bound to the browser that it was made for, to what it is for and
to a time, and its digest is kept from the moment that it was answered. What a browser sends back is checked by the
library; counters, flags and owners are checked here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import orjson

from kronborg.core.base64url import b64, from_b64
from kronborg.core.crypto import KeyProblem, Vault
from kronborg.core.db import Session, from_micros, to_micros
from kronborg.core.errors import Invalid, Problem
from kronborg.core.events import record
from kronborg.core.ids import new_id, random_token
from kronborg.core.json import JsonObject
from kronborg.core.languages import N_
from kronborg.factors.manage import add_factor
from kronborg.factors.model import Factor, Passkey, Person
from kronborg.factors.store import find_passkey, insert_factor, spend, use_passkey

PATIENCE = timedelta(minutes=30)
"""How long a challenge may be answered: a sign-in page stays open for a while."""
MAX_ANSWER = 16 * 1024
ALGORITHMS = (-7, -8, -257)
"""ES256, EdDSA and RS256 (IANA COSE Algorithms), the wanted first."""
REGISTER, SIGN_IN, SECOND = "register", "sign-in", "second"


@dataclass(frozen=True, slots=True)
class Site:
    """The relying party, out of the issuer: its id is the host, its origin scheme, host and port."""

    rp_id: str
    origin: str
    name: str

    @classmethod
    def of(cls, issuer: str, name: str) -> Site:
        """The relying party of an installation."""
        parts = urlsplit(issuer)
        return cls(parts.hostname or "localhost", f"{parts.scheme}://{parts.netloc}".lower(), name)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page asks a browser: `options` for the script, `sealed` to come back with."""

    options: str
    sealed: str


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a challenge is for: `what`, in which browser, for which person (empty for whoever it will be)."""

    what: str
    browser: str
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """A passkey that answered; `verified` says that it knew its person (a finger, a face, a PIN)."""

    passkey: Passkey
    verified: bool

    @property
    def amr(self) -> tuple[str, ...]:
        """RFC 8176 §2: a key held in hardware, or one that is synchronised, and somebody who was present."""
        return ("swk" if self.passkey.factor.backup_eligible else "hwk", "user")


def ask_to_register(
    vault: Vault, site: Site, person: Person, known: Sequence[Passkey], *, browser: str, now: datetime
) -> Asked:
    """The options of `navigator.credentials.create()`."""
    challenge, sealed = _challenge(vault, Purpose(REGISTER, browser, person.id), now=now)
    options: JsonObject = {
        "rp": {"id": site.rp_id, "name": site.name},
        # WebAuthn §14.6.1: the handle says nothing about the person, not even the id they have here.
        "user": {
            "id": b64(handle_of(vault, person.id)),
            "name": person.username,
            "displayName": person.name or person.username,
        },
        "challenge": challenge,
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in ALGORITHMS],
        "timeout": 300_000,
        "excludeCredentials": _descriptors(known),
        "authenticatorSelection": {"residentKey": "preferred", "userVerification": "preferred"},
        "attestation": "none",
    }
    return Asked(orjson.dumps(options).decode(), sealed)


def ask_to_sign_in(vault: Vault, site: Site, *, browser: str, now: datetime) -> Asked:
    """The options of `navigator.credentials.get()` for somebody who has not said who they are."""
    challenge, sealed = _challenge(vault, Purpose(SIGN_IN, browser), now=now)
    options: JsonObject = {
        "rpId": site.rp_id,
        "challenge": challenge,
        "timeout": 300_000,
        "userVerification": "required",
    }
    return Asked(orjson.dumps(options).decode(), sealed)


def ask_for_second(
    vault: Vault, site: Site, user_id: str, known: Sequence[Passkey], *, browser: str, now: datetime
) -> Asked:
    """The options of `navigator.credentials.get()` for a certain person."""
    challenge, sealed = _challenge(vault, Purpose(SECOND, browser, user_id), now=now)
    options: JsonObject = {
        "rpId": site.rp_id,
        "challenge": challenge,
        "timeout": 300_000,
        "userVerification": "preferred",
        "allowCredentials": _descriptors(known),
    }
    return Asked(orjson.dumps(options).decode(), sealed)


async def register(
    session: Session, vault: Vault, site: Site, purpose: Purpose, *, sealed: str, answer: str, name: str, now: datetime
) -> tuple[Factor, bool]:
    """Keep a new passkey; and whether it verified its person. Raises `Invalid`, `Conflict`."""
    from webauthn.helpers.exceptions import WebAuthnException
    from webauthn.helpers.structs import CredentialDeviceType
    from webauthn.registration.verify_registration_response import verify_registration_response

    challenge = _opened(vault, purpose, sealed, now=now)
    sent = _read(answer)
    try:
        made = verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as wrong:
        raise _refused() from wrong
    await _spend(session, challenge, now=now)
    many = made.credential_device_type == CredentialDeviceType.MULTI_DEVICE
    factor = Factor(new_id(), purpose.user_id, "passkey", name, now, None, "", many, made.credential_backed_up)

    async def insert() -> bool:
        return await insert_factor(
            session,
            factor,
            credential_id=made.credential_id,
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            transports=_transports(sent),
        )

    await add_factor(session, factor, insert, now=now)
    return factor, made.user_verified


async def use(
    session: Session, vault: Vault, site: Site, purpose: Purpose, *, sealed: str, answer: str, now: datetime
) -> Used:
    """The passkey that answered a challenge. Raises `Invalid` for anything that does not prove it."""
    from webauthn.authentication.verify_authentication_response import verify_authentication_response
    from webauthn.helpers.exceptions import WebAuthnException

    challenge = _opened(vault, purpose, sealed, now=now)
    sent = _read(answer)
    passkey = await find_passkey(session, _bytes(sent.get("rawId")))
    if passkey is None or purpose.user_id not in ("", passkey.factor.user_id):
        raise _refused()
    if not purpose.user_id and _handle(sent) != handle_of(vault, passkey.factor.user_id):
        # WebAuthn §7.2 step 6: the handle must be that of the owner of the credential.
        raise _refused()
    try:
        proved = verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,  # compared below, where the database decides
            require_user_verification=purpose.what == SIGN_IN,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as wrong:
        raise _refused() from wrong
    await _spend(session, challenge, now=now)
    factor = passkey.factor
    if not await use_passkey(session, factor.id, proved.new_sign_count, backed_up=proved.credential_backed_up, now=now):
        # WebAuthn §7.2 step 22: a counter that does not grow may be that of a copy.
        detail: JsonObject = {"kind": "passkey", "factor": factor.id, "reason": "counter"}
        await record(session, "factor.refused", actor="anonymous", subject=factor.user_id, now=now, detail=detail)
        raise _refused()
    return Used(passkey, proved.user_verified)


def handle_of(vault: Vault, user_id: str) -> bytes:
    """The user handle (WebAuthn §5.4.3): the same for all passkeys of a person, and meaningless to anybody else."""
    return vault.digest(user_id, context="factors.handle")


def _challenge(vault: Vault, purpose: Purpose, *, now: datetime) -> tuple[str, str]:
    challenge = random_token()
    body = orjson.dumps([challenge, to_micros(now + PATIENCE)])
    return challenge, vault.seal(body, context=_context(vault, purpose))


def _opened(vault: Vault, purpose: Purpose, sealed: str, *, now: datetime) -> bytes:
    """The challenge that a page was given. Raises `Invalid`."""
    try:
        challenge, until = orjson.loads(vault.open(sealed[:1000], context=_context(vault, purpose)))
    except KeyProblem as problem:
        raise _refused() from problem
    if from_micros(until) <= now:
        raise _refused()
    return _bytes(challenge)


async def _spend(session: Session, challenge: bytes, *, now: datetime) -> None:
    """Nobody can answer this challenge again. Raises `Invalid` when somebody did."""
    # After the signature was checked: what anybody can send for nothing leaves no row.
    if not await spend(session, hashlib.sha256(challenge).digest(), expires_at=now + PATIENCE):
        raise _refused()


def _context(vault: Vault, purpose: Purpose) -> str:
    bound = vault.digest(f"{purpose.browser}\n{purpose.user_id}", context="factors.challenge").hex()
    return f"factors.challenge:{purpose.what}:{bound}"


def _descriptors(known: Sequence[Passkey]) -> list[JsonObject]:
    return [{"type": "public-key", "id": b64(one.credential_id), "transports": list(one.transports)} for one in known]


def _read(answer: str) -> JsonObject:
    """What the script sent: the JSON form of a credential (WebAuthn §5.1). Raises `Invalid`."""
    if len(answer) > MAX_ANSWER:
        raise _refused()
    try:
        found = orjson.loads(answer)
    except orjson.JSONDecodeError as wrong:
        raise _refused() from wrong
    if not isinstance(found, dict):
        raise _refused()
    return found


def _handle(sent: JsonObject) -> bytes:
    response = sent.get("response")
    return _bytes(response.get("userHandle")) if isinstance(response, dict) else b""


def _transports(sent: JsonObject) -> list[str]:
    response = sent.get("response")
    given = response.get("transports") if isinstance(response, dict) else None
    known = ("usb", "nfc", "ble", "smart-card", "hybrid", "internal")
    return [one for one in known if one in given] if isinstance(given, list) else []


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        return b""
    try:
        return from_b64(text)
    except ValueError:
        return b""


def _refused() -> Invalid:
    return Invalid(Problem("passkey", N_("this passkey could not be used"), N_("try once more, or choose another way")))
