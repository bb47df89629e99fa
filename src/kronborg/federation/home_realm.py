"""Which provider somebody belongs to, and which ones the sign-in page shows."""

from __future__ import annotations

from dataclasses import dataclass

from kronborg.accounts.organisations_store import organisation_of_domain
from kronborg.core.db import Database, ReadSession
from kronborg.federation.model import Provider, domain_of
from kronborg.federation.providers_store import find_provider, list_enabled


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider as the sign-in page offers it."""

    key: str
    name: str
    preset: str


@dataclass(frozen=True, slots=True)
class Offered:
    """What the sign-in page knows of providers. `by_domain`: whether an address alone may be enough."""

    choices: tuple[Choice, ...] = ()
    by_domain: bool = False


async def offered(database: Database) -> Offered:
    """The providers with a button, by name."""
    found = await list_enabled(database.lookup)
    choices = tuple(Choice(key, name, settings.preset) for key, name, settings in found if settings.shown)
    return Offered(choices, by_domain=bool(found))


async def home_of(database: Database, login: str) -> str | None:
    """The key of the provider that people with this address belong to: its own domains, or its organisation's."""
    domain = domain_of(login)
    if not domain or len(domain) > 253 or "\0" in domain:
        return None
    for key, _, settings in await list_enabled(database.lookup):
        if domain in {one.lower() for one in settings.home_domains}:
            return key
    async with database.read() as session:
        organisation = await organisation_of_domain(session, domain)
        found = None if organisation is None else await _enabled(session, organisation.provider)
    return None if found is None else found.key


async def is_offered(database: Database, key: str) -> bool:
    """Whether people can sign in with this provider."""
    async with database.read() as session:
        return await _enabled(session, key) is not None


async def _enabled(session: ReadSession, key: str) -> Provider | None:
    provider = await find_provider(session, key) if 0 < len(key) <= 40 else None
    return provider if provider is not None and provider.settings.enabled else None
