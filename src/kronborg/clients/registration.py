"""Dynamic client registration and its management (RFC 7591, 7592), and what becomes of clients that nobody uses.

Registration access tokens and initial access tokens are kept by keyed digest and shown once. A client that came this
way is marked unverified, and goes when its policy's time passes without use.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from datetime import datetime, timedelta

from kronborg.clients import dynamic_store
from kronborg.clients.admission import Admission, RegistrationPolicy, policy_problems
from kronborg.clients.dynamic_model import DynamicClient, InitialToken, NewInitialToken, Registered
from kronborg.clients.model import BUILT_IN_NAMES, SECRET_METHODS, Client
from kronborg.clients.register import SECRET_DIGEST, add_secret, remove_client, save_client, serves
from kronborg.clients.registration_metadata import OWN, draft_of
from kronborg.clients.settings import Profile
from kronborg.clients.store import find_client, list_apis
from kronborg.core import events, opaque
from kronborg.core.crypto import Vault
from kronborg.core.db import Database, ReadSession, Session
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem, Refusal
from kronborg.core.ids import new_id, random_token
from kronborg.core.json import JsonObject
from kronborg.core.whole import whole

INITIAL_DIGEST = "initial-access-token"
REGISTRATION_DIGEST = "registration-access-token"
MAX_TOKENS = 200
MAX_USES = 100_000
LONGEST = timedelta(days=366)
BATCH = 100


class NotRegistered(Refusal):
    """The token does not let its bearer register or manage this client; one text for every reason."""

    def __init__(self) -> None:
        super().__init__("the token is not valid here")


async def make_initial_token(
    session: Session,
    vault: Vault,
    *,
    name: str,
    policy: RegistrationPolicy,
    lifetime: timedelta,
    max_uses: int,
    actor: str,
    now: datetime,
) -> NewInitialToken:
    """An initial access token (RFC 7591 §1.2). The clear text is returned this once. Raises `Invalid`, `Conflict`."""
    problems = list(policy_problems(policy))
    if not 0 < len(name.strip()) <= 120 or not name.isprintable():
        problems.append(Problem("name", "a name is 1 to 120 visible characters"))
    if not timedelta(minutes=1) <= lifetime <= LONGEST:
        problems.append(Problem("lifetime", "must be between a minute and 366 days"))
    if not 1 <= max_uses <= MAX_USES:
        problems.append(Problem("max_uses", "must be between 1 and 100000"))
    if problems:
        raise Invalid(*problems)
    if len(await dynamic_store.list_tokens(session)) >= MAX_TOKENS:
        raise Conflict("there are 200 initial access tokens already: revoke those that are over")
    text = opaque.mint(opaque.INITIAL)
    digest = vault.digest(text, context=INITIAL_DIGEST)
    token = InitialToken(new_id(), digest, name, policy, now, now + lifetime, max_uses, 0)
    await dynamic_store.insert_token(session, token)
    await events.record(session, "registration_token.created", actor=actor, subject=token.id, now=now)
    return NewInitialToken(token, text)


async def revoke_initial_token(session: Session, token_id: str, *, actor: str, now: datetime) -> None:
    """Nobody registers with this token any more; who did stays. Raises `NotFound`."""
    if not await dynamic_store.delete_token(session, token_id):
        raise NotFound("there is no such initial access token")
    await events.record(session, "registration_token.revoked", actor=actor, subject=token_id, now=now)


async def register(
    session: Session,
    vault: Vault,
    metadata: JsonObject,
    *,
    bearer: str | None,
    admission: Admission,
    profile: Profile,
    now: datetime,
) -> Registered:
    """A new client, in the caller's `whole` transaction.

    Raises `NotRegistered` when nobody may register so, `Invalid` with all that is wrong with the metadata, `Conflict`
    when there are as many clients as the policy allows.
    """
    policy, token_id = await _admitted(session, vault, bearer, admission, now=now)
    client_id = f"dyn-{random_token(16)}"
    draft = draft_of(client_id, metadata, policy=policy, known=await _every_scope(session))
    if await dynamic_store.count_clients(session, "registration", token_id) >= policy.max_clients:
        raise Conflict("there are as many registered clients as the policy allows")
    if token_id is not None and not await dynamic_store.spend_token(session, token_id, now=now):
        raise NotRegistered
    actor = "registration" if token_id is None else f"registration:{token_id}"
    client = await save_client(session, draft, actor=actor, now=now, profile=profile)
    secret = await _secret_if_wanted(session, vault, client, actor=actor, now=now)
    text = opaque.mint(opaque.REGISTRATION)
    digest = vault.digest(text, context=REGISTRATION_DIGEST)
    expires_at = now + policy.unused
    made = DynamicClient(client_id, "registration", digest, token_id, policy, now, None, expires_at)
    await dynamic_store.insert_dynamic(session, made)
    return Registered(client_id, text, secret)


async def may_register(
    session: ReadSession, vault: Vault, bearer: str | None, admission: Admission, *, now: datetime
) -> None:
    """See that this caller may register at all, before anything is done for it. Raises `NotRegistered`."""
    await _admitted(session, vault, bearer, admission, now=now)


async def _admitted(
    session: ReadSession, vault: Vault, bearer: str | None, admission: Admission, *, now: datetime
) -> tuple[RegistrationPolicy, str | None]:
    """The policy for this caller. A token that is not valid is refused even where anybody may register."""
    if bearer is None:
        if admission.open_policy is None:
            raise NotRegistered
        return admission.open_policy, None
    if not opaque.well_formed(bearer, opaque.INITIAL):
        raise NotRegistered
    token = await dynamic_store.find_token(session, vault.digest(bearer, context=INITIAL_DIGEST))
    if token is None or token.expires_at <= now or token.uses >= token.max_uses:
        raise NotRegistered
    return token.policy, token.id


async def managed(
    session: ReadSession, vault: Vault, client_id: str, bearer: str | None
) -> tuple[Client, DynamicClient]:
    """The client that this registration access token manages (RFC 7592 §2). Raises `NotRegistered`."""
    if bearer is None or not opaque.well_formed(bearer, opaque.REGISTRATION):
        raise NotRegistered
    digest = vault.digest(bearer, context=REGISTRATION_DIGEST)
    known = await dynamic_store.find_dynamic(session, client_id)
    if known is None or known.digest is None or not hmac.compare_digest(known.digest, digest):
        raise NotRegistered
    client = await find_client(session, client_id)
    if client is None or client.disabled:
        raise NotRegistered
    return client, known


async def change_registration(
    session: Session,
    vault: Vault,
    client_id: str,
    metadata: JsonObject,
    *,
    bearer: str | None,
    profile: Profile,
    now: datetime,
) -> Registered:
    """Replace a client by new metadata (RFC 7592 §2.2), in the caller's `whole` transaction; its token is rotated.

    The policy it came by still holds. Raises `NotRegistered`, `Invalid`.
    """
    client, known = await managed(session, vault, client_id, bearer)
    draft = draft_of(client_id, metadata, policy=known.policy, known=await _every_scope(session))
    # What an administrator decided stays: only what the client says of itself is its own.
    ours = {name: getattr(client.settings, name) for name in OWN if name != "unverified"}
    settings = replace(draft.settings, **ours)
    draft = replace(draft, settings=settings, audiences=client.audiences)
    actor = f"client:{client_id}"
    saved = await save_client(session, draft, actor=actor, now=now, profile=profile)
    secret = await _secret_if_wanted(session, vault, saved, actor=actor, now=now)
    text = opaque.mint(opaque.REGISTRATION)
    digest = vault.digest(text, context=REGISTRATION_DIGEST)
    if known.digest is None or not await dynamic_store.replace_digest(session, client_id, known.digest, digest):
        raise NotRegistered
    return Registered(client_id, text, secret)


async def withdraw_registration(
    session: Session, vault: Vault, client_id: str, *, bearer: str | None, now: datetime
) -> None:
    """Remove a client on its own wish (RFC 7592 §2.3); its tokens stop working. Raises `NotRegistered`."""
    await managed(session, vault, client_id, bearer)
    await remove_client(session, client_id, actor=f"client:{client_id}", now=now)


def is_secret_of(client: Client, vault: Vault, secret: str) -> bool:
    """Whether this is a secret of the client (RFC 7592 §2.2: a request may repeat it, not choose it)."""
    digest = vault.digest(secret, context=SECRET_DIGEST)
    return any(hmac.compare_digest(one.digest, digest) for one in client.secrets)


async def remove_unused(database: Database, *, now: datetime) -> int:
    """Remove clients that nobody used for too long, at most a hundred; how many there were."""
    async with database.read() as reading:
        expired = await dynamic_store.expired_clients(reading, now=now, limit=BATCH)
    for client_id in expired:
        async with whole(database) as session:
            known = await find_client(session, client_id)
            if known is None or not await dynamic_store.delete_expired(session, client_id, now=now):
                continue
            # One that an administrator vouches for is a client like any other now.
            if known.settings.unverified:
                await remove_client(session, client_id, actor="system", now=now)
    return len(expired)


async def _every_scope(session: ReadSession) -> frozenset[str]:
    return BUILT_IN_NAMES.union(*(api.scope_names for api in await list_apis(session)))


async def _secret_if_wanted(session: Session, vault: Vault, client: Client, *, actor: str, now: datetime) -> str | None:
    """A secret for a client that needs one and has none that serves."""
    if client.auth_method not in SECRET_METHODS or any(serves(one, client.auth_method) for one in client.secrets):
        return None
    made = await add_secret(session, vault, client.id, actor=actor, now=now)
    return made.secret
