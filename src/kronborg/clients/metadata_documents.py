"""Client ID metadata documents: a client whose id is an https URL, at which it says what it is.

draft-ietf-oauth-client-id-metadata-document. The document is fetched by the one bounded fetcher, checked like any
registration, and kept as a client's row, because consents and grants need one: unverified, without a secret, and gone
when nobody uses it. The row follows the document; when the document cannot be had, it stands for a day.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import urlsplit

from kronborg.clients import dynamic_store
from kronborg.clients.admission import Admission, RegistrationPolicy, host_matches
from kronborg.clients.check import client_problems
from kronborg.clients.dynamic_model import DynamicClient
from kronborg.clients.model import BUILT_IN_NAMES, AuthMethod, Client, ClientDraft
from kronborg.clients.redirects import document_problem
from kronborg.clients.register import remove_client, save_client
from kronborg.clients.registration_metadata import draft_of
from kronborg.clients.settings import Profile
from kronborg.clients.store import find_client, read_client
from kronborg.core.db import Database, Session
from kronborg.core.errors import Invalid, Problem, TooMany
from kronborg.core.fetch import Fetcher, Unreachable
from kronborg.core.json import JsonObject
from kronborg.core.log import get_logger
from kronborg.core.pace import Pace
from kronborg.core.whole import whole

log = get_logger("kronborg.metadata_documents")

ACCEPT = ("application/json", "application/cimd+json")
METHODS: tuple[AuthMethod, ...] = ("none", "private_key_jwt")
"""No symmetric secret can be in a document that everybody reads (draft §4.1)."""
STANDS = timedelta(days=1)
"""How long a client outlives a document that cannot be fetched; and how long one stays that was never used."""
NOTED = timedelta(hours=1)
MAX_NOTED = 4096
NEW_PER_HOST = 60
"""Unknown URLs of one host that are called in ten minutes."""
ACTOR = "metadata-document"
Value = TypeVar("Value")
_FOLLOWED = tuple(field.name for field in fields(ClientDraft) if field.name != "disabled")


class MetadataDocuments:
    """Makes clients of documents; one per process."""

    def __init__(self, database: Database, fetcher: Fetcher, admission: Admission, profile: Profile) -> None:
        self._database, self._fetcher = database, fetcher
        self._admission: Admission = admission
        self._profile: Profile = profile
        self._refused: dict[str, JsonObject] = {}
        self._noted: dict[str, datetime] = {}
        self._pace = Pace(most=NEW_PER_HOST)

    async def client(self, client_id: str, scopes: Collection[str], *, now: datetime) -> Client | None:
        """The client of this URL; None when it may not be one, or its document does not say so. `scopes` are those
        of all APIs."""
        if not self._may_be(client_id):
            return None
        stored = await read_client(self._database.lookup, client_id)
        if stored is not None and stored.disabled:
            return stored
        if stored is None and not self._fetcher.is_kept(client_id) and not self._in_time(client_id, now=now):
            return None
        try:
            document = await self._fetcher.document(client_id, accept=ACCEPT, now=now)
        except Unreachable:
            return await self._standing(stored, now=now)
        if self._refused.get(client_id) is document:
            return None
        try:
            draft = self._draft(client_id, document, BUILT_IN_NAMES.union(scopes))
        except Invalid as invalid:
            log.info("document_refused", host=urlsplit(client_id).hostname, where=invalid.problems[0].where)
            _bound(self._refused)[client_id] = document
            return None
        if stored is None or any(getattr(stored, name) != getattr(draft, name) for name in _FOLLOWED):
            stored = await self._save(draft, now=now)
        await self._note(client_id, self._fetcher.fetched_at(client_id) or now)
        return stored

    def _may_be(self, client_id: str) -> bool:
        admission = self._admission
        if not admission.documents or document_problem(client_id) is not None:
            return False
        host = urlsplit(client_id).hostname or ""
        if host_matches(host, admission.document_denied):
            return False
        return not admission.document_hosts or host_matches(host, admission.document_hosts)

    def _in_time(self, client_id: str, *, now: datetime) -> bool:
        """Whether one more unknown URL of this host may be called: nobody calls a host through us at will."""
        try:
            self._pace.check(urlsplit(client_id).hostname or "", now=now)
        except TooMany:
            return False
        return True

    def _draft(self, client_id: str, document: JsonObject, scopes: Collection[str]) -> ClientDraft:
        """The client that a document describes. Raises `Invalid`."""
        # Draft §4: the document names the URL it stands at, character by character.
        if document.get("client_id") != client_id:
            raise Invalid(Problem("client_id", "must be the URL of the document"))
        # Draft §4.1: no secret, and no method that needs one.
        if document.get("client_secret") is not None or document.get("client_secret_expires_at") is not None:
            raise Invalid(Problem("client_secret", "must not stand in a document"))
        # OIDC Core §8.1: a second document would have to confirm it. The sector is the host people are sent back to.
        if document.get("sector_identifier_uri") is not None:
            raise Invalid(Problem("sector_identifier_uri", "must not stand in a document"))
        told = dict(document)
        told.setdefault("token_endpoint_auth_method", "none")
        draft = draft_of(client_id, told, policy=_asymmetric(self._admission.document_policy), known=scopes)
        problems = client_problems(draft, scopes=scopes, audiences=(), profile=self._profile)
        if problems:
            raise Invalid(*problems)
        return draft

    async def _save(self, draft: ClientDraft, *, now: datetime) -> Client | None:
        """The stored client, made equal to the draft; None when there is no room for one more."""
        policy = self._admission.document_policy
        async with whole(self._database) as session:
            known = await find_client(session, draft.id)
            if known is None and not await _room(session, policy, now=now):
                return None
            kept = draft if known is None else replace(draft, disabled=known.disabled)
            client = await save_client(session, kept, actor=ACTOR, now=now, profile=self._profile)
            if await dynamic_store.find_dynamic(session, draft.id) is None:
                made = DynamicClient(draft.id, "document", None, None, policy, now, None, now + STANDS)
                await dynamic_store.insert_dynamic(session, made)
            return client

    async def _standing(self, stored: Client | None, *, now: datetime) -> Client | None:
        """The stored client while its document was read not too long ago."""
        if stored is None:
            return None
        known = await dynamic_store.read_dynamic(self._database.lookup, stored.id)
        return stored if known is not None and now - known.checked_at < STANDS else None

    async def _note(self, client_id: str, read_at: datetime) -> None:
        """Remember when the document was read, at most every hour."""
        before = self._noted.get(client_id)
        if before is None or abs(read_at - before) >= NOTED:
            _bound(self._noted)[client_id] = read_at
            await self._database.writer.run(lambda execute: dynamic_store.mark_checked(execute, client_id, now=read_at))


def _asymmetric(policy: RegistrationPolicy) -> RegistrationPolicy:
    return replace(policy, auth_methods=tuple(method for method in METHODS if method in policy.auth_methods))


async def _room(session: Session, policy: RegistrationPolicy, *, now: datetime) -> bool:
    """Whether one more may be stored; one that nobody ever used gives way."""
    if await dynamic_store.count_clients(session, "document", None) < policy.max_clients:
        return True
    for client_id in await dynamic_store.unused_documents(session, limit=1):
        await remove_client(session, client_id, actor=ACTOR, now=now)
        return True
    return False


def _bound(known: dict[str, Value]) -> dict[str, Value]:
    """The same, with room for one more."""
    if len(known) >= MAX_NOTED:
        del known[next(iter(known))]
    return known
