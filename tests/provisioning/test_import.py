"""Importing people: the formats, what is wrong with a line, and that an import may be run again."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import bcrypt
import pytest
from argon2 import PasswordHasher

from kronborg.accounts.groups import create_group
from kronborg.accounts.settings import Attribute
from kronborg.accounts.store import find_by_login
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.events import latest
from kronborg.provisioning.import_people import Report, import_people
from kronborg.provisioning.import_reading import Entry, Format, Line, Wrong, read_file
from people_site import people_site

pytestmark = pytest.mark.anyio

PASSWORD = "the ghost walks at midnight"
BCRYPT = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
KEYCLOAK = {
    "realm": "helsingor",
    "users": [
        {
            "id": "8d6f5f0a-3b1c-4a5e-9f9d-0d2f5b1f7a11",
            "username": "ophelia@kronborg.example",
            "email": "ophelia@kronborg.example",
            "emailVerified": True,
            "enabled": True,
            "firstName": "Ophelia",
            "lastName": "Poloniusdatter",
            "groups": ["/court/ladies"],
            "attributes": {"locale": ["da"]},
            "credentials": [
                {"type": "otp", "secretData": "{}", "credentialData": "{}"},
                {
                    "type": "password",
                    "secretData": '{"value":"%s","salt":"%s","additionalParameters":{}}',
                    "credentialData": '{"hashIterations":1,"algorithm":"argon2","additionalParameters":'
                    '{"hashLength":["32"],"memory":["64"],"type":["id"],"version":["1.3"],"parallelism":["1"]}}',
                },
            ],
        },
        {"id": "s", "username": "service-account-shop", "serviceAccountClientId": "shop"},
        {"username": "yorick", "enabled": False, "credentials": [{"type": "password", "credentialData": "{}"}]},
    ],
}


def keycloak() -> str:
    parts = PasswordHasher(1, 64, 1).hash(PASSWORD).split("$")
    realm = json.loads(json.dumps(KEYCLOAK))
    secret = realm["users"][0]["credentials"][1]
    secret["secretData"] = secret["secretData"] % (parts[5] + "=", parts[4] + "==")
    return json.dumps(realm)


def read(tmp_path: Path, text: str, format: Format = "jsonl") -> list[Line]:
    path = tmp_path / "people"
    path.write_text(text, encoding="utf-8")
    return list(read_file(path, format))


async def run(
    database: Database, lines: list[Line], now: datetime, *, dry_run: bool = False
) -> tuple[Report, list[Wrong]]:
    wrong: list[Wrong] = []
    report = await import_people(database, lines, actor="test", now=now, dry_run=dry_run, wrong=wrong.append)
    return report, wrong


async def test_people_come_with_their_hashes_groups_and_roles_and_sign_in(
    database: Database, vault: Vault, tmp_path: Path, now: datetime
) -> None:
    async with database.write() as session:
        await create_group(session, "Guards", roles=("watch",), actor="test", now=now)
    lines = read(
        tmp_path,
        json.dumps(
            {
                "username": "Bernardo",
                "email": "Bernardo@Kronborg.example",
                "email_verified": True,
                "name": "Bernardo",
                "groups": ["guards"],
                "roles": ["night"],
                "locale": "da",
                "password_hash": BCRYPT,
            }
        )
        + "\n\n"
        + json.dumps({"username": "francisco", "disabled": True}),
    )

    report, wrong = await run(database, lines, now)

    async with people_site(database, vault) as site:
        answer = await site.visitor().sign_in("bernardo", PASSWORD)
        other = await site.visitor().sign_in("francisco", PASSWORD)
    async with database.read() as session:
        user = await find_by_login(session, "bernardo@kronborg.example")
        names = [event.name for event in await latest(session)]
    assert (report, wrong) == (Report(2, 2, 0, 0), [])
    assert (answer.status_code, other.status_code) == (303, 422)
    assert user is not None
    assert (user.username, user.groups, user.roles, user.locale) == ("Bernardo", ("Guards",), ("night",), "da")
    assert user.email_verified
    assert "users.imported" in names


async def test_an_import_run_again_makes_only_who_is_new_and_changes_nobody(
    database: Database, tmp_path: Path, now: datetime
) -> None:
    first = read(tmp_path, "\n".join(json.dumps({"username": f"guard{n}"}) for n in range(600)))
    more = read(tmp_path, "\n".join(json.dumps({"username": f"GUARD{n}", "name": "Other"}) for n in range(610)))

    once, _ = await run(database, first, now)
    again, wrong = await run(database, more, now)

    async with database.read() as session:
        user = await find_by_login(session, "guard1")
    assert (once.made, again.made, again.there, wrong) == (600, 10, 600, [])
    assert user is not None
    assert user.name == ""


async def test_a_dry_run_finds_what_is_wrong_and_writes_nothing(
    database: Database, tmp_path: Path, now: datetime
) -> None:
    lines = read(tmp_path, '{"username": "anna", "groups": ["nobody"]}\n{"username": "berta"}')

    report, wrong = await run(database, lines, now, dry_run=True)

    row = await database.lookup.first("SELECT COUNT(*) FROM accounts_users")
    assert (report.made, report.wrong, row) == (1, 1, (0,))
    assert wrong[0].problems[0].where == "groups"


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("[]", "line"),
        ("{", "line"),
        ('{"username": ""}', "username"),
        ('{"username": "a", "email": "nonsense"}', "email"),
        ('{"username": "a", "colour": "red"}', "colour"),
        ('{"username": "a", "disabled": "no"}', "disabled"),
        ('{"username": "a", "roles": "admin"}', "roles"),
        ('{"username": "a", "roles": ["not a role"]}', "roles"),
        ('{"username": "a", "roles": ["unknown/role"]}', "roles"),
        ('{"username": "a", "id": "../etc"}', "id"),
        ('{"username": "a", "password_hash": "hunter2"}', "password_hash"),
        ('{"username": "a", "password_hash": "$2b$31$' + "a" * 53 + '"}', "password_hash"),
        ('{"username": "a", "attributes": {"shoe": 43}}', "attributes.shoe"),
        ('{"username": "a\\u0000"}', "username"),
        ('{"username": "a", "name": "' + "x" * 70_000 + '"}', "line"),
    ],
)
async def test_a_wrong_line_is_told_by_its_field_and_keeps_no_others_out(
    database: Database, tmp_path: Path, now: datetime, line: str, where: str
) -> None:
    lines = read(tmp_path, f'{{"username": "before"}}\n{line}\n{{"username": "after"}}')

    report, wrong = await run(database, lines, now)

    assert (report.made, report.wrong) == (2, 1)
    assert wrong[0].line == 2
    assert where in {problem.where for problem in wrong[0].problems}


async def test_an_address_or_a_name_of_somebody_else_is_told(database: Database, tmp_path: Path, now: datetime) -> None:
    await run(database, [Entry(1, "anna", "id-1", "anna@kronborg.example")], now)

    report, wrong = await run(
        database,
        [Entry(1, "berta", "", "ANNA@kronborg.example"), Entry(2, "anna", "id-2"), Entry(3, "anders", "id-1")],
        now,
    )

    assert [(one.line, one.problems[0].where) for one in wrong] == [(1, "email"), (2, "username")]
    assert (report.made, report.there) == (0, 1)


async def test_csv_names_its_fields_in_the_first_row(database: Database, tmp_path: Path, now: datetime) -> None:
    text = (
        "\ufeffusername,email,email_verified,roles,password_hash\n"
        f"anna,anna@kronborg.example,yes,cook;waiter,{BCRYPT}\n"
        '"berta",,,,\n'
        "caesar,too,few\n"
    )

    report, wrong = await run(database, read(tmp_path, text, "csv"), now)

    async with database.read() as session:
        anna = await find_by_login(session, "anna")
    assert (report.made, [one.line for one in wrong]) == (2, [4])
    assert anna is not None
    assert (anna.roles, anna.email_verified) == (("cook", "waiter"), True)


@pytest.mark.parametrize("text", ["", "name,shoe\na,b\n", "username\n\xff\n"])
async def test_what_is_no_csv_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(text.encode("latin-1"))

    lines = list(read_file(path, "csv"))

    assert [type(line) for line in lines] == [Wrong]


async def test_a_keycloak_realm_is_read_with_its_ids_and_passwords(
    database: Database, vault: Vault, tmp_path: Path, now: datetime
) -> None:
    async with database.write() as session:
        await create_group(session, "ladies", actor="test", now=now)

    report, wrong = await run(database, read(tmp_path, keycloak(), "keycloak"), now)

    async with people_site(database, vault) as site:
        answer = await site.visitor().sign_in("ophelia@kronborg.example", PASSWORD)
    async with database.read() as session:
        ophelia = await find_by_login(session, "ophelia@kronborg.example")
    assert (report.made, [one.line for one in wrong]) == (1, [3])
    assert wrong[0].problems[0].where == "credentials"
    assert answer.status_code == 303
    assert ophelia is not None
    assert (ophelia.id, ophelia.name, ophelia.groups) == (
        "8d6f5f0a-3b1c-4a5e-9f9d-0d2f5b1f7a11",
        "Ophelia Poloniusdatter",
        ("ladies",),
    )


@pytest.mark.parametrize("text", ["", "[]", '{"realm": "x"}', '{"users": ["x"]}'])
async def test_what_is_no_export_of_a_realm_is_told(tmp_path: Path, text: str) -> None:
    assert [type(line) for line in read(tmp_path, text, "keycloak")] == [Wrong]


async def test_attributes_are_held_against_the_schema(database: Database, now: datetime) -> None:
    schema = (Attribute("shoe", "Shoe size", "number"),)
    lines = [Entry(1, "anna", attributes={"shoe": 38}), Entry(2, "berta", attributes={"shoe": "big"})]
    wrong: list[Wrong] = []

    report = await import_people(database, lines, actor="test", now=now, schema=schema, wrong=wrong.append)

    async with database.read() as session:
        anna = await find_by_login(session, "anna")
    assert (report.made, wrong[0].problems[0].where) == (1, "attributes.shoe")
    assert anna is not None
    assert anna.attributes == {"shoe": 38}
