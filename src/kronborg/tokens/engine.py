"""What every verb of tokens works with: made once per process by the composition root."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kronborg.accounts.people import People
from kronborg.clients.admission import NOBODY, Admission
from kronborg.clients.directory import Directory
from kronborg.clients.metadata_documents import MetadataDocuments
from kronborg.clients.register import ensure_admin_api
from kronborg.clients.scim_api import ensure_scim_api
from kronborg.clients.settings import Profile
from kronborg.core.client_certificate import NO_MUTUAL_TLS, MutualTls
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.fetch import Fetcher
from kronborg.tokens.audience import Chosen
from kronborg.tokens.keys import KeyRing
from kronborg.tokens.status_places import Places

if TYPE_CHECKING:
    from kronborg.signin.parts import SignInParts


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts of the token engine. `issuer` has no trailing slash; `session_idle` ends grants bound to a session.

    It needs no background task: keys, clients and APIs are read again when they are old (5 s, 0.5 s).
    """

    database: Database
    vault: Vault
    issuer: str
    session_idle: timedelta
    keys: KeyRing
    directory: Directory
    fetcher: Fetcher = field(default_factory=Fetcher)
    """Calls what clients registered as theirs; the only way out of this process."""
    profile: Profile = "none"
    """What every client is held to, besides its own profile."""
    chosen: Chosen = field(default_factory=Chosen)
    """What clients ask for themselves again and again."""
    places: Places = field(default_factory=Places)
    """Places in status lists, for the APIs that ask for them."""
    signin: SignInParts | None = None
    """What compares passwords, for the password grant; only where people sign in."""
    session_absolute: timedelta = timedelta(days=14)
    """How long a session lives that the password grant begins."""
    people: People | None = None
    """What an installation says about its people, and its letters to them."""
    mutual_tls: MutualTls = NO_MUTUAL_TLS
    """Where clients with certificates call, and who vouches for them."""
    require_dpop_nonce: bool = False
    """Whether the DPoP proofs of every client carry a nonce of ours."""

    @property
    def factors(self) -> tuple[str, ...]:
        """The kinds of factors that people can sign in with here."""
        return () if self.signin is None else self.signin.settings.factors.offered

    @property
    def userinfo(self) -> str:
        """The audience of tokens for the issuer's own userinfo endpoint."""
        return f"{self.issuer}/oauth/userinfo"


async def open_engine(
    database: Database,
    vault: Vault,
    *,
    issuer: str,
    session_idle: timedelta,
    now: datetime,
    fetcher: Fetcher | None = None,
    profile: Profile = "none",
    mutual_tls: MutualTls = NO_MUTUAL_TLS,
    admission: Admission = NOBODY,
) -> Engine:
    """The engine of this process, with its first keys and the admin API in place."""
    database.vault = vault
    ring, fetcher = KeyRing(database, vault), fetcher or Fetcher()
    # Anybody can have a document fetched: that must not push the keys of other clients out of what is kept.
    documents = MetadataDocuments(database, fetcher.apart(), admission, profile) if admission.documents else None
    found = None if documents is None else documents.client
    directory = Directory(database, profile, admission=admission, documents=found)
    engine = Engine(database, vault, issuer, session_idle, ring, directory, fetcher, profile, mutual_tls=mutual_tls)
    await engine.keys.rotate(now=now)
    await engine.keys.current(now=now)  # a key that cannot be opened is better said now than at the first request
    await ensure_admin_api(database, issuer=issuer, now=now)
    await ensure_scim_api(database, issuer=issuer, now=now)
    return engine
