"""Whose account somebody is that a provider vouches for. Nobody gets into an account by an address alone.

1. An identity (provider and subject) that is linked leads to its account, whatever address it has today.
2. Otherwise an address counts only when the provider says that it is verified *and* its settings say to believe that.
   It links to the account with the same address only when that account has proved the address itself and the provider
   speaks for the domain. An account that has not proved its address may have been made by somebody who waits for the
   owner of the address to come (pre-hijacking), so it is never joined.
3. In every other case an account that has the address must be proved first: sign in to it, then link.
4. Nobody has the address: a new account, if the provider may make one. It has the address only if that is believed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kronborg.accounts.model import MAX_EMAIL, MAX_NAME, User, clean, folded, name_problems, printable
from kronborg.accounts.store import find_by_login, find_groups_by_names, find_user
from kronborg.accounts.users import NewUser, UserChange, create_user, update_user
from kronborg.core.db import Session
from kronborg.core.errors import Refusal
from kronborg.core.events import record
from kronborg.core.ids import new_id
from kronborg.federation.model import Identity, ProviderSettings, Told, domain_of
from kronborg.federation.presets import Known
from kronborg.federation.providers_store import find_identity, insert_identity, touch_identity

FEDERATED: Final = "fed"
MAX_LINKS = 20
_NOT_IN_NAMES = re.compile(r"[^\w.+-]+")


class NotAdmitted(Refusal):
    """The provider vouched for somebody who may not come in here."""


class AlreadyLinked(Exception):
    """The identity has an account. No refusal: whatever was written before it in the transaction must not stand."""


@dataclass(frozen=True, slots=True)
class Entered:
    """Somebody is this user."""

    user_id: str


@dataclass(frozen=True, slots=True)
class ProveFirst:
    """Somebody has to sign in to an account here before it is linked. `may_start_anew`: or get one of their own."""

    may_start_anew: bool


async def enter(session: Session, known: Known, told: Told, *, now: datetime) -> Entered | ProveFirst:
    """Find, link or make the account of somebody that a provider vouches for. Raises `NotAdmitted`."""
    settings = known.settings
    _check_domain(settings, told)
    identity = await find_identity(session, told.provider, told.subject)
    if identity is not None:
        return await _known(session, known, identity, told, now=now)
    email = believed_email(settings, told)
    holder = await find_by_login(session, email) if email else None
    if holder is not None:
        if not _may_join(settings, holder, email):
            return ProveFirst(may_start_anew=settings.provision)
        await link(session, holder.id, told, actor="system", now=now)
        return await _known(session, known, await _linked(session, told), told, now=now)
    if not settings.provision:
        return ProveFirst(may_start_anew=False)
    return Entered(await start_anew(session, known, told, now=now))


async def start_anew(session: Session, known: Known, told: Told, *, now: datetime) -> str:
    """A new account for an identity that has none; its id. Raises `NotAdmitted`."""
    settings = known.settings
    if not settings.provision:
        raise NotAdmitted("this provider makes no accounts here")
    _check_domain(settings, told)
    email = believed_email(settings, told)
    if email and await find_by_login(session, email) is not None:
        email = ""
    user = await _made(session, told, email, now=now)
    await link(session, user.id, told, actor=user.managed_by, now=now)
    await _take_groups(session, settings, user, told, now=now)
    return user.id


async def link(session: Session, user_id: str, told: Told, *, actor: str, now: datetime) -> None:
    """Link an identity to an account. Raises `AlreadyLinked`."""
    identity = Identity(told.provider, told.subject, user_id, told.shown, now, now)
    if not await insert_identity(session, identity):
        raise AlreadyLinked
    detail = {"provider": told.provider}
    await record(session, "identity.linked", actor=actor, subject=user_id, now=now, detail=detail)


def managed_by(key: str) -> str:
    """How accounts name the provider that made them."""
    return f"provider:{key}"


def amr_of(settings: ProviderSettings, told: Told) -> tuple[str, ...]:
    """The methods (RFC 8176) that a session here has: what the provider tells counts only where it is trusted."""
    methods = (FEDERATED, *told.amr) if settings.trust_amr else (FEDERATED,)
    if settings.trust_amr and told.acr and told.acr in settings.multi_factor_acr and "mfa" not in methods:
        methods = (*methods, "mfa")
    return tuple(dict.fromkeys(methods))


def believed_email(settings: ProviderSettings, told: Told) -> str:
    """The address, if the provider says that it is verified and is believed; empty otherwise."""
    email = clean(told.email)
    if not settings.trust_email or not told.email_verified or not email or len(email) > MAX_EMAIL:
        return ""
    return "" if name_problems(email=email) else email


def _may_join(settings: ProviderSettings, holder: User, email: str) -> bool:
    """Whether the account with the same address is joined without further proof: both sides have proved it."""
    trusted = domain_of(email) in {domain.lower() for domain in settings.trusted_domains}
    # Folding makes one name of mailboxes that are two (`strasse`, `straße`): then the address has to be the very one.
    same = email == holder.email or (email.isascii() and (holder.email or "").isascii())
    return trusted and same and holder.email_verified and holder.kind == "person" and not holder.disabled


def _check_domain(settings: ProviderSettings, told: Told) -> None:
    if settings.allowed_domains:
        allowed = {domain.lower() for domain in settings.allowed_domains}
        if domain_of(believed_email(settings, told)) not in allowed:
            raise NotAdmitted("only people with an address of certain domains may sign in with this provider")


async def _linked(session: Session, told: Told) -> Identity:
    identity = await find_identity(session, told.provider, told.subject)
    if identity is None:
        raise LookupError("the identity was linked in this transaction")
    return identity


async def _known(session: Session, known: Known, identity: Identity, told: Told, *, now: datetime) -> Entered:
    user = await find_user(session, identity.user_id)
    if user is None or user.disabled:
        raise NotAdmitted("this account is disabled")
    await touch_identity(session, told.provider, told.subject, shown=told.shown, now=now)
    if user.managed_by == managed_by(known.key) and known.settings.update:
        user = await _taken_over(session, known.settings, user, told, now=now)
    await _take_groups(session, known.settings, user, told, now=now)
    return Entered(user.id)


async def _taken_over(session: Session, settings: ProviderSettings, user: User, told: Told, *, now: datetime) -> User:
    """Name, address and attributes as the provider says today; an address that somebody else has stays theirs."""
    email, name = believed_email(settings, told), _name(told)
    if email and folded(email) != folded(user.email or "") and await find_by_login(session, email) is not None:
        email = ""
    change = UserChange(
        name=name or None,
        email=email or None,
        email_verified=True if email else None,
        attributes={**user.attributes, **told.attributes},
    )
    return await update_user(session, user.id, change, actor=user.managed_by, now=now, by_source=True)


async def _take_groups(session: Session, settings: ProviderSettings, user: User, told: Told, *, now: datetime) -> None:
    """Put somebody into the groups that the provider's groups stand for, and out of those that they no longer do.

    Groups that the mapping does not name are left alone.
    """
    if not settings.groups:
        return
    ours = await find_groups_by_names(session, tuple(settings.groups.values()))
    wanted = {folded(ours_) for theirs, ours_ in settings.groups.items() if theirs in told.groups}
    kept = [name for name in user.groups if folded(name) not in ours]
    groups = tuple(kept + [group.name for key, group in sorted(ours.items()) if key in wanted])
    if sorted(map(folded, groups)) != sorted(map(folded, user.groups)):
        actor = managed_by(told.provider)
        await update_user(session, user.id, UserChange(groups=groups), actor=actor, now=now, by_source=True)


async def _made(session: Session, told: Told, email: str, *, now: datetime) -> User:
    """A new account under the first of some names that is free."""
    actor = managed_by(told.provider)
    for username in _usernames(told):
        if await find_by_login(session, username) is None:
            new = NewUser(
                username,
                email or None,
                _name(told),
                managed_by=actor,
                email_verified=bool(email),
                attributes=dict(told.attributes),
            )
            return await create_user(session, new, actor=actor, now=now)
    raise NotAdmitted("no username is free")


def _usernames(told: Told) -> list[str]:
    """Names to try, the likeliest first; the last one is surely free."""
    tries = []
    for text in (told.username, told.email.partition("@")[0] if told.email_verified else "", told.name):
        name = _NOT_IN_NAMES.sub(".", clean(text.partition("@")[0])).strip("._+-")[:48]
        if name and not name_problems(username=name):
            tries += [name, *(f"{name}{number}" for number in (2, 3))]
    return [*tries, f"{told.provider[:20]}-{new_id().replace('-', '')}"]


def _name(told: Told) -> str:
    name = clean(told.name)[:MAX_NAME]
    return name if printable(name) else ""
