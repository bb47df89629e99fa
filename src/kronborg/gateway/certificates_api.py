"""Certificates in the admin API as far as the gateway has a say: none goes that it needs."""

from __future__ import annotations

from fastapi import APIRouter, Request

from kronborg.certificates.api import Name
from kronborg.core import clock
from kronborg.core.api import caller_of, refusals
from kronborg.core.parts import parts_of
from kronborg.core.whole import whole
from kronborg.gateway import certificates

router = APIRouter()


@router.delete("/certificates/{name}", status_code=204, tags=["certificates"], responses=refusals(404, 409))
async def drop_certificate(request: Request, name: Name) -> None:
    """Forget a certificate and its key; refused while a listener or a service needs it."""
    parts = parts_of(request)
    async with whole(parts.database) as session:
        shown = parts.shown_certificates
        await certificates.remove(session, name, shown, actor=caller_of(request).actor, now=clock.now())
