"""The last step of every way to sign in: a session for somebody who has proved enough."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.group_writer import Execute
from kronborg.sessions.life import Beginning, Begun, begin_in, end_in
from kronborg.sessions.model import Origin
from kronborg.sessions.proof import Proof
from kronborg.signin.devices import known_device, remember_device
from kronborg.signin.store import standing_of, swap_hash
from kronborg.signin.throttle import Counter, give_back_in


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The session to put into the browser, and its new device cookie."""

    begun: Begun
    device_cookie: str


@dataclass(frozen=True, slots=True)
class Compared:
    """The hash that a password was right for, and the same password under today's parameters where that differs."""

    encoded: str
    renewed: str | None = None


async def finish(
    database: Database,
    vault: Vault,
    proof: Proof,
    *,
    origin: Origin,
    device_cookie: str | None,
    replaces: tuple[str, str] | None,
    session_lifetime: timedelta,
    now: datetime,
    compared: Compared | None = None,
    counted: tuple[Counter, ...] = (),
) -> SignedIn | None:
    """Begin a session; None when the person is gone, disabled, or has another password by now than the `compared` one.

    All of it is one unit: `counted` is given back, a session of somebody else in this browser ends, the hash is
    renewed. `replaces` as in `Attempt`.
    """
    user_id = proof.user_id
    known = known_device(vault, device_cookie, user_id)

    def unit(execute: Execute) -> Begun | None:
        # Read again inside the transaction: much may have changed since the person began.
        standing = standing_of(execute, user_id)
        if standing is None or standing[0] or (compared is not None and compared.encoded != standing[1]):
            return None
        if compared is not None and compared.renewed is not None:
            swap_hash(execute, user_id, old=compared.encoded, new=compared.renewed)
        give_back_in(execute, counted, now=now)
        beginning = Beginning(
            user_id,
            proof.amr,
            origin,
            session_lifetime,
            _leave(execute, replaces, user_id, now=now),
            vouched_by=proof.by,
            told=proof.told,
            new_device=known is None,
        )
        return begin_in(execute, vault, beginning, now=now)

    begun = await database.writer.run(unit, alone=bool(counted))
    return None if begun is None else SignedIn(begun, remember_device(vault, device_cookie, user_id))


def _leave(execute: Execute, replaces: tuple[str, str] | None, user_id: str, *, now: datetime) -> str | None:
    """The id of the session to go on with; a session of somebody else in this browser ends."""
    if replaces is None:
        return None
    session_id, owner = replaces
    if owner == user_id:
        return session_id
    end_in(execute, session_id, user_id=owner, actor=user_id, now=now)
    return None
