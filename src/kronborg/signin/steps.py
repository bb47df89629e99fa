"""From what is stored to the next step of the journey, and from an answer to a stronger proof."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from kronborg.accounts.model import User, folded
from kronborg.accounts.store import find_groups_by_names, find_user
from kronborg.core.addresses import network_of
from kronborg.core.crypto import Vault
from kronborg.core.db import Database, ReadSession, Session
from kronborg.core.events import record
from kronborg.core.json import JsonObject
from kronborg.factors import recovery, totp
from kronborg.factors.browsers import remembered
from kronborg.factors.codes import Sending, number_of, use_code
from kronborg.factors.model import RECOVERY, FactorSettings
from kronborg.factors.passkeys import SECOND, Purpose, Site, use
from kronborg.factors.store import count_recovery_codes, kinds_by, kinds_of, touch_factors
from kronborg.sessions.proof import Proof
from kronborg.sessions.store import list_sessions
from kronborg.signin.devices import known_device
from kronborg.signin.journey import AskFactor, Finish, Person, Step, Wanted, what_next
from kronborg.signin.model import Allowance
from kronborg.signin.store import password_changed_at
from kronborg.signin.throttle import Counter

GUESSES = Allowance(5, timedelta(seconds=2), timedelta(minutes=15), timedelta(minutes=10))
"""Wrong codes: whoever types them knows the password, so fewer are free than of passwords."""
SENDINGS = Allowance(3, timedelta(minutes=1), timedelta(minutes=15), timedelta(minutes=5))
"""Codes that are sent, to one person."""

AMR = {"totp": ("otp",), "email": ("otp", "mca"), "sms": ("sms", "mca"), RECOVERY: ("otp",)}
"""What a factor is called in `amr` (RFC 8176 §2)."""


@dataclass(frozen=True, slots=True)
class Seat:
    """The browser that somebody sits at: its own cookie, what it has been remembered by, and its network."""

    browser: str
    remembered: str | None
    device: str | None
    address: str
    idle: timedelta


@dataclass(frozen=True, slots=True)
class Here:
    """Where somebody stands in the journey: who they are, and the next step."""

    user: User
    step: Step


async def is_more_needed(
    database: Database, vault: Vault, policy: FactorSettings, proof: Proof, wanted: Wanted, seat: Seat, *, now: datetime
) -> bool:
    """Whether a password that was right is not enough. Costs one indexed lookup where nobody has to have a factor."""
    if policy.policy == "off" and not wanted.strength:
        return False
    if not policy.may_ask and not wanted.strength and not await kinds_by(database.lookup, proof.user_id):
        return False
    async with database.read() as reading:
        here = await next_step(reading, vault, policy, proof, wanted, seat, now=now)
    # An account that is gone by now is told so by the end of the journey.
    return here is not None and not isinstance(here.step, Finish)


async def next_step(
    session: ReadSession,
    vault: Vault,
    policy: FactorSettings,
    proof: Proof,
    wanted: Wanted,
    seat: Seat,
    *,
    now: datetime,
) -> Here | None:
    """The next step; None when the account is gone or disabled, or its password has changed since it was proved."""
    user = await find_user(session, proof.user_id)
    if user is None or user.disabled or user.kind != "person":
        return None
    changed_at = await password_changed_at(session, user.id)
    if changed_at is not None and changed_at > proof.at:
        return None
    if changed_at is None and "pwd" in proof.amr and not proof.by:
        return None  # taken away meanwhile, by the emergency brake
    unused, _ = await count_recovery_codes(session, user.id)
    person = Person(
        kinds=await kinds_of(session, user.id),
        groups=await _groups_of(session, user) if policy.required_groups else (),
        recovery=unused > 0,
        email_verified=user.email_verified,
        remembered=await remembered(session, vault, user.id, seat.remembered, now=now),
        risky=await _is_risky(session, vault, policy, user.id, seat, now=now),
    )
    step = what_next(proof, person, policy, wanted)
    # What a session says begins nothing anew: it would make an old sign-in look fresh.
    return None if proof.renews and not isinstance(step, AskFactor) else Here(user, step)


async def _groups_of(session: ReadSession, user: User) -> tuple[str, ...]:
    """The groups of somebody, and those that they stand in."""
    known: dict[str, str] = {}
    names = user.groups
    while names:
        found = await find_groups_by_names(session, names)
        known |= {key: group.name for key, group in found.items()}
        names = tuple(group.parent for group in found.values() if group.parent and folded(group.parent) not in known)
    return tuple(known.values())


async def _is_risky(
    session: ReadSession, vault: Vault, policy: FactorSettings, user_id: str, seat: Seat, *, now: datetime
) -> bool:
    if "unknown_device" in policy.risks and known_device(vault, seat.device, user_id) is None:
        return True
    if "new_network" in policy.risks:
        sessions = await list_sessions(session, user_id, now=now, idle=seat.idle)
        return network_of(seat.address) not in {network_of(one.address) for one in sessions}
    return False


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody gave as a second factor: a code, or what a passkey answered to a sealed challenge."""

    method: str
    code: str = ""
    credential: str = ""
    challenge: str = ""


async def stronger(
    session: Session, vault: Vault, site: Site, proof: Proof, user: User, answer: Answer, *, browser: str, now: datetime
) -> Proof | None:
    """The proof with a second factor; None when the answer is wrong. Raises `Invalid` for a wrong passkey."""
    found = await _found(session, vault, site, user, answer, browser=browser, now=now)
    if found is None:
        # Whoever comes this far knows the password: that is news to the person and to whoever watches over them.
        wrong: JsonObject = {"kind": answer.method, "reason": "wrong"}
        await record(session, "factor.refused", actor="anonymous", subject=user.id, now=now, detail=wrong)
        return None
    amr, used = found
    detail: JsonObject = {"kind": answer.method, "factor": used}
    await record(session, "factor.used", actor=user.id, subject=user.id, now=now, detail=detail)
    return with_factor(proof, amr)


async def _found(
    session: Session, vault: Vault, site: Site, user: User, answer: Answer, *, browser: str, now: datetime
) -> tuple[tuple[str, ...], str] | None:
    """What a right answer is called in `amr`, and the id of the factor that it is of; None for a wrong one."""
    if answer.method == "passkey":
        purpose = Purpose(SECOND, browser, user.id)
        key = await use(session, vault, site, purpose, sealed=answer.challenge, answer=answer.credential, now=now)
        return key.amr, key.passkey.factor.id
    if answer.method == RECOVERY:
        return (AMR[RECOVERY], "") if await recovery.use_code(session, vault, user.id, answer.code, now=now) else None
    if answer.method == "totp":
        factor = await totp.use_code(session, vault, user.id, answer.code, now=now)
        return None if factor is None else (AMR["totp"], factor.id)
    sending = await sending_to(session, vault, user, answer.method, browser=browser)
    if sending is None or not await use_code(session, vault, sending, answer.code, now=now):
        return None
    await touch_factors(session, user.id, answer.method, now=now)
    return AMR[answer.method], ""


def with_factor(proof: Proof, amr: tuple[str, ...]) -> Proof:
    """A proof and a second factor are several (RFC 8176 §2 `mfa`)."""
    return replace(proof, amr=tuple(dict.fromkeys((*proof.amr, *amr, "mfa"))), renews=False)


async def sending_to(session: ReadSession, vault: Vault, user: User, method: str, *, browser: str) -> Sending | None:
    """Where a code goes: to the verified address, or to the verified number; None when there is none."""
    if method == "email":
        return Sending(user.id, "email", browser, user.email) if user.email and user.email_verified else None
    number = await number_of(session, vault, user.id) if method == "sms" else None
    return None if number is None else Sending(user.id, "sms", browser, number)


def guesses_of(vault: Vault, user_id: str, seat: Seat) -> tuple[Counter, ...]:
    """What wrong codes count under: a known device has its own allowance, everybody else shares that of the account."""
    device = known_device(vault, seat.device, user_id)
    if device is not None:
        return (_counter(vault, "device", f"factor\n{device}\n{user_id}", GUESSES),)
    return (_counter(vault, "account", f"factor\n{user_id}", GUESSES),)


def sendings_of(vault: Vault, user_id: str) -> tuple[Counter, ...]:
    """What sent codes count under."""
    return (_counter(vault, "account", f"sent\n{user_id}", SENDINGS),)


def _counter(vault: Vault, kind: str, subject: str, allowance: Allowance) -> Counter:
    return Counter(kind, vault.digest(f"{kind}\n{subject}", context="signin.throttle"), allowance)
