"""Publishing: what is declared, as one snapshot, all of it or none."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from urllib.parse import urlsplit

from kronborg.clients.settings import ApiSettings
from kronborg.clients.store import list_apis
from kronborg.core import events
from kronborg.core.db import ReadSession, Session
from kronborg.core.errors import Invalid, Problem
from kronborg.gateway.certificates import unknown_in
from kronborg.gateway.listener_names import unknown_listeners
from kronborg.gateway.model import Audience, Snapshot
from kronborg.gateway.shared_policies_store import list_policies
from kronborg.gateway.snapshot import digest, freeze
from kronborg.gateway.store import add_snapshot, latest_mark, list_routes, list_services
from kronborg.gateway.token_issuers_store import list_token_issuers
from kronborg.gateway.validate import problems_of
from kronborg.gateway.versions_store import prune

LONGEST_COMMENT = 300

_OWN_NAMES = ("localhost", "127.0.0.1")


def hosts_of(gateway_url: str) -> tuple[str, ...]:
    """The names a gateway answers to: that of its URL, and on one's own machine the usual two."""
    name = urlsplit(gateway_url).hostname or _OWN_NAMES[0]
    return _OWN_NAMES if name in _OWN_NAMES else (name, *_OWN_NAMES)


def is_readable(settings: ApiSettings) -> bool:
    """Whether the gateway can check the JWTs of an API."""
    return settings.encryption_jwks is None and settings.signing_alg != "Ed25519"


async def draft(session: ReadSession, *, issuer: str, gateway_url: str) -> Snapshot:
    """What would be published now: the services, routes and APIs as they are declared."""
    apis = await list_apis(session)
    return Snapshot(
        issuer=issuer,
        services=await list_services(session),
        routes=await list_routes(session),
        issuers=await list_token_issuers(session),
        policies=await list_policies(session),
        audiences=tuple(
            Audience(
                api.audience,
                api.scope_names,
                reference=api.token_format == "reference",  # noqa: S105  # not a secret
                name=api.name,
                details_types=api.settings.authorization_details_types,
                readable=is_readable(api.settings),
                bound=api.settings.require_sender_constraint,
            )
            for api in apis
        ),
        hosts=hosts_of(gateway_url),
        url=gateway_url.rstrip("/"),
    )


async def problems_here(session: ReadSession, snapshot: Snapshot) -> tuple[Problem, ...]:
    """Every reason against publishing a snapshot in this installation, with its certificates and listeners."""
    found = (*problems_of(snapshot), *await unknown_in(session, snapshot))
    return (*found, *await unknown_listeners(session, snapshot))


async def publish_declared(
    session: Session, *, issuer: str, gateway_url: str, author: str, now: datetime, comment: str = ""
) -> Snapshot:
    """Publish the services and routes as they are declared in this transaction. Raises `Invalid`."""
    snapshot = await draft(session, issuer=issuer, gateway_url=gateway_url)
    return await publish(session, snapshot, author=author, now=now, comment=comment)


async def publish(session: Session, snapshot: Snapshot, *, author: str, now: datetime, comment: str = "") -> Snapshot:
    """Store `snapshot` as the next version and return it so numbered.

    A snapshot equal to the latest makes no new version. Raises `Invalid` with every reason against it.
    """
    problems = await problems_here(session, snapshot)
    if problems:
        raise Invalid(*problems)
    content = freeze(snapshot)
    mark = digest(content)
    latest, latest_digest = await latest_mark(session)
    if latest_digest == mark:
        return replace(snapshot, version=latest)
    numbered = replace(snapshot, version=latest + 1)
    comment = clean_comment(comment)
    await add_snapshot(session, numbered, content=content, digest=mark, author=author, comment=comment, now=now)
    await prune(session, newest=numbered.version)
    await events.record(
        session,
        "gateway.published",
        actor=author,
        subject=str(numbered.version),
        now=now,
        detail={
            "digest": mark,
            "routes": len(snapshot.routes),
            "services": len(snapshot.services),
            **({"comment": comment} if comment else {}),
        },
    )
    return numbered


def clean_comment(text: str) -> str:
    """One line of what somebody said about a change, bounded, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST_COMMENT]
