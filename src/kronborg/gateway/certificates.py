"""Which certificates the gateway needs, so that none is taken away under it, nor named before it is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from kronborg.certificates import keep
from kronborg.certificates.store import list_certificates
from kronborg.core.db import ReadSession, Session
from kronborg.core.errors import Conflict, Problem
from kronborg.gateway.listener_model import Listener
from kronborg.gateway.model import Service, Snapshot
from kronborg.gateway.store import latest_published, list_services


def shown_by(listeners: Iterable[Listener]) -> tuple[str, ...]:
    """The names of the certificates that listeners show."""
    return tuple(sorted({name for one in listeners if one.tls for name in one.tls.certificates}))


async def needs(session: ReadSession, shown: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """By certificate who needs it, in words; `shown` are those of the listeners."""
    found = {name: ["a listener"] for name in shown}
    published = await latest_published(session)
    serving = () if published is None else published.snapshot.services
    services = {(one.name, name) for one in (*await list_services(session), *serving) for name in _own(one)}
    for service, name in sorted(services):
        found.setdefault(name, []).append(f"the service {service}")
    return {name: tuple(users) for name, users in found.items()}


async def remove(session: Session, name: str, shown: tuple[str, ...], *, actor: str, now: datetime) -> None:
    """Forget a certificate and its key. Raises `NotFound`, and `Conflict` while somebody needs it."""
    if name in await needs(session, shown):
        raise Conflict("the gateway needs this certificate: take it out of its listeners and services first")
    await keep.remove(session, name, actor=actor, now=now)


async def unknown_in(session: ReadSession, snapshot: Snapshot) -> tuple[Problem, ...]:
    """Reasons against publishing: services that are to be shown a certificate which nobody keeps here."""
    if not any(_own(one) for one in snapshot.services):
        return ()
    known = {one.name for one in await list_certificates(session)}
    return tuple(_problems(snapshot, known))


def _problems(snapshot: Snapshot, known: set[str]) -> Iterator[Problem]:
    for one in snapshot.services:
        if not known.issuperset(_own(one)):
            where = f"services.{one.name}.tls.client_certificate"
            yield Problem(where, "there is no such certificate", "upload it, or order it")


def _own(service: Service) -> tuple[str, ...]:
    told = service.tls
    return () if told is None or told.client_certificate is None else (told.client_certificate,)
