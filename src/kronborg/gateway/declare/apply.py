"""Carries a plan out: everything in one transaction, or nothing; then the gateway is told.

Everything slow or refusable comes before the transaction: the document is checked, passwords are hashed. Inside it
the store is read again, and if it is not what the plan was made against, nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from kronborg.accounts.groups import create_group, delete_group, update_group
from kronborg.accounts.model import Group
from kronborg.accounts.organisations import (
    OrganisationDraft,
    create_organisation,
    delete_organisation,
    update_organisation,
)
from kronborg.accounts.store import find_by_login, find_group_by_name
from kronborg.accounts.users import NewUser, UserChange, create_user, delete_user, update_user
from kronborg.audit.model import WebhookDraft
from kronborg.audit.webhooks import remove_webhook, rotate_secret, save_webhook
from kronborg.clients.model import ApiDraft, ClientDraft
from kronborg.clients.register import (
    add_secret,
    remove_api,
    remove_client,
    remove_secret,
    save_api,
    save_client,
)
from kronborg.clients.store import list_apis
from kronborg.core.db import Session
from kronborg.core.errors import Conflict
from kronborg.core.events import record
from kronborg.core.whole import whole
from kronborg.federation.directory_changes import remove_directory, save_directory
from kronborg.federation.directory_model import Directory
from kronborg.federation.model import ProviderDraft
from kronborg.federation.providers import give_secret, remove_provider, save_provider
from kronborg.gateway.access_model import NamedPolicy, TokenIssuer
from kronborg.gateway.alert_model import AlertRule
from kronborg.gateway.alert_rules import remove_rule, save_rule
from kronborg.gateway.declare.current import Current
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.objects import KINDS, GroupDraft, Ref, fields_of
from kronborg.gateway.declare.plan import Plan, Planned, compare, look, make_plan, removed, wanted_fields
from kronborg.gateway.declare.read import Loaded
from kronborg.gateway.declare.secret_sources import Secrets
from kronborg.gateway.declare.wanted import Wanted
from kronborg.gateway.declared_store import Declared, replace_declared
from kronborg.gateway.documents import set_document
from kronborg.gateway.listener_names import note_listeners
from kronborg.gateway.model import Route, Service
from kronborg.gateway.policy_changes import remove_policy, save_policy
from kronborg.gateway.publish import publish_declared
from kronborg.gateway.routing import remove_route, remove_service, save_route, save_service
from kronborg.gateway.token_issuers import remove_token_issuer, save_token_issuer
from kronborg.oauth.issuers import remove_issuer, save_issuer
from kronborg.oauth.model import TrustedIssuerDraft
from kronborg.signin.passwords import store_password

ATTEMPTS = 3
MOVED = "the store has changed since this plan was made: look at the new plan first"


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done, and the snapshot that the gateway has now been given."""

    plan: Plan
    snapshot: int


async def apply(
    installation: Installation,
    loaded: Loaded,
    secrets: Secrets,
    *,
    actor: str,
    now: datetime,
    digest: str | None = None,
    comment: str = "",
) -> Applied:
    """Make the store what the document says. Raises `Invalid` with every problem, `Conflict` when the store is not
    what the plan with `digest` was made against."""
    for _ in range(ATTEMPTS):
        planned = await make_plan(installation, loaded, secrets)
        if digest is not None and digest != planned.plan.digest:
            raise Conflict(MOVED)
        hashes = {
            ref: await installation.passwords.hash(secret)
            for ref, secret in planned.news.fresh.items()
            if ref.kind == "user"
        }
        async with whole(installation.database) as session:
            wanted, _, current = await look(session, loaded, secrets)
            if compare(installation, wanted, current, planned.news).plan.digest == planned.plan.digest:
                return await _Work(installation, session, planned, hashes, actor, now, comment).run()
    raise Conflict(MOVED)


@dataclass(frozen=True, slots=True)
class _Work:
    """One plan being carried out in one transaction."""

    installation: Installation
    session: Session
    planned: Planned
    hashes: Mapping[Ref, str]
    actor: str
    now: datetime
    comment: str = ""

    async def run(self) -> Applied:
        """Remove, make and change; remember; publish."""
        wanted, current = self.planned.wanted, self.planned.current
        gone = removed(wanted, current, self.installation)
        for ref in gone:
            await self._remove(ref)
        for kind in KINDS:
            for ref, one in wanted.items():
                if ref.kind == kind and self._differs(one):
                    await self._save(one)
            if kind == "group":
                await self._nest()
        for ref, secret in self.planned.news.fresh.items():
            await self._give(ref, secret)
        for one in wanted.values():
            if one.document is not None and one.document.digest != current.documents.get(one.ref.key):
                content = one.document.content.encode()
                await set_document(self.session, one.ref.key, content, actor=self.actor, now=self.now)
        await self._remember()
        if self.installation.listeners is not None:
            await note_listeners(self.session, self.installation.listeners, now=self.now)
        snapshot = await publish_declared(
            self.session,
            issuer=self.installation.issuer,
            gateway_url=self.installation.gateway_url,
            author=self.actor,
            now=self.now,
            comment=self.comment or "Applied from a file",
        )
        if self.planned.plan.changes:
            counts = dict.fromkeys(("create", "update", "delete"), 0)
            for change in self.planned.plan.changes:
                counts[change.action] += 1
            await record(
                self.session,
                "config.applied",
                actor=self.actor,
                subject=str(snapshot.version),
                now=self.now,
                detail={**counts, "digest": self.planned.plan.digest},
            )
        return Applied(self.planned.plan, snapshot.version)

    def _differs(self, one: Wanted) -> bool:
        stored = self.planned.current.objects.get(one.ref)
        return stored is None or dict(fields_of(stored)) != dict(wanted_fields(one, self.planned.current))

    async def _save(self, one: Wanted) -> None:
        session, actor, now, current = self.session, self.actor, self.now, self.planned.current
        match one.thing:
            case ApiDraft() as api:
                await save_api(session, api, actor=actor, now=now)
            case ClientDraft() as client:
                drafted, profile = _with_keys(one, client, current), self.installation.profile
                await save_client(session, drafted, actor=actor, now=now, profile=profile)
            case GroupDraft() as group:
                await self._save_group(current.group(one.ref), group)
            case WebhookDraft() as webhook:
                secret, vault = self.planned.news.fresh.get(one.ref), self.installation.vault
                await save_webhook(session, vault, webhook, actor=actor, now=now, secret=secret)
            case AlertRule() as rule:
                await save_rule(session, rule, actor=actor, now=now)
            case Directory() as directory:
                vault, password = self.installation.vault, self.planned.news.fresh.get(one.ref)
                await save_directory(session, vault, directory, password=password, actor=actor, now=now)
            case ProviderDraft() as provider:
                await save_provider(session, self.installation.vault, provider, actor=actor, now=now)
            case OrganisationDraft() as organisation:
                there = current.organisation(one.ref)
                if there is None:
                    await create_organisation(session, organisation, actor=actor, now=now)
                else:
                    await update_organisation(session, there.id, organisation, actor=actor, now=now)
            case NewUser() as user:
                stored = current.user(one.ref)
                if stored is None:
                    await create_user(session, user, actor=actor, now=now)
                else:
                    await update_user(session, stored.id, _change_to(user), actor=actor, now=now)
            case Service() as service:
                await save_service(session, service, actor=actor, now=now)
            case Route() as route:
                await save_route(session, route, actor=actor, now=now)
            case TokenIssuer() as token_issuer:
                await self._save_issuer(token_issuer)
            case NamedPolicy() as policy:
                await save_policy(session, policy, actor=actor, now=now)
            case TrustedIssuerDraft() as issuer:
                await save_issuer(session, issuer, own=self.installation.issuer, actor=actor, now=now)
            case _:
                raise TypeError("a file declares drafts")

    async def _save_issuer(self, issuer: TokenIssuer) -> None:
        apis = frozenset(api.audience for api in await list_apis(self.session))
        own = self.installation.issuer
        await save_token_issuer(self.session, issuer, own=own, apis=apis, actor=self.actor, now=self.now)

    async def _save_group(self, known: Group | None, group: GroupDraft) -> None:
        session, actor, now = self.session, self.actor, self.now
        if known is None:
            await create_group(session, group.name, roles=group.roles, actor=actor, now=now)
            return
        moved = "" if fields_of(known)["parent"] != fields_of(group)["parent"] else None
        await update_group(session, known.id, name=group.name, roles=group.roles, parent=moved, actor=actor, now=now)

    async def _nest(self) -> None:
        """Let groups stand in one another once all are there, and none stands where it did before."""
        for one in self.planned.wanted.values():
            if isinstance(one.thing, GroupDraft) and one.thing.parent and self._differs(one):
                found = await find_group_by_name(self.session, one.thing.name)
                if found is not None:
                    await update_group(self.session, found.id, parent=one.thing.parent, actor=self.actor, now=self.now)

    async def _remove(self, ref: Ref) -> None:
        session, actor, now, current = self.session, self.actor, self.now, self.planned.current
        user, group, organisation = current.user(ref), current.group(ref), current.organisation(ref)
        match ref.kind:
            case "api":
                await remove_api(session, ref.key, actor=actor, now=now)
            case "client":
                await remove_client(session, ref.key, actor=actor, now=now)
            case "user" if user is not None:
                await delete_user(session, user.id, actor=actor, now=now)
            case "group" if group is not None:
                await delete_group(session, group.id, actor=actor, now=now)
            case "webhook":
                await remove_webhook(session, ref.key, actor=actor, now=now)
            case "alert":
                await remove_rule(session, ref.key, actor=actor, now=now)
            case "directory":
                await remove_directory(session, ref.key, actor=actor, now=now)
            case "provider":
                await remove_provider(session, ref.key, actor=actor, now=now)
            case "organisation" if organisation is not None:
                await delete_organisation(session, organisation.id, actor=actor, now=now)
            case "service":
                await remove_service(session, ref.key, actor=actor, now=now)
            case "route":
                await remove_route(session, ref.key, actor=actor, now=now)
            case "token_issuer":
                await remove_token_issuer(session, ref.key, actor=actor, now=now)
            case "policy":
                await remove_policy(session, ref.key, actor=actor, now=now)
            case "issuer":
                await remove_issuer(session, ref.key, actor=actor, now=now)

    async def _give(self, ref: Ref, secret: str) -> None:
        """Set a secret that is new; the one an earlier file gave to the same client stops working."""
        if ref.kind == "user":
            user = await find_by_login(self.session, ref.key)
            if user is None:
                raise TypeError("the user was made in this transaction")
            await store_password(self.session, user.id, self.hashes[ref], actor=self.actor, now=self.now)
            return
        if ref.kind == "webhook":
            if self.planned.current.webhook(ref) is not None:  # a new one was made with it
                vault, actor = self.installation.vault, self.actor
                await rotate_secret(self.session, vault, ref.key, actor=actor, now=self.now, secret=secret)
            return
        if ref.kind == "directory":
            # Saved with the directory when that was new or has changed; here the password alone.
            wanted = self.planned.wanted[ref]
            if not self._differs(wanted):
                await self._save(wanted)
            return
        if ref.kind == "provider":
            vault, actor = self.installation.vault, self.actor
            await give_secret(self.session, vault, ref.key, secret, actor=actor, now=self.now)
            return
        await self._retire(ref)
        vault = self.installation.vault
        await add_secret(self.session, vault, ref.key, actor=self.actor, now=self.now, secret=secret)

    async def _retire(self, ref: Ref) -> None:
        declared, client = self.planned.current.declared.get(ref), self.planned.current.client(ref)
        for known in client.secrets if client else ():
            if declared and declared.mark == known.digest.hex():
                await remove_secret(self.session, ref.key, known.id, actor=self.actor, now=self.now)

    async def _remember(self) -> None:
        """Note what the file manages now, and what it made of it."""
        current, news = self.planned.current, self.planned.news
        managed = []
        for ref, one in sorted(self.planned.wanted.items()):
            before = current.declared.get(ref)
            mark = self.hashes.get(ref) or news.marks.get(ref) or (before.mark if before else None)
            fields = wanted_fields(one, current)
            managed.append(Declared(ref.kind, ref.key, one.label, fields, mark if one.secret else None))
        if managed != sorted(current.declared.values(), key=lambda one: (one.kind, one.key)):
            await replace_declared(self.session, tuple(managed), now=self.now)


def _with_keys(one: Wanted, client: ClientDraft, current: Current) -> ClientDraft:
    """The client with its stored keys when the file's cannot be read here."""
    stored = current.client(one.ref) if one.keeps_jwks else None
    return replace(client, jwks=stored.jwks) if stored else client


def _change_to(user: NewUser) -> UserChange:
    return UserChange(
        username=user.username,
        email=user.email or "",
        name=user.name,
        roles=user.roles,
        groups=user.groups,
        disabled=user.disabled,
    )
