"""Trusted issuers of assertions in the admin API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field, JsonValue

from kronborg.core import clock
from kronborg.core.api import Body, Page, Shown, Text, Uri, caller_of, check_match, refusals, with_etag
from kronborg.core.errors import NotFound
from kronborg.core.parts import parts_of
from kronborg.core.whole import whole
from kronborg.oauth import issuers
from kronborg.oauth.issuers_store import find_issuer, list_issuers
from kronborg.oauth.model import TrustedIssuer, TrustedIssuerDraft

router = APIRouter()

Name = Annotated[str, Path(max_length=63, pattern=r"^[a-z0-9-]+$")]
JwkSet = Annotated[dict[str, JsonValue], Field(max_length=20)]
Subject = Literal["username", "email", "id", "client"]


class ShownIssuer(Shown):
    """A trusted issuer of assertions."""

    name: str
    issuer: str
    jwks: dict[str, JsonValue] | None
    jwks_uri: str | None
    audience: str | None
    subject: Subject
    created_at: datetime
    updated_at: datetime


class IssuerToSave(Body):
    """A trusted issuer as it shall be. `subject` says what its `sub` is here."""

    issuer: Text
    jwks: JwkSet | None = None
    jwks_uri: Uri | None = None
    audience: Uri | None = None
    subject: Subject = "username"


def _shown(issuer: TrustedIssuer) -> ShownIssuer:
    return ShownIssuer.model_validate(issuer)


@router.get("/issuers", tags=["issuers"])
async def read_issuers(request: Request) -> Page[ShownIssuer]:
    """Every trusted issuer of assertions (there are at most 100)."""
    async with parts_of(request).database.read() as session:
        return Page(items=[_shown(issuer) for issuer in await list_issuers(session)], next=None)


@router.get("/issuers/{name}", tags=["issuers"], responses=refusals(404, 422))
async def read_issuer(request: Request, response: Response, name: Name) -> ShownIssuer:
    """One trusted issuer."""
    async with parts_of(request).database.read() as session:
        issuer = await find_issuer(session, name)
    if issuer is None:
        raise NotFound("there is no trusted issuer with this name")
    shown = _shown(issuer)
    with_etag(response, shown)
    return shown


@router.put("/issuers/{name}", tags=["issuers"], responses=refusals(412, 422))
async def save_issuer(request: Request, response: Response, name: Name, body: IssuerToSave) -> ShownIssuer:
    """Make or replace a trusted issuer. `If-Match` guards against changes made meanwhile."""
    parts = parts_of(request)
    async with whole(parts.database) as session:
        before = await find_issuer(session, name)
        if before is not None:
            check_match(request, _shown(before))
        draft = TrustedIssuerDraft(name, body.issuer, body.jwks, body.jwks_uri, body.audience, body.subject)
        actor = caller_of(request).actor
        shown = _shown(await issuers.save_issuer(session, draft, own=parts.issuer, actor=actor, now=clock.now()))
    with_etag(response, shown)
    return shown


@router.delete("/issuers/{name}", status_code=204, tags=["issuers"], responses=refusals(404, 412, 422))
async def remove_issuer(request: Request, name: Name) -> None:
    """Trust an issuer no more."""
    async with whole(parts_of(request).database) as session:
        before = await find_issuer(session, name)
        if before is not None:
            check_match(request, _shown(before))
        await issuers.remove_issuer(session, name, actor=caller_of(request).actor, now=clock.now())
