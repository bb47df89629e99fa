"""The OpenAPI documents of services, as the operations that traffic is compared with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import orjson

from kronborg.core.db import ReadSession
from kronborg.gateway.documents_store import content_of, list_documents
from kronborg.gateway.model import Snapshot
from kronborg.traffic.surface_facts_model import Operation

MOST = 50
"""Services of which documents are read."""
_METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
_PLACE = re.compile(r"\\\{[^/{}]*\\\}")


async def documents_of(session: ReadSession, snapshot: Snapshot) -> Mapping[str, tuple[Operation, ...]]:
    """By service; services without a document are not there."""
    published = {service.name for service in snapshot.services}
    found: dict[str, tuple[Operation, ...]] = {}
    for one in await list_documents(session):
        if one.digest and one.service in published and len(found) < MOST:
            text = await content_of(session, one.digest)
            if text is not None:
                found[one.service] = tuple(operations_of(text))
    return found


def operations_of(text: str) -> Iterator[Operation]:
    """The operations of a document that was checked when it came in. A server's path comes before each of its own."""
    document = orjson.loads(text)
    for path, item in document.get("paths", {}).items():
        for method in _METHODS:
            operation = item.get(method) if isinstance(item, dict) else None
            if isinstance(operation, dict):
                # OpenAPI 3.1 section 4.8.8.1: a place is one segment, or part of one.
                regex = _PLACE.sub("[^/]+", re.escape(path))
                yield Operation(method.upper(), path, regex, deprecated=operation.get("deprecated") is True)
