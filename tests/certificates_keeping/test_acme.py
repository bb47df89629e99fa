"""Certificates from a real ACME server, ordered, proved by HTTP, kept sealed, renewed in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from certificates_keeping.pebble import Pebble, answering, running_pebble
from kronborg.certificates.acme import renew_due
from kronborg.certificates.keep import opened_key, wish
from kronborg.certificates.model import AcmeSettings, Certificate
from kronborg.certificates.store import find_account, find_certificate, find_challenge
from kronborg.core.crypto import Vault
from kronborg.core.db import Database

NAMES = ("api.kronborg.example", "www.kronborg.example")


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with running_pebble(tmp_path_factory.mktemp("pebble")) as running:
        yield running


def settings_of(pebble: Pebble) -> AcmeSettings:
    return AcmeSettings(pebble.directory, ("operator@kronborg.example",), terms_agreed=True, ca_file=pebble.ca_file)


def run(database_url: str, work: Callable[[Database], Awaitable[None]]) -> None:
    async def main() -> None:
        database = await Database.open(database_url)
        try:
            await work(database)
        finally:
            await database.close()

    asyncio.run(main())


@pytest.mark.spec("RFC 8555 §7.4")
@pytest.mark.spec("RFC 8555 §8.3")
def test_a_certificate_is_ordered_proved_and_kept(pebble: Pebble, database_url: str) -> None:
    vault, now = Vault(b"k" * 32), datetime.now(UTC)

    async def work(database: Database) -> None:
        loop = asyncio.get_running_loop()

        def answer(token: str) -> str | None:
            async def look() -> str | None:
                async with database.read() as reading:
                    return await find_challenge(reading, token, now=now)

            return asyncio.run_coroutine_threadsafe(look(), loop).result(10)

        async with database.write() as session:
            await wish(session, "public", NAMES, actor="admin", now=now)

        with answering(pebble.http_port, answer):
            made = await renew_due(database, vault, settings_of(pebble), now=now)

        async with database.read() as reading:
            found = await find_certificate(reading, "public")
            key = await opened_key(reading, vault, "public")
            account = await find_account(reading, pebble.directory)
        assert made == 1
        assert found is not None
        assert found.failure == ""
        assert found.hosts == NAMES
        assert x509.load_pem_x509_certificate(found.chain.encode()).not_valid_after_utc == found.not_after
        assert key is not None
        assert key.startswith("-----BEGIN PRIVATE KEY-----")
        assert account is not None
        assert "PRIVATE" not in account.key
        assert not found.is_due(now + timedelta(days=30))
        assert found.is_due(now + timedelta(days=61))

    run(database_url, work)


def test_a_failure_is_kept_in_words_and_not_repeated_at_once(pebble: Pebble, database_url: str) -> None:
    vault, now = Vault(b"k" * 32), datetime.now(UTC)

    async def work(database: Database) -> None:
        async with database.write() as session:
            await wish(session, "public", NAMES[:1], actor="admin", now=now)

        with answering(pebble.http_port, lambda _: None):
            made = await renew_due(database, vault, settings_of(pebble), now=now)

        async with database.read() as session:
            found = await find_certificate(session, "public")
        assert made == 0
        assert found is not None
        assert "404" in found.failure
        assert not found.is_due(now + timedelta(minutes=59))
        assert found.is_due(now + timedelta(minutes=61))

    run(database_url, work)


def test_a_server_that_is_not_there_is_named(tmp_path: Path, database_url: str) -> None:
    vault, now = Vault(b"k" * 32), datetime.now(UTC)

    async def work(database: Database) -> None:
        async with database.write() as session:
            await wish(session, "public", NAMES[:1], actor="admin", now=now)

        await renew_due(database, vault, AcmeSettings("https://127.0.0.1:9/dir"), now=now)

        async with database.read() as session:
            found = await find_certificate(session, "public")
        assert found is not None
        assert "Connection" in found.failure

    run(database_url, work)


def test_an_uploaded_certificate_is_never_ordered() -> None:
    assert not Certificate("mine", NAMES, "uploaded").is_due(datetime.now(UTC))
