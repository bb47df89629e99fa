"""OpenAPI documents of services: given, taken away, and fetched where a service tells its own."""

from __future__ import annotations

from datetime import datetime

from kronborg.core.db import Session
from kronborg.core.errors import NotFound
from kronborg.core.events import record
from kronborg.gateway import documents_store as store
from kronborg.gateway.documents_compile import compile_document
from kronborg.gateway.documents_model import ServiceDocument, Text
from kronborg.gateway.documents_read import read
from kronborg.gateway.store import list_services


async def set_document(
    session: Session, service: str, content: bytes, *, actor: str, now: datetime, source: str = ""
) -> ServiceDocument:
    """The document of a service from now on, at every gateway within a second. Raises `Invalid`, `NotFound`."""
    text = checked(content)
    if service not in {one.name for one in await list_services(session)}:
        raise NotFound("there is no such service")
    if await store.put_document(session, service, text, source=source, now=now):
        detail = {"digest": text.digest, "operations": str(text.operations)}
        await record(session, "service_document.set", actor=actor, subject=service, now=now, detail=detail)
    found = await store.find_document(session, service)
    assert found is not None  # noqa: S101  # written just now
    return found


async def drop_document(session: Session, service: str, *, actor: str, now: datetime) -> None:
    """A service has no document any more; routes that enforce one are closed. Raises `NotFound`."""
    if not await store.delete_document(session, service):
        raise NotFound("the service has no document")
    await record(session, "service_document.deleted", actor=actor, subject=service, now=now)


def checked(content: bytes) -> Text:
    """A document that can be kept and made ready. Raises `Invalid`."""
    import orjson

    text = read(content)
    compile_document(orjson.loads(text.content))
    return text
