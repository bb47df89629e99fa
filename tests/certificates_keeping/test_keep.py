"""Certificates that people bring: checked with their key, kept sealed, replaced, removed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certificates import certificate
from kronborg.certificates.keep import opened_key, remove, upload, wish
from kronborg.certificates.pairs import read_pair
from kronborg.certificates.store import find_certificate, sealed_key_of
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Invalid, NotFound

NOW = datetime.now(UTC)


def pem_of(folder: Path, name: str) -> tuple[str, str]:
    folder.mkdir(exist_ok=True)
    _, chain = certificate(folder, name)
    return chain.read_text(), (folder / "key.pem").read_text()


def test_a_pair_names_its_hosts_and_its_time(tmp_path: Path) -> None:
    chain, key = pem_of(tmp_path, "api.kronborg.example")

    pair = read_pair(chain, key, now=NOW)

    assert pair.hosts == ("api.kronborg.example",)
    assert pair.not_before < NOW < pair.not_after
    assert len(pair.fingerprint) == 64


def test_what_does_not_fit_is_named_with_its_mend(tmp_path: Path) -> None:
    chain, key = pem_of(tmp_path / "one", "a.example")
    other_chain, other_key = pem_of(tmp_path / "two", "b.example")
    cases = {
        "is not the key of this certificate": (chain, other_key, NOW),
        "is not in order": (chain + other_chain, key, NOW),
        "has ended": (chain, key, NOW + timedelta(days=3)),
        "holds no certificates in PEM": ("nothing", key, NOW),
        "cannot be read": (chain, "nothing", NOW),
        "is too long": (chain * 11, key, NOW),
    }

    for detail, (some_chain, some_key, now) in cases.items():
        with pytest.raises(Invalid) as refused:
            read_pair(some_chain, some_key, now=now)
        assert detail in [problem.detail for problem in refused.value.problems]
        assert all(problem.mend for problem in refused.value.problems)


def test_a_key_is_kept_sealed_and_goes_with_its_certificate(tmp_path: Path, database_url: str) -> None:
    chain, key = pem_of(tmp_path, "api.kronborg.example")
    vault = Vault(b"k" * 32)

    async def work() -> None:
        database = await Database.open(database_url)
        try:
            async with database.write() as session:
                await upload(session, vault, "public", chain, key, actor="admin", now=NOW)
                assert "PRIVATE" not in await sealed_key_of(session, "public")
                opened = await opened_key(session, vault, "public")
                assert opened is not None
                assert opened.strip() == key.strip()
                await remove(session, "public", actor="admin", now=NOW)
                assert await find_certificate(session, "public") is None
                with pytest.raises(NotFound):
                    await remove(session, "public", actor="admin", now=NOW)
        finally:
            await database.close()

    asyncio.run(work())


def test_only_public_names_are_ordered(database_url: str) -> None:
    refused: tuple[tuple[str, ...], ...] = (
        (),
        ("*.example",),
        ("localhost",),
        ("a.example/x",),
        ("a" * 300,),
        ("127.0.0.1",),
    )

    async def work() -> None:
        database = await Database.open(database_url)
        try:
            async with database.write() as session:
                for hosts in refused:
                    with pytest.raises(Invalid):
                        await wish(session, "public", hosts, actor="admin", now=NOW)
        finally:
            await database.close()

    asyncio.run(work())
