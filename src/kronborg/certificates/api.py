"""Certificates in the admin API. A private key goes in and never comes out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from kronborg.certificates import keep
from kronborg.certificates.model import Certificate
from kronborg.certificates.store import find_certificate, list_certificates
from kronborg.core import clock
from kronborg.core.api import Body, Page, Shown, Word, caller_of, refusals
from kronborg.core.errors import NotFound
from kronborg.core.parts import parts_of
from kronborg.core.whole import whole

router = APIRouter()

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Pem = Annotated[str, Field(max_length=65_536)]


class ShownCertificate(Shown):
    """A certificate without its key. `failure` is why the last order at the ACME server failed."""

    name: str
    hosts: tuple[str, ...]
    source: Literal["uploaded", "acme"]
    chain: str
    not_before: datetime | None
    not_after: datetime | None
    fingerprint: str
    failure: str
    tried_at: datetime | None
    updated_at: datetime | None


class CertificateToKeep(Body):
    """Either a certificate with its key, or the hosts that the ACME server shall make one for."""

    chain: Pem | None = None
    """PEM: the certificate first, then those that signed it."""
    key: Pem | None = None
    """Its private key, PEM without a passphrase."""
    hosts: Annotated[tuple[Word, ...], Field(max_length=50)] = ()
    """Public DNS names, in place of `chain` and `key`."""

    @model_validator(mode="after")
    def _one_way(self) -> CertificateToKeep:
        brought = self.chain is not None and self.key is not None
        if brought == bool(self.hosts) or (self.chain is None) != (self.key is None):
            raise PydanticCustomError("certificate", "needs either chain and key, or hosts")
        return self


def _shown(certificate: Certificate) -> ShownCertificate:
    return ShownCertificate.model_validate(certificate)


@router.get("/certificates", tags=["certificates"])
async def read_certificates(request: Request) -> Page[ShownCertificate]:
    """Every certificate, by name."""
    async with parts_of(request).database.read() as session:
        return Page(items=[_shown(one) for one in await list_certificates(session)], next=None)


@router.get("/certificates/{name}", tags=["certificates"], responses=refusals(404, 422))
async def read_certificate(request: Request, name: Name) -> ShownCertificate:
    """One certificate."""
    async with parts_of(request).database.read() as session:
        found = await find_certificate(session, name)
    if found is None:
        raise NotFound("there is no certificate with this name")
    return _shown(found)


@router.put("/certificates/{name}", tags=["certificates"], responses=refusals(422))
async def put_certificate(request: Request, name: Name, body: CertificateToKeep) -> ShownCertificate:
    """Keep a certificate with its key, or order one from the ACME server; listeners take it within seconds."""
    parts, actor = parts_of(request), caller_of(request).actor
    async with whole(parts.database) as session:
        if body.chain is None or body.key is None:
            return _shown(await keep.wish(session, name, body.hosts, actor=actor, now=clock.now()))
        kept = await keep.upload(session, parts.vault, name, body.chain, body.key, actor=actor, now=clock.now())
    return _shown(kept)
