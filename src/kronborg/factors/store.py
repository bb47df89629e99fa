"""The tables of factors, and the SQL that touches them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    case,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row

from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, metadata
from kronborg.core.group_writer import Lookup
from kronborg.factors.model import Factor, Passkey, RememberedBrowser, SealedFactor

factors_table = Table(
    "factors_factors",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("credential_id", LargeBinary, unique=True),
    Column("public_key", LargeBinary),
    Column("sign_count", BigInteger, nullable=False),
    Column("transports", Json, nullable=False),
    Column("backup_eligible", Boolean, nullable=False),
    Column("backed_up", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    Index("ix_factors_factors_user_id", "user_id", "kind"),
)

recovery_table = Table(
    "factors_recovery_codes",
    metadata,
    Column("user_id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("made_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
)

codes_table = Table(
    "factors_sent_codes",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("user_id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE"), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("tries_left", Integer, nullable=False),
    Column("sent_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_factors_sent_codes_user_id", "user_id", "sent_at"),
    Index("ix_factors_sent_codes_expires_at", "expires_at"),
)

browsers_table = Table(
    "factors_browsers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE"), nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("user_agent", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_factors_browsers_user_id", "user_id"),
    Index("ix_factors_browsers_expires_at", "expires_at"),
)

sendings_table = Table(
    "factors_sendings",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("sent", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_factors_sendings_expires_at", "expires_at"),
)
"""How many codes were sent under a key until its hour is over."""

spent_table = Table(
    "factors_spent",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_factors_spent_expires_at", "expires_at"),
)

_factors, _recovery, _codes = factors_table.c, recovery_table.c, codes_table.c
_browsers, _spent, _sendings = browsers_table.c, spent_table.c, sendings_table.c

_KINDS = "SELECT DISTINCT kind FROM factors_factors WHERE user_id = ?"


async def kinds_by(lookup: Lookup, user_id: str) -> frozenset[str]:
    """The kinds of factors that a user has: the one lookup that a sign-in without a second factor pays."""
    return frozenset(str(kind) for (kind,) in await lookup.all(_KINDS, (user_id,)))


async def kinds_of(session: ReadSession, user_id: str) -> frozenset[str]:
    """The same, inside a transaction."""
    rows = await session.execute(select(_factors.kind).where(_factors.user_id == user_id))
    return frozenset(cast("str", row.kind) for row in rows)


async def list_factors(session: ReadSession, user_id: str) -> Sequence[Factor]:
    """Every factor of a user, the oldest first."""
    query = select(factors_table).where(_factors.user_id == user_id).order_by(_factors.created_at, _factors.id)
    return [_factor(row) for row in await session.execute(query)]


async def list_sealed(session: ReadSession, user_id: str, kind: str) -> Sequence[SealedFactor]:
    """The factors of one kind, with what they are checked by."""
    query = select(factors_table).where(_factors.user_id == user_id, _factors.kind == kind)
    rows = await session.execute(query.order_by(_factors.created_at, _factors.id))
    return [SealedFactor(_factor(row), cast("str", row.sealed), cast("int", row.last_step)) for row in rows]


async def list_passkeys(session: ReadSession, user_id: str) -> Sequence[Passkey]:
    """The passkeys of a user."""
    query = select(factors_table).where(_factors.user_id == user_id, _factors.kind == "passkey")
    return [_passkey(row) for row in await session.execute(query.order_by(_factors.created_at))]


async def find_passkey(session: ReadSession, credential_id: bytes) -> Passkey | None:
    """The passkey with this credential id."""
    row = await session.first(select(factors_table).where(_factors.credential_id == credential_id))
    return None if row is None else _passkey(row)


async def insert_factor(
    session: Session,
    factor: Factor,
    *,
    sealed: str = "",
    last_step: int = 0,
    credential_id: bytes | None = None,
    public_key: bytes | None = None,
    sign_count: int = 0,
    transports: Sequence[str] = (),
) -> bool:
    """One new factor; False when the credential is registered already."""
    values = {name: getattr(factor, name) for name in factor.__slots__}
    statement = insert(factors_table).values(
        **values,
        sealed=sealed,
        last_step=last_step,
        credential_id=credential_id,
        public_key=public_key,
        sign_count=sign_count,
        transports=list(transports),
    )
    made = statement.on_conflict_do_nothing(index_elements=["credential_id"]).returning(_factors.id)
    return await session.scalar(made) is not None


async def count_factors(session: ReadSession, user_id: str) -> int:
    """How many factors a user has."""
    return cast("int", await session.scalar(select(func.count()).where(_factors.user_id == user_id)))


async def use_step(session: Session, factor_id: str, step: int, *, now: datetime) -> bool:
    """Note that this step of an authenticator was used; False when it, or a later one, was used before.

    RFC 6238 §5.2: a code is accepted once. Of two racing uses the conditional UPDATE lets one through.
    """
    mine = (_factors.id == factor_id) & (_factors.last_step < step)
    changed = update(factors_table).where(mine).values(last_step=step, last_used_at=now)
    return await session.scalar(changed.returning(_factors.id)) is not None


async def use_passkey(session: Session, factor_id: str, count: int, *, backed_up: bool, now: datetime) -> bool:
    """Note that a passkey was used with this signature counter; False when the counter did not grow.

    WebAuthn Level 3 §7.2 step 22: authenticators without a counter always say zero.
    """
    grown = or_(_factors.sign_count < count, (_factors.sign_count == 0) & (count == 0))
    changed = update(factors_table).where(_factors.id == factor_id, grown)
    changed = changed.values(sign_count=count, backed_up=backed_up, last_used_at=now)
    return await session.scalar(changed.returning(_factors.id)) is not None


async def touch_factors(session: Session, user_id: str, kind: str, *, now: datetime) -> None:
    """Note that the factor of this kind was used."""
    mine = (_factors.user_id == user_id) & (_factors.kind == kind)
    await session.execute(update(factors_table).where(mine).values(last_used_at=now))


async def rename_factor_row(session: Session, user_id: str, factor_id: str, name: str) -> bool:
    """Another name; False when the user has no such factor."""
    mine = (_factors.id == factor_id) & (_factors.user_id == user_id)
    changed = update(factors_table).where(mine).values(name=name).returning(_factors.id)
    return await session.scalar(changed) is not None


async def delete_factor_row(session: Session, user_id: str, factor_id: str) -> str | None:
    """Remove a factor; its kind, or None when the user has no such factor."""
    mine = (_factors.id == factor_id) & (_factors.user_id == user_id)
    return cast("str | None", await session.scalar(delete(factors_table).where(mine).returning(_factors.kind)))


async def delete_all_of(session: Session, user_id: str) -> Sequence[str]:
    """Remove factors, recovery codes, sent codes and remembered browsers of a user; the kinds of the factors."""
    gone = await session.execute(delete(factors_table).where(_factors.user_id == user_id).returning(_factors.kind))
    for table in (recovery_table, codes_table, browsers_table):
        await session.execute(delete(table).where(table.c.user_id == user_id))
    return [cast("str", row.kind) for row in gone]


async def replace_recovery_codes(session: Session, user_id: str, digests: Sequence[bytes], *, now: datetime) -> None:
    """Make these the recovery codes of a user, and no others."""
    await session.execute(delete(recovery_table).where(_recovery.user_id == user_id))
    rows: list[dict[str, object]] = [{"user_id": user_id, "digest": one, "made_at": now} for one in digests]
    await session.execute_many(insert(recovery_table), rows)


async def use_recovery_code(session: Session, user_id: str, digest: bytes, *, now: datetime) -> bool:
    """Spend a recovery code; True only for who did so first."""
    mine = (_recovery.user_id == user_id) & (_recovery.digest == digest) & _recovery.used_at.is_(None)
    won = await session.scalar(update(recovery_table).where(mine).values(used_at=now).returning(_recovery.user_id))
    return won is not None


async def count_recovery_codes(session: ReadSession, user_id: str) -> tuple[int, int]:
    """How many recovery codes are unused, and how many there are."""
    rows = await session.execute(select(_recovery.used_at).where(_recovery.user_id == user_id))
    return sum(row.used_at is None for row in rows), len(rows)


async def put_code(
    session: Session, key: bytes, user_id: str, digest: bytes, *, tries: int, now: datetime, expires_at: datetime
) -> None:
    """The code that was sent last under this key, in place of an older one."""
    values = {"digest": digest, "tries_left": tries, "sent_at": now, "expires_at": expires_at}
    made = insert(codes_table).values(key=key, user_id=user_id, **values)
    await session.execute(made.on_conflict_do_update(index_elements=["key"], set_=values))


async def count_sending(session: Session, key: bytes, *, now: datetime, until: datetime) -> tuple[int, datetime]:
    """Count one more code under this key: how many there are with it, and when they are forgotten.

    The count begins anew, to be forgotten at `until`, once the one before is over.
    """
    made = insert(sendings_table).values(key=key, sent=1, expires_at=until)
    over = _sendings.expires_at <= now
    counted = made.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "sent": case((over, 1), else_=_sendings.sent + 1),
            "expires_at": case((over, made.excluded.expires_at), else_=_sendings.expires_at),
        },
    )
    row = await session.first(counted.returning(_sendings.sent, _sendings.expires_at))
    sent, expires_at = cast("tuple[int, datetime]", row)
    return sent, expires_at


async def try_code(session: Session, key: bytes, digest: bytes, *, now: datetime) -> bool:
    """Whether this is the code that was sent: it takes one try, and a right one is spent."""
    alive = (_codes.key == key) & (_codes.tries_left > 0) & (_codes.expires_at > now)
    tried = update(codes_table).where(alive).values(tries_left=_codes.tries_left - 1).returning(_codes.digest)
    found = await session.scalar(tried)
    if found is None or bytes(cast("bytes", found)) != digest:
        return False
    gone = delete(codes_table).where(_codes.key == key, _codes.digest == digest).returning(_codes.key)
    return await session.scalar(gone) is not None


async def code_waits(session: ReadSession, key: bytes, *, now: datetime) -> bool:
    """Whether a code was sent under this key that can still be used."""
    alive = (_codes.key == key) & (_codes.tries_left > 0) & (_codes.expires_at > now)
    return await session.scalar(select(_codes.key).where(alive)) is not None


async def insert_browser(session: Session, user_id: str, browser: RememberedBrowser, digest: bytes) -> None:
    """One more remembered browser."""
    values = {name: getattr(browser, name) for name in browser.__slots__}
    await session.execute(insert(browsers_table).values(**values, user_id=user_id, digest=digest))


async def find_browser(session: ReadSession, user_id: str, digests: Sequence[bytes], *, now: datetime) -> str | None:
    """The id of the remembered browser of this user with one of these digests."""
    mine = (_browsers.user_id == user_id) & _browsers.digest.in_(digests) & (_browsers.expires_at > now)
    return cast("str | None", await session.scalar(select(_browsers.id).where(mine)))


async def touch_browser(session: Session, browser_id: str, *, now: datetime) -> None:
    """Note that a remembered browser was used."""
    await session.execute(update(browsers_table).where(_browsers.id == browser_id).values(last_used_at=now))


async def list_browsers(session: ReadSession, user_id: str, *, now: datetime) -> Sequence[RememberedBrowser]:
    """The remembered browsers of a user, the last used first."""
    mine = (_browsers.user_id == user_id) & (_browsers.expires_at > now)
    query = select(browsers_table).where(mine).order_by(_browsers.last_used_at.desc()).limit(100)
    rows = await session.execute(query)
    return [RememberedBrowser(**{name: getattr(row, name) for name in RememberedBrowser.__slots__}) for row in rows]


async def delete_browsers(session: Session, user_id: str, *, browser_id: str | None = None) -> int:
    """Forget one remembered browser of a user, or all; how many."""
    mine = _browsers.user_id == user_id
    if browser_id is not None:
        mine &= _browsers.id == browser_id
    return len(await session.execute(delete(browsers_table).where(mine).returning(_browsers.id)))


async def spend(session: Session, digest: bytes, *, expires_at: datetime) -> bool:
    """Use up something that may be used once before `expires_at`; True only for who did so first."""
    made = insert(spent_table).values(digest=digest, expires_at=expires_at).on_conflict_do_nothing()
    return await session.scalar(made.returning(_spent.expires_at)) is not None


async def delete_expired(session: Session, *, now: datetime) -> None:
    """Forget sent codes, how many there were, spent things and remembered browsers whose time is over."""
    for table in (codes_table, spent_table, browsers_table, sendings_table):
        await session.execute(delete(table).where(table.c.expires_at <= now))


def _factor(row: Row[Any]) -> Factor:
    return Factor(**{name: getattr(row, name) for name in Factor.__slots__})


def _passkey(row: Row[Any]) -> Passkey:
    return Passkey(
        _factor(row), bytes(row.credential_id), bytes(row.public_key), int(row.sign_count), tuple(row.transports)
    )
