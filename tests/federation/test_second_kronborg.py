"""A second Kronborg as the provider: a process of its own, with its own people, found by discovery."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from federation.federation_site import FederationSite, federation_site
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.federation.check_connection import check_connection
from kronborg.federation.model import ProviderDraft, ProviderSettings
from kronborg.federation.providers import save_provider
from relying_parties.running import PERSON, Identity, running_identity

pytestmark = pytest.mark.anyio

CALLBACK = "http://localhost:8081/federation/upstream/callback"


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identity]:
    with running_identity(tmp_path_factory.mktemp("upstream")) as identity:
        yield identity


@pytest.fixture
async def site(database: Database, vault: Vault) -> AsyncIterator[FederationSite]:
    async with federation_site(database, vault) as site:
        yield site


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_people_of_another_kronborg_sign_in(site: FederationSite, upstream: Identity, method: str) -> None:
    client_id = f"downstream-{method.rpartition('_')[2]}-{site.database.lookup.__class__.__name__.lower()}"
    secret = await asyncio.to_thread(
        upstream.client,
        client_id,
        redirect_uris=(CALLBACK,),
        auth_method=method,
        scopes=("openid", "profile", "email"),
    )
    settings = ProviderSettings(issuer=upstream.issuer, client_id=client_id, auth_method=method)  # type: ignore[arg-type]  # one of the two
    async with site.database.write() as session:
        draft = ProviderDraft("upstream", "oidc", "Upstream", settings)
        vault = site.people.parts.vault
        provider = await save_provider(session, vault, draft, secret=secret, actor="test", now=clock.now())
    visitor = site.visitor()
    location = await site.go(visitor, "upstream")

    left = await asyncio.to_thread(upstream.sign_in, location)
    answer = await site.come_back(visitor, left.headers["location"].removeprefix("http://localhost:8081"))

    assert parse_qs(urlsplit(left.headers["location"]).query)["iss"] == [upstream.issuer]
    assert answer.status_code == 200, answer.text
    assert await site.is_signed_in(visitor)
    user = await site.found(PERSON)
    assert user is not None
    assert (user.name, user.managed_by, user.email) == ("Ophelia", "provider:upstream", None)
    assert await check_connection(site.people.app.state.federation.fetcher, provider, now=clock.now()) == ""
