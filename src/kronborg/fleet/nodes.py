"""Who belongs to the fleet: inviting, joining, renewing, removing, and recognising by certificate.

    Refusal
    └─ NotOfTheFleet   no certificate, an unknown one, an old one, or one of a node that was removed: one answer for all

An invitation is worth one join. What it proves is the name: whatever a joining gateway says about itself counts
nothing. A removed node is refused from the next request on, because every request looks its row up.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem, Refusal
from kronborg.core.events import record
from kronborg.core.ids import new_id
from kronborg.core.opaque import INVITATION, mint, well_formed
from kronborg.core.whole import whole
from kronborg.fleet.authority import Authority, Issued, read_shown
from kronborg.fleet.model import Invitation, Node, Standing
from kronborg.fleet.store import (
    add_invitation,
    add_node,
    change_certificate,
    delete_node,
    drop_expired,
    drop_invitations,
    find_node,
    is_invitation,
    list_nodes,
    node_by_id,
    record_standing,
    take_invitation,
)
from kronborg.gateway.fleet_model import NODE_NAME
from kronborg.gateway.listener_names import note_joined, note_parted

INVITED_FOR = timedelta(hours=1)
LONGEST_INVITATION = timedelta(days=7)
MOST_NODES = 1000
LONGEST_TOKEN = 1000
_DIGEST = "fleet:invitation"


class NotOfTheFleet(Refusal):
    """No certificate, or none that counts."""

    def __init__(self) -> None:
        super().__init__("no node of the fleet shows this certificate")


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What an invited gateway is given: where to go, whom to believe there, and the secret that is good once."""

    secret: str
    url: str
    fingerprint: str

    def __str__(self) -> str:
        address = base64.urlsafe_b64encode(self.url.encode()).decode().rstrip("=")
        return f"{self.secret}.{address}.{self.fingerprint}"

    @classmethod
    def parse(cls, text: str) -> JoinToken:
        """The token that was written so. Raises `Invalid`."""
        wrong = Invalid(Problem("token", "is no invitation of Kronborg", "copy it whole, as fleet invite printed it"))
        parts = text.strip().split(".")
        if len(text) > LONGEST_TOKEN or len(parts) != 3:
            raise wrong
        secret, address, fingerprint = parts
        try:
            url = base64.urlsafe_b64decode(address + "=" * (-len(address) % 4)).decode("ascii")
        except ValueError:
            raise wrong from None
        fine = well_formed(secret, INVITATION) and re.fullmatch(r"[0-9a-f]{64}", fingerprint)
        if not fine or not url.startswith("https://"):
            raise wrong
        return cls(secret, url, fingerprint)


def check_name(name: str) -> None:
    """Raise `Invalid` for what cannot name a gateway."""
    if re.fullmatch(NODE_NAME, name) is None:
        raise Invalid(Problem("name", "is no name of a gateway", "use small letters, digits and hyphens, at most 63"))


async def invite(
    database: Database,
    vault: Vault,
    authority: Authority,
    name: str,
    *,
    url: str,
    actor: str,
    now: datetime,
    lifetime: timedelta = INVITED_FOR,
) -> JoinToken:
    """A token with which a new gateway joins under this name; an older one for the same name is worth nothing then."""
    check_name(name)
    if not timedelta() < lifetime <= LONGEST_INVITATION:
        raise Invalid(Problem("lifetime", "is no time an invitation may last", "say at most 7d"))
    token = JoinToken(mint(INVITATION), url, authority.fingerprint)
    async with whole(database) as session:
        known = {node.name for node in await list_nodes(session)}
        if name in known:
            raise Conflict("a gateway of this name has joined already: remove it first")
        if len(known) >= MOST_NODES:
            raise Conflict("the fleet is full")
        await drop_expired(session, now=now)
        await drop_invitations(session, name)
        await add_invitation(session, _digest(vault, token.secret), Invitation(name, actor, now, now + lifetime))
        await record(session, "gateway.invited", actor=actor, subject=name, now=now)
    return token


async def join(
    database: Database, vault: Vault, authority: Authority, secret: str, request: bytes, *, now: datetime
) -> tuple[Node, Issued]:
    """Trade an invitation for a certificate. Raises `NotOfTheFleet`, `Conflict`, `Invalid`.

    The request is checked before the invitation is spent, so that a mistake costs nothing.
    """
    if not well_formed(secret, INVITATION):
        raise NotOfTheFleet
    # Anybody may knock here: a stranger costs one read, and no lock, no signature.
    digest, node_id = _digest(vault, secret), new_id()
    async with database.read() as reading:
        if not await is_invitation(reading, digest, now=now):
            raise NotOfTheFleet
    authority.certify(request, node_id=node_id, name="tried", now=now)
    async with whole(database) as session:
        name = await take_invitation(session, digest, now=now)
        if name is None:
            raise NotOfTheFleet
        if await find_node(session, name) is not None:
            raise Conflict("a gateway of this name has joined already")
        issued = authority.certify(request, node_id=node_id, name=name, now=now)
        node = Node(name, node_id, False, now, serial=issued.serial, expires_at=issued.expires_at)
        await add_node(session, node)
        await note_joined(session, name, now=now)
        await record(session, "gateway.joined", actor=f"gateway:{name}", subject=name, now=now)
    return node, issued


async def recognise(database: Database, certificate: bytes | None, *, now: datetime) -> tuple[Node, str]:
    """The node that shows this certificate (DER), and the serial number that it showed. Raises `NotOfTheFleet`.

    TLS has verified that our authority signed it. It counts for as long as its node is of the fleet, and only the
    newest one of a node, and the one with which it got that.
    """
    shown = None if certificate is None else read_shown(certificate)
    # Looked at again for every request: a connection may outlive a certificate.
    if shown is None or not shown.begins_at <= now < shown.expires_at:
        raise NotOfTheFleet
    async with database.read() as session:
        node = await node_by_id(session, shown.node_id)
    if node is None or shown.serial not in (node.serial, node.former_serial):
        raise NotOfTheFleet
    return node, shown.serial


async def renew(
    database: Database, authority: Authority, node: Node, shown: str, request: bytes, *, now: datetime
) -> Issued:
    """A new certificate for a node that showed that of serial number `shown`. Raises `NotOfTheFleet`, `Invalid`."""
    issued = authority.certify(request, node_id=node.id, name=node.name, now=now)
    async with database.write() as session:
        changed = await change_certificate(
            session, node.id, shown=shown, serial=issued.serial, expires_at=issued.expires_at
        )
    if not changed:
        raise NotOfTheFleet
    return issued


async def remove(database: Database, name: str, *, actor: str, now: datetime) -> None:
    """Take a gateway, and what invites one of this name, out of the fleet. Raises `NotFound`."""
    async with whole(database) as session:
        gone = await delete_node(session, name)
        await note_parted(session, name)
        withdrawn = await drop_invitations(session, name)
        if not gone and not withdrawn:
            raise NotFound("there is no gateway of this name, and no invitation for one")
        await record(session, "gateway.removed", actor=actor, subject=name, now=now)


async def report(database: Database, node: Node, standing: Standing, *, now: datetime) -> None:
    """Keep what a node says about itself. Raises `NotOfTheFleet` for one that was removed meanwhile."""
    async with database.write() as session:
        known = await record_standing(session, node.id, standing, now=now)
    if not known:
        raise NotOfTheFleet


async def report_local(database: Database, name: str, standing: Standing, *, now: datetime) -> None:
    """Keep what the gateway of this machine says; it becomes a node by its first word. Raises `Conflict`."""
    async with database.write() as session:
        node = await find_node(session, name)
        if node is None:
            node = Node(name, new_id(), True, now)
            await add_node(session, node)
        if not node.local:
            raise Conflict("a gateway that joined from elsewhere has the name of the local one")
        await record_standing(session, node.id, standing, now=now)


def _digest(vault: Vault, secret: str) -> str:
    return vault.digest(secret, context=_DIGEST).hex()
