"""OpenAPI documents of services in the admin API. A new one holds at every gateway within a second."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from kronborg.core import clock
from kronborg.core.api import Body, Shown, caller_of, refusals
from kronborg.core.errors import NotFound
from kronborg.core.parts import parts_of
from kronborg.core.whole import whole
from kronborg.gateway.documents import checked, drop_document, set_document
from kronborg.gateway.documents_model import LARGEST, ServiceDocument
from kronborg.gateway.documents_store import find_document

router = APIRouter()

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class DocumentToSave(Body):
    """A document as it was written."""

    document: Annotated[str, Field(min_length=2, max_length=LARGEST)]
    """OpenAPI 3.0 or 3.1 in JSON or YAML, with references inside itself only."""


class ShownDocument(Shown):
    """What is known of the document of a service."""

    service: str
    digest: str
    """The SHA-256 of its canonical JSON; empty when none could be taken yet."""
    title: str
    version: str
    operations: int
    octets: int
    source: str
    """The URL that it is fetched from; empty when it was uploaded."""
    updated_at: datetime
    problem: str
    """Why the newest that was fetched could not be taken."""


def _shown(one: ServiceDocument) -> ShownDocument:
    return ShownDocument(
        service=one.service,
        digest=one.digest,
        title=one.title,
        version=one.version,
        operations=one.operations,
        octets=one.octets,
        source=one.source,
        updated_at=one.updated_at,
        problem=one.problem,
    )


@router.get("/services/{name}/document", tags=["services"], responses=refusals(404, 422))
async def read_document(request: Request, name: Name) -> ShownDocument:
    """What is known of the OpenAPI document of a service."""
    async with parts_of(request).database.read() as session:
        found = await find_document(session, name)
    if found is None:
        raise NotFound("the service has no document")
    return _shown(found)


@router.put("/services/{name}/document", tags=["services"], responses=refusals(404, 422))
async def put_document(request: Request, name: Name, body: DocumentToSave) -> ShownDocument:
    """The OpenAPI document of a service from now on."""
    content = body.document.encode("utf-8", "replace")
    await anyio.to_thread.run_sync(checked, content)
    async with whole(parts_of(request).database) as session:
        found = await set_document(session, name, content, actor=caller_of(request).actor, now=clock.now())
    return _shown(found)


@router.delete("/services/{name}/document", tags=["services"], status_code=204, responses=refusals(404, 422))
async def delete_document(request: Request, name: Name) -> Response:
    """Take it away; routes that enforce it are closed from then on."""
    async with whole(parts_of(request).database) as session:
        await drop_document(session, name, actor=caller_of(request).actor, now=clock.now())
    return Response(status_code=204)
