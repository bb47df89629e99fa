"""The tables of OpenAPI documents, and every statement that touches them. A text is kept once, by its digest."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Column, Integer, Table, Text, delete, insert, select, update

from kronborg.core.db import ReadSession, Session, UtcDateTime, metadata
from kronborg.core.group_writer import Lookup
from kronborg.gateway.documents_model import ServiceDocument
from kronborg.gateway.documents_model import Text as DocumentText

documents_table = Table(
    "gateway_documents",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("content", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("operations", Integer, nullable=False),
    Column("octets", Integer, nullable=False),
)
service_documents_table = Table(
    "gateway_service_documents",
    metadata,
    Column("service", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
_of = service_documents_table.c
_text = documents_table.c
_DIGESTS = "SELECT service, digest FROM gateway_service_documents WHERE digest <> ''"


async def digests_now(lookup: Lookup) -> dict[str, str]:
    """The digest of each service's document: committed state, cheap enough to ask every second."""
    return {str(row[0]): str(row[1]) for row in await lookup.all(_DIGESTS, ())}


async def content_of(session: ReadSession, digest: str) -> str | None:
    """The text of a document."""
    found = await session.scalar(select(_text.content).where(_text.digest == digest))
    return None if found is None else str(found)


async def list_documents(session: ReadSession) -> tuple[ServiceDocument, ...]:
    """What is known of every service's document, by service."""
    joined = service_documents_table.outerjoin(documents_table, _of.digest == _text.digest)
    rows = await session.execute(
        select(
            *(_of.service, _of.digest, _text.title, _text.version, _text.operations, _text.octets),
            *(_of.source, _of.updated_at, _of.problem),
        )
        .select_from(joined)
        .order_by(_of.service)
    )
    return tuple(
        ServiceDocument(
            *(row.service, row.digest, row.title or "", row.version or "", row.operations or 0, row.octets or 0),
            *(row.source, row.updated_at, row.problem),
        )
        for row in rows
    )


async def find_document(session: ReadSession, service: str) -> ServiceDocument | None:
    """What is known of one service's document."""
    return next((one for one in await list_documents(session) if one.service == service), None)


async def put_document(session: Session, service: str, text: DocumentText, *, source: str, now: datetime) -> bool:
    """The document that a service has from now on; False when it had that one already."""
    before = await session.scalar(select(_of.digest).where(_of.service == service))
    if await session.scalar(select(_text.digest).where(_text.digest == text.digest)) is None:
        await session.execute(
            insert(documents_table).values(
                digest=text.digest,
                content=text.content,
                title=text.title,
                version=text.version,
                operations=text.operations,
                octets=len(text.content.encode()),
            )
        )
    changed = before != text.digest
    if before is None:
        row = {"digest": text.digest, "source": source, "problem": "", "asked_at": now, "updated_at": now}
        await session.execute(insert(service_documents_table).values(service=service, **row))
    else:
        moment = {"updated_at": now} if changed else {}
        await session.execute(
            update(service_documents_table)
            .where(_of.service == service)
            .values(digest=text.digest, source=source, problem="", asked_at=now, **moment)
        )
    await _forget_unused(session)
    return changed


async def note_problem(session: Session, service: str, problem: str, *, source: str, now: datetime) -> None:
    """Why the newest could not be taken; the one before stays in force."""
    known = await session.scalar(select(_of.service).where(_of.service == service))
    if known is None:
        row = {"digest": "", "source": source, "problem": problem, "asked_at": now, "updated_at": now}
        await session.execute(insert(service_documents_table).values(service=service, **row))
        return
    values = {"problem": problem, "asked_at": now}
    await session.execute(update(service_documents_table).where(_of.service == service).values(**values))


async def claim_turn(session: Session, service: str, *, every: timedelta, now: datetime) -> bool:
    """Whether it is this process's turn to fetch: one of several, and not before the time has come."""
    known = await session.scalar(select(_of.service).where(_of.service == service))
    if known is None:
        return True
    won = (
        update(service_documents_table)
        .where(_of.service == service, _of.asked_at <= now - every)
        .values(asked_at=now)
        .returning(_of.service)
    )
    return await session.scalar(won) is not None


async def delete_document(session: Session, service: str) -> bool:
    """A service has no document any more; False when it had none."""
    removed = delete(service_documents_table).where(_of.service == service).returning(_of.service)
    found = await session.scalar(removed) is not None
    await _forget_unused(session)
    return found


async def _forget_unused(session: Session) -> None:
    await session.execute(delete(documents_table).where(_text.digest.not_in(select(_of.digest))))
