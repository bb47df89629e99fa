"""Directories as data: kronborg.yaml with plan, apply and export; the admin API; the trial and the sync."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from admin.conftest import Admin, open_admin
from declare.test_apply import carry_out, planned
from federation.slapd import ADMIN, ADMIN_PASSWORD, GROUPS, PEOPLE, Slapd
from kronborg.accounts.store import find_by_login
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Invalid
from kronborg.federation.directory_changes import opened_password, save_directory
from kronborg.federation.directory_model import Directory
from kronborg.federation.directory_store import find_directory
from kronborg.federation.directory_sync import sync_directory, sync_due
from kronborg.gateway.declare.export import export
from kronborg.gateway.declare.installation import Installation
from kronborg.signin.model import PasswordSettings
from kronborg.signin.passwords import Passwords

pytestmark = pytest.mark.anyio

TEXT = """
version: 1
directories:
  corp:
    name: Corp
    kind: ad
    servers: [ldaps://dc1.corp.example, "ldap://dc2.corp.example:3389"]
    base: dc=corp,dc=example
    bind_dn: kronborg@corp.example
    bind_password: { env: BIND }
    attributes: { department: department }
    groups: { "cn=admins,ou=groups,dc=corp,dc=example": admins, staff: staff }
    groups_base: ou=groups,dc=corp,dc=example
    groups_by: in_chain
    sync_every: 1h
    trust_email: true
"""


@pytest.fixture
def installation(database: Database, vault: Vault) -> Installation:
    cheap = Passwords(PasswordSettings(passes=1, memory_kib=64, lanes=1))
    return Installation(database, vault, cheap, "http://localhost:8081", "http://localhost:8080")


@pytest.fixture
async def admin(database: Database, vault: Vault) -> AsyncIterator[Admin]:
    opened = await open_admin(database, vault)
    yield opened
    await opened.http.aclose()


def local(slapd: Slapd) -> Directory:
    return Directory(
        "corp", "Corp", (slapd.url,), PEOPLE, ca=slapd.ca_file.read_text(), bind_dn=ADMIN, groups_base=GROUPS
    )


async def save(database: Database, vault: Vault, directory: Directory, now: datetime) -> None:
    async with database.write() as session:
        await save_directory(session, vault, directory, password=ADMIN_PASSWORD, actor="test", now=now)


async def test_a_file_makes_changes_and_removes_directories(installation: Installation, now: datetime) -> None:
    env = {"BIND": "first secret"}
    await carry_out(installation, TEXT, now, env=env)
    again = await planned(installation, TEXT, env=env)
    async with installation.database.read() as session:
        text = await export(session, issuer=installation.issuer, gateway_url=installation.gateway_url)
    exported = await planned(installation, text, env={})
    other = await planned(installation, TEXT, env={"BIND": "second secret"})
    await carry_out(installation, TEXT, now, env={"BIND": "second secret"})
    async with installation.database.read() as session:
        kept = await find_directory(session, "corp")
    await carry_out(installation, "version: 1\n", now, env={})
    async with installation.database.read() as session:
        gone = await find_directory(session, "corp")

    assert again.changes == exported.changes == ()
    assert [change.kind for change in other.changes] == ["directory"]
    assert "first secret" not in text
    assert kept is not None
    assert opened_password(installation.vault, kept) == "second secret"
    assert gone is None


@pytest.mark.parametrize(
    ("before", "after", "where"),
    [
        ("ldaps://dc1.corp.example", "http://dc1.corp.example", "servers"),
        ("kind: ad", "kind: ad\n    start_tls: false", "servers"),
        ("kind: ad", 'kind: ad\n    filter: "(uid=x)"', "filter"),
        ("kind: ad", 'kind: ad\n    filter: "(uid={login}"', "filter"),
        ("kind: ad", "kind: ad\n    ca: nothing", "ca"),
        ("sync_every: 1h", "sync_every: 1s", "sync_every"),
        ("base: dc=corp,dc=example", "base: nowhere", "base"),
        ("kind: ad", 'kind: ad\n    bind_as: "{login}@corp.example"', "bind_as"),
    ],
)
async def test_what_cannot_work_is_told_with_its_place(
    installation: Installation, before: str, after: str, where: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await planned(installation, TEXT.replace(before, after, 1), env={"BIND": "secret"})

    assert any(where in problem.where or where in problem.detail for problem in refused.value.problems)


async def test_the_admin_api_saves_tries_and_syncs_a_directory_and_never_tells_its_password(
    admin: Admin, slapd: Slapd
) -> None:
    slapd.person("hamlet")
    body = {
        "name": "Corp", "servers": [slapd.url, "ldap://localhost:9"], "base": PEOPLE, "ca": slapd.ca_file.read_text(),
        "bind_dn": ADMIN, "bind_password": ADMIN_PASSWORD,
    }  # fmt: skip

    made = await admin.http.put("/api/directories/corp", json=body, headers=admin.write)
    del body["bind_password"]
    changed = await admin.http.put("/api/directories/corp", json={**body, "name": "Company"}, headers=admin.write)
    tried = await admin.http.post("/api/directories/corp/test", headers=admin.write)
    synced = await admin.http.post("/api/directories/corp/sync", headers=admin.write)
    shown = await admin.http.get("/api/directories/corp", headers=admin.read)
    looking = await admin.http.put("/api/directories/corp", json=body, headers=admin.read)
    wrong = await admin.http.put("/api/directories/other", json={**body, "base": "x"}, headers=admin.write)
    removed = await admin.http.delete("/api/directories/corp", headers=admin.write)

    assert (made.status_code, changed.json()["has_bind_password"], changed.json()["name"]) == (200, True, "Company")
    assert [one["problem"] == "" for one in tried.json()["servers"]] == [True, False]
    assert (tried.json()["people"], synced.json()["created"]) == (1, 1)
    assert shown.json()["sync"]["created"] == 1
    assert ADMIN_PASSWORD not in made.text + changed.text + shown.text
    assert (looking.status_code, wrong.status_code, removed.status_code) == (403, 422, 204)


async def test_a_sync_creates_updates_and_disables_those_gone_and_lets_those_back_in(
    database: Database, vault: Vault, slapd: Slapd, now: datetime
) -> None:
    dns = [slapd.person(name) for name in ("hamlet", "ophelia", "yorick")]
    await save(database, vault, replace(local(slapd), sync_every=timedelta(hours=1)), now)

    first = await sync_directory(database, vault, "corp", now=now)
    slapd.remove(dns[2])
    slapd.change(f"dn: {dns[0]}\nchangetype: modify\nreplace: cn\ncn: King\n")
    early = await sync_due(database, vault, now=now + timedelta(minutes=59))
    due = await sync_due(database, vault, now=now + timedelta(hours=1))
    async with database.read() as session:
        kept = await find_directory(session, "corp")
        people = [await find_by_login(session, name) for name in ("hamlet", "ophelia", "yorick")]

    assert (first.seen, first.created, first.problem) == (3, 3, "")
    assert (early, due) == (0, 1)
    assert kept is not None
    assert kept.sync is not None
    assert (kept.sync.created, kept.sync.updated, kept.sync.disabled) == (0, 1, 1)
    assert [person is not None and person.disabled for person in people] == [False, False, True]


async def test_a_directory_that_suddenly_knows_nobody_disables_nobody(
    database: Database, vault: Vault, slapd: Slapd, now: datetime
) -> None:
    for number in range(24):
        slapd.person(f"person{number}")
    await save(database, vault, local(slapd), now)
    first = await sync_directory(database, vault, "corp", now=now)
    slapd.sweep(PEOPLE)

    second = await sync_directory(database, vault, "corp", now=now + timedelta(hours=1))
    slapd.stop()
    third = await sync_directory(database, vault, "corp", now=now + timedelta(hours=2))
    async with database.read() as session:
        person = await find_by_login(session, "person7")

    assert (first.created, second.disabled) == (24, 0)
    assert "nobody was disabled" in second.problem
    assert third.problem
    assert person is not None
    assert not person.disabled


async def test_a_sync_reads_more_people_than_the_server_gives_at_once(
    database: Database, vault: Vault, slapd: Slapd, now: datetime
) -> None:
    entries = "".join(
        f"dn: uid=p{number},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: p{number}\ncn: P\nsn: P\n\n"
        for number in range(620)
    )
    slapd.load(entries)
    await save(database, vault, local(slapd), now)

    done = await sync_directory(database, vault, "corp", now=now)

    assert (done.seen, done.created, done.problem) == (620, 620, "")
