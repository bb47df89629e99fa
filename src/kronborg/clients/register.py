"""Register, change and remove APIs and clients, and their secrets.

Every verb works in the caller's transaction, so that a whole declaration can be applied at once, finds every problem
before it writes, and empties the directories of this process after the commit.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

from kronborg.accounts.roles import declare_roles
from kronborg.clients import store
from kronborg.clients.check import MAX_SECRETS, api_problems, client_problems
from kronborg.clients.directory import changed
from kronborg.clients.model import (
    BUILT_IN_NAMES,
    SECRET_METHODS,
    Api,
    ApiDraft,
    AuthMethod,
    Client,
    ClientDraft,
    ClientSecret,
    GrantName,
    Kind,
    NewSecret,
    Scope,
    TokenFormat,
)
from kronborg.clients.settings import Profile
from kronborg.core import events, opaque
from kronborg.core.crypto import Vault
from kronborg.core.db import Database, Session
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.ids import new_id
from kronborg.core.json import JsonObject
from kronborg.core.whole import whole

SECRET_DIGEST = "client-secret"  # noqa: S105  # the context of a digest
SECRET_SEAL = "client-secret"  # noqa: S105  # the context of a sealed value
MAX_APIS = 500


async def save_api(session: Session, draft: ApiDraft, *, actor: str, now: datetime) -> Api:
    """Make the API of `draft.audience` as drafted. Raises `Invalid` with everything that is wrong."""
    others = {api.audience: api for api in await store.list_apis(session)}
    known = others.pop(draft.audience, None)
    problems = api_problems(draft, taken={s: a.audience for a in others.values() for s in a.scope_names})
    if known is None and len(others) >= MAX_APIS:
        problems = (*problems, Problem("audience", "there are 500 APIs already"))
    if problems:
        raise Invalid(*problems)
    api = Api(
        id=known.id if known else new_id(),
        audience=draft.audience,
        name=draft.name,
        scopes=draft.scopes,
        token_format=cast("TokenFormat", draft.token_format),
        token_lifetime=draft.token_lifetime,
        settings=draft.settings,
        created_at=known.created_at if known else now,
        updated_at=now,
    )
    if known is not None and replace(api, updated_at=known.updated_at) == known:
        return known
    if api.settings.roles or (known is not None and known.settings.roles):
        await declare_roles(session, api.settings.role_prefix or "", f"api:{api.id}", api.settings.roles)
    await (store.replace_api if known else store.insert_api)(session, api)
    detail = events.changes(known, api, but=("id",))
    await _tell(session, "api.changed" if known else "api.created", api.audience, actor, now, detail)
    return api


async def remove_api(session: Session, audience: str, *, actor: str, now: datetime) -> None:
    """Remove an API. Its scopes stop working for every client at once. Raises `NotFound`."""
    api = await store.find_api(session, audience)
    if api is None:
        raise NotFound("there is no API with this audience")
    await store.delete_api(session, api.id)
    await declare_roles(session, "", f"api:{api.id}", {})
    await _tell(session, "api.removed", audience, actor, now, events.changes(api, None, but=("id",)))


async def save_client(
    session: Session, draft: ClientDraft, *, actor: str, now: datetime, profile: Profile = "none"
) -> Client:
    """Make the client `draft.id` as drafted; its secrets stay. Raises `Invalid` with everything that is wrong.

    `profile` is that of the installation. What it switches on is not stored: the directory does so at every reading.
    """
    apis = await store.list_apis(session)
    names = BUILT_IN_NAMES.union(*(api.scope_names for api in apis))
    problems = client_problems(draft, scopes=names, audiences={api.audience for api in apis}, profile=profile)
    if problems:
        raise Invalid(*problems)
    known = await store.find_client(session, draft.id)
    client = Client(
        id=draft.id,
        name=draft.name,
        kind=cast("Kind", draft.kind),
        auth_method=cast("AuthMethod", draft.auth_method),
        redirect_uris=draft.redirect_uris,
        post_logout_redirect_uris=draft.post_logout_redirect_uris,
        web_origins=draft.web_origins,
        grants=cast("tuple[GrantName, ...]", draft.grants),
        scopes=draft.scopes,
        audiences=draft.audiences,
        jwks=draft.jwks,
        first_party=draft.first_party,
        disabled=draft.disabled,
        settings=draft.settings,
        created_at=known.created_at if known else now,
        updated_at=now,
        secrets=known.secrets if known else (),
    )
    if known is not None and replace(client, updated_at=known.updated_at) == known:
        return known
    if client.settings.roles or (known is not None and known.settings.roles):
        await declare_roles(session, client.id, f"client:{client.id}", client.settings.roles)
    await (store.replace_client if known else store.insert_client)(session, client)
    if client.secrets and client.auth_method not in SECRET_METHODS:
        await store.delete_secrets(session, client.id)
        client = replace(client, secrets=())
    elif known is not None and known.auth_method == "client_secret_jwt" and client.auth_method != "client_secret_jwt":
        await store.unseal_secrets(session, client.id)
    detail = events.changes(known, client, but=("id",))
    await _tell(session, "client.changed" if known else "client.created", client.id, actor, now, detail)
    if known is not None and known.disabled != client.disabled:
        # However it is switched off, its grants go the same way.
        await _tell(session, "client.disabled" if client.disabled else "client.enabled", client.id, actor, now)
    return client


async def set_disabled(session: Session, client_id: str, *, disabled: bool, actor: str, now: datetime) -> None:
    """Stop a client from getting or using tokens, or let it again. Raises `NotFound`."""
    client = await _existing(session, client_id)
    await store.replace_client(session, replace(client, disabled=disabled, updated_at=now))
    detail = {"changed": {"disabled": [client.disabled, disabled]}}
    await _tell(session, "client.disabled" if disabled else "client.enabled", client_id, actor, now, detail)


async def remove_client(session: Session, client_id: str, *, actor: str, now: datetime) -> None:
    """Remove a client and its secrets. Its tokens stop working with it. Raises `NotFound`."""
    known = await store.find_client(session, client_id)
    if known is None or not await store.delete_client(session, client_id):
        raise NotFound("there is no client with this id")
    await declare_roles(session, client_id, f"client:{client_id}", {})
    await _tell(session, "client.removed", client_id, actor, now, events.changes(known, None, but=("id",)))


async def add_secret(
    session: Session,
    vault: Vault,
    client_id: str,
    *,
    actor: str,
    now: datetime,
    lifetime: timedelta | None = None,
    secret: str | None = None,
) -> NewSecret:
    """Give a client one more secret, made here unless `secret` brings one (from a declaration's environment).

    The clear text is returned this once. Raises `NotFound`, `Conflict` for a client that uses no secret or has five,
    `Invalid` for a given secret that is short.
    """
    client = await _existing(session, client_id)
    if client.auth_method not in SECRET_METHODS:
        raise Conflict("this client does not authenticate with a secret")
    if secret is not None and not 32 <= len(secret) <= 200:
        raise Invalid(Problem("secret", "must have 32 to 200 characters", "leave it out, and one is made"))
    text = secret or opaque.mint(opaque.SECRET)
    digest = vault.digest(text, context=SECRET_DIGEST)
    expires_at = None if lifetime is None else now + lifetime
    same = next((known for known in client.secrets if known.digest == digest), None)
    if same is not None and same.expires_at == expires_at and serves(same, client.auth_method):
        return NewSecret(same.id, text, expires_at)
    if same is not None and not serves(same, client.auth_method):
        await store.delete_secret(session, client_id, same.id)
    elif len(client.secrets) >= MAX_SECRETS:
        raise Conflict("this client has five secrets: remove one first")
    secret_id, sealed = new_id(), None
    if client.auth_method == "client_secret_jwt":
        # The proofs of this method are made with the secret itself: a digest would verify nothing.
        sealed = vault.seal(text.encode(), context=f"{SECRET_SEAL}:{secret_id}")
    added = ClientSecret(secret_id, digest, now, expires_at, None, sealed)
    await store.insert_secret(session, client_id, added)
    await _tell(session, "client.secret_added", client_id, actor, now)
    return NewSecret(added.id, text, expires_at)


def serves(secret: ClientSecret, auth_method: str) -> bool:
    """Whether a secret can be used with a method: one kept as a digest alone proves nothing by HMAC."""
    return auth_method != "client_secret_jwt" or secret.sealed is not None


async def remove_secret(session: Session, client_id: str, secret_id: str, *, actor: str, now: datetime) -> None:
    """Make a secret useless at once. Raises `NotFound`."""
    if not await store.delete_secret(session, client_id, secret_id):
        raise NotFound("this client has no such secret")
    await _tell(session, "client.secret_removed", client_id, actor, now)


ADMIN_SCOPES = (
    Scope("admin:read", "Read every setting"),
    Scope("admin:write", "Change every setting"),
    Scope("revocations:read", "Follow what is revoked"),
    Scope("services:register", "Announce endpoints of a service"),
)


async def ensure_admin_api(database: Database, *, issuer: str, now: datetime) -> None:
    """See that Kronborg's own admin API exists, audience `<issuer>/api`, with every scope of `ADMIN_SCOPES`.

    Raises `Invalid` when there is one under another issuer: what was issued in that name would be worth nothing.
    """
    audience = f"{issuer}/api"
    async with database.read() as session:
        known = await store.find_api(session, audience)
        if known is not None and {scope.name for scope in ADMIN_SCOPES} <= set(known.scope_names):
            return
        for api in await store.list_apis(session) if known is None else ():
            if "admin:read" in api.scope_names:
                raise Invalid(
                    Problem(
                        "server.issuer",
                        "is not the one this installation was founded with",
                        f"write issuer: {api.audience.removesuffix('/api')}, or begin anew in another data folder",
                    )
                )
    async with whole(database) as writing:
        known = await store.find_api(writing, audience)  # another process may have been faster
        added = tuple(scope for scope in ADMIN_SCOPES if known is None or scope.name not in known.scope_names)
        if known is None:
            await save_api(writing, ApiDraft(audience, "Kronborg admin API", added), actor="system", now=now)
        elif added:
            draft = ApiDraft(
                audience, known.name, known.scopes + added, known.token_format, known.token_lifetime, known.settings
            )
            await save_api(writing, draft, actor="system", now=now)


async def _existing(session: Session, client_id: str) -> Client:
    client = await store.find_client(session, client_id)
    if client is None:
        raise NotFound("there is no client with this id")
    return client


async def _tell(
    session: Session, name: str, subject: str, actor: str, now: datetime, detail: JsonObject | None = None
) -> None:
    """Record the event, and empty the directories once it stands."""
    await events.record(session, name, actor=actor, subject=subject, now=now, detail=detail)
    session.after_commit(changed)
