"""What the store has, read in one transaction, in the form that plans compare."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from kronborg.accounts.model import Group, Organisation, User
from kronborg.accounts.organisations_store import list_organisations
from kronborg.accounts.store import list_groups, list_users
from kronborg.audit.model import Webhook
from kronborg.audit.webhooks_store import list_webhooks
from kronborg.clients.model import Api, Client
from kronborg.clients.store import find_client, list_apis, list_clients
from kronborg.core.db import ReadSession
from kronborg.federation.directory_model import KeptDirectory
from kronborg.federation.directory_store import list_directories
from kronborg.federation.model import Provider
from kronborg.federation.providers_store import list_providers
from kronborg.gateway.alert_rules_store import list_saved
from kronborg.gateway.declare.objects import Object, Ref, ref_of
from kronborg.gateway.declared_store import Declared, list_declared
from kronborg.gateway.documents_store import list_documents
from kronborg.gateway.model import Route, Service
from kronborg.gateway.shared_policies_store import list_policies
from kronborg.gateway.store import list_routes, list_services
from kronborg.gateway.token_issuers_store import list_token_issuers
from kronborg.oauth.issuers_store import list_issuers
from kronborg.signin.store import read_password

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Current:
    """The store at one moment. `hashes` are the passwords of the users asked for, by user."""

    objects: Mapping[Ref, Object]
    declared: Mapping[Ref, Declared]
    hashes: Mapping[Ref, str | None]
    documents: Mapping[str, str] = field(default_factory=dict)
    """The digests of the OpenAPI documents of services."""

    def user(self, ref: Ref) -> User | None:
        """The user, if there is one."""
        found = self.objects.get(ref)
        return found if isinstance(found, User) else None

    def client(self, ref: Ref) -> Client | None:
        """The client, if there is one; with its secrets when it was asked for."""
        found = self.objects.get(ref)
        return found if isinstance(found, Client) else None

    def group(self, ref: Ref) -> Group | None:
        """The group, if there is one."""
        found = self.objects.get(ref)
        return found if isinstance(found, Group) else None

    def organisation(self, ref: Ref) -> Organisation | None:
        """The organisation, if there is one."""
        found = self.objects.get(ref)
        return found if isinstance(found, Organisation) else None

    def webhook(self, ref: Ref) -> Webhook | None:
        """The webhook, if there is one."""
        found = self.objects.get(ref)
        return found if isinstance(found, Webhook) else None

    def directory(self, ref: Ref) -> KeptDirectory | None:
        """The LDAP directory, if there is one."""
        found = self.objects.get(ref)
        return found if isinstance(found, KeptDirectory) else None

    def provider(self, ref: Ref) -> Provider | None:
        """The identity provider, if there is one."""
        found = self.objects.get(ref)
        return found if isinstance(found, Provider) else None

    def apis(self) -> tuple[Api, ...]:
        """Every API."""
        return tuple(thing for thing in self.objects.values() if isinstance(thing, Api))

    def services(self) -> tuple[Service, ...]:
        """Every service."""
        return tuple(thing for thing in self.objects.values() if isinstance(thing, Service))

    def routes(self) -> tuple[Route, ...]:
        """Every route."""
        return tuple(thing for thing in self.objects.values() if isinstance(thing, Route))

    def api_names(self) -> dict[str, str]:
        """The short names an earlier file gave to APIs, with their audiences."""
        return {one.label: ref.key for ref, one in self.declared.items() if ref.kind == "api"}


async def read_current(session: ReadSession, *, with_secrets_of: Collection[Ref]) -> Current:
    """Everything a file can declare; secrets (as digests and hashes) only of the objects asked for."""
    things: list[Object] = [*await list_apis(session), *await list_services(session), *await list_routes(session)]
    things += await list_issuers(session)
    things += await list_token_issuers(session)
    things += await list_policies(session)
    things += await _all_groups(session)
    things += await _all_organisations(session)
    things += await list_providers(session)
    things += await list_directories(session)
    things += await list_webhooks(session)
    things += await list_saved(session)
    users = await _all_users(session)
    things += users
    declared = await list_declared(session)
    managed = {_ref(one) for one in declared}
    after = ""
    while page := await list_clients(session, after=after, limit=_PAGE):
        after = page[-1].id
        for client in page:
            # Clients that came by themselves are nobody's to write down, unless a file made them.
            if client.settings.unverified and ref_of(client) not in managed:
                continue
            known = await find_client(session, client.id) if ref_of(client) in with_secrets_of else None
            things.append(known or client)
    hashes = {ref_of(u): await read_password(session, u.id) for u in users if ref_of(u) in with_secrets_of}
    return Current(
        {ref_of(thing): thing for thing in things},
        {_ref(one): one for one in declared},
        hashes,
        {one.service: one.digest for one in await list_documents(session)},
    )


def _ref(one: Declared) -> Ref:
    match one.kind:
        case (
            "api"
            | "group"
            | "service"
            | "route"
            | "issuer"
            | "client"
            | "user"
            | "organisation"
            | "provider"
            | "directory"
            | "webhook"
            | "token_issuer"
            | "policy"
            | "alert"
        ):
            return Ref(one.kind, one.key)
        case _:
            raise TypeError("a row of gateway_declared is not as written")


async def _all_users(session: ReadSession) -> list[User]:
    users: list[User] = []
    while page := await list_users(session, after=users[-1].id if users else None, limit=_PAGE):
        users += page
    return users


async def _all_groups(session: ReadSession) -> list[Group]:
    groups: list[Group] = []
    while page := await list_groups(session, after=groups[-1].id if groups else None, limit=_PAGE):
        groups += page
    return groups


async def _all_organisations(session: ReadSession) -> list[Organisation]:
    found: list[Organisation] = []
    while page := await list_organisations(session, after=found[-1].id if found else None, limit=_PAGE):
        found += page
    return found
