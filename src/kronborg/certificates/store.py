"""Certificates, ACME accounts and open challenges: tables and every statement on them."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import Column, Index, Table, Text, delete, insert, select, update
from sqlalchemy.engine import Row

from kronborg.certificates.model import Account, Certificate, Source
from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, metadata

certificates_table = Table(
    "certificates_certificates",
    metadata,
    Column("name", Text, primary_key=True),
    Column("hosts", Json, nullable=False),
    Column("source", Text, nullable=False),
    Column("chain", Text, nullable=False),
    Column("not_before", UtcDateTime),
    Column("not_after", UtcDateTime),
    Column("fingerprint", Text, nullable=False),
    Column("failure", Text, nullable=False),
    Column("tried_at", UtcDateTime),
    Column("updated_at", UtcDateTime),
    Column("sealed_key", Text, nullable=False),
)
accounts_table = Table(
    "certificates_accounts",
    metadata,
    Column("directory", Text, primary_key=True),
    Column("sealed_key", Text, nullable=False),
    Column("registration", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
challenges_table = Table(
    "certificates_challenges",
    metadata,
    Column("token", Text, primary_key=True),
    Column("answer", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_certificates_challenges_expires_at", "expires_at"),
)
_all = certificates_table.c
_PUBLIC = (
    _all.name,
    _all.hosts,
    _all.source,
    _all.chain,
    _all.not_before,
    _all.not_after,
    _all.fingerprint,
    _all.failure,
    _all.tried_at,
    _all.updated_at,
)


async def list_certificates(session: ReadSession) -> tuple[Certificate, ...]:
    """All, by name."""
    rows = await session.execute(select(*_PUBLIC).order_by(_all.name))
    return tuple(_certificate(row) for row in rows)


async def find_certificate(session: ReadSession, name: str) -> Certificate | None:
    """One."""
    row = await session.first(select(*_PUBLIC).where(_all.name == name))
    return None if row is None else _certificate(row)


async def sealed_key_of(session: ReadSession, name: str) -> str:
    """The sealed private key of a certificate; empty when there is none yet."""
    return str(await session.scalar(select(_all.sealed_key).where(_all.name == name)) or "")


async def put_certificate(session: Session, certificate: Certificate, *, sealed_key: str) -> None:
    """Make or replace a certificate by its name."""
    values = {
        "hosts": list(certificate.hosts),
        "source": certificate.source,
        "chain": certificate.chain,
        "not_before": certificate.not_before,
        "not_after": certificate.not_after,
        "fingerprint": certificate.fingerprint,
        "failure": certificate.failure,
        "tried_at": certificate.tried_at,
        "updated_at": certificate.updated_at,
        "sealed_key": sealed_key,
    }
    changed = await session.execute(
        update(certificates_table).where(_all.name == certificate.name).values(**values).returning(_all.name)
    )
    if not changed:
        await session.execute(insert(certificates_table).values(name=certificate.name, **values))


async def note_failure(session: Session, name: str, failure: str, *, now: datetime) -> None:
    """Say why the last try failed; an empty text begins a try."""
    await session.execute(update(certificates_table).where(_all.name == name).values(failure=failure, tried_at=now))


async def delete_certificate(session: Session, name: str) -> bool:
    """Whether there was such a certificate."""
    gone = await session.execute(delete(certificates_table).where(_all.name == name).returning(_all.name))
    return bool(gone)


async def find_account(session: ReadSession, directory: str) -> Account | None:
    """Our account at a server, its key still sealed."""
    row = await session.first(select(accounts_table).where(accounts_table.c.directory == directory))
    return None if row is None else Account(str(row.directory), str(row.sealed_key), str(row.registration))


async def put_account(session: Session, account: Account, *, now: datetime) -> None:
    """Keep an account, its key sealed."""
    await session.execute(delete(accounts_table).where(accounts_table.c.directory == account.directory))
    await session.execute(
        insert(accounts_table).values(
            directory=account.directory, sealed_key=account.key, registration=account.registration, created_at=now
        )
    )


async def put_challenge(session: Session, token: str, answer: str, *, expires_at: datetime) -> None:
    """What to answer when an ACME server comes and asks (RFC 8555 section 8.3)."""
    await session.execute(delete(challenges_table).where(challenges_table.c.token == token))
    await session.execute(insert(challenges_table).values(token=token, answer=answer, expires_at=expires_at))


async def find_challenge(session: ReadSession, token: str, *, now: datetime) -> str | None:
    """The answer to an open challenge."""
    table = challenges_table.c
    found = await session.scalar(select(table.answer).where(table.token == token, table.expires_at > now))
    return None if found is None else str(found)


async def purge_challenges(session: Session, *, now: datetime) -> None:
    """Forget challenges that are over."""
    await session.execute(delete(challenges_table).where(challenges_table.c.expires_at <= now))


def _certificate(row: Row[tuple[object, ...]]) -> Certificate:
    name, hosts, source, chain, not_before, not_after, fingerprint, failure, tried_at, updated_at = tuple(row)
    return Certificate(
        name=str(name),
        hosts=tuple(str(host) for host in cast("list[str]", hosts)),
        source=cast("Source", source),
        chain=str(chain),
        not_before=cast("datetime | None", not_before),
        not_after=cast("datetime | None", not_after),
        fingerprint=str(fingerprint),
        failure=str(failure),
        tried_at=cast("datetime | None", tried_at),
        updated_at=cast("datetime | None", updated_at),
    )
