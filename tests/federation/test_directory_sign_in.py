"""Signing in by a directory: a real slapd, the real sign-in page, both databases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from federation.slapd import ADMIN, ADMIN_PASSWORD, GROUPS, PEOPLE, SECRET, Slapd
from kronborg.accounts.groups import create_group
from kronborg.accounts.model import User
from kronborg.accounts.store import find_by_login
from kronborg.core import clock
from kronborg.federation.directory_changes import remove_directory, save_directory
from kronborg.federation.directory_model import Directory
from kronborg.signin.passwords import set_password
from people_site import PASSWORD, PeopleSite

pytestmark = pytest.mark.anyio

DOWN = "directory does not answer right now"
WRONG = "do not match. Check both"


async def add_directory(site: PeopleSite, slapd: Slapd, **changes: Any) -> Directory:
    """The directory as an administrator would set it up; what is given replaces."""
    usual = Directory(
        key="corp",
        name="Corp",
        servers=(slapd.url,),
        base=PEOPLE,
        ca=slapd.ca_file.read_text(),
        bind_dn=ADMIN,
        trust_email=True,
        groups_base=GROUPS,
    )
    directory = replace(usual, **changes)
    password = ADMIN_PASSWORD if directory.bind_dn else None
    async with site.parts.database.write() as session:
        await save_directory(session, site.parts.vault, directory, password=password, actor="test", now=clock.now())
    return directory


async def group(site: PeopleSite, *names: str) -> None:
    async with site.parts.database.write() as session:
        for name in names:
            await create_group(session, name, actor="test", now=clock.now())


async def account(site: PeopleSite, login: str) -> User | None:
    async with site.parts.database.read() as session:
        return await find_by_login(session, login)


async def test_the_first_sign_in_makes_the_account_and_later_ones_keep_it_up_to_date(
    site: PeopleSite, slapd: Slapd
) -> None:
    dn = slapd.person("hamlet", name="Prince Hamlet", more="departmentNumber: castle\n")
    await add_directory(site, slapd, attributes={"department": "departmentNumber"})
    visitor = site.visitor()

    answer = await visitor.sign_in("hamlet", SECRET)
    made = await account(site, "hamlet")
    slapd.change(
        f"dn: {dn}\nchangetype: modify\nreplace: cn\ncn: King Hamlet\n-\nreplace: mail\nmail: king@corp.example\n"
    )
    again = await site.visitor().sign_in("king@corp.example", SECRET)
    changed = await account(site, "hamlet")

    assert answer.status_code == again.status_code == 303
    assert await visitor.is_signed_in()
    assert made is not None
    assert changed is not None
    assert (made.name, made.email, made.managed_by) == ("Prince Hamlet", "hamlet@corp.example", "ldap:corp")
    assert (made.email_verified, made.attributes) == (True, {"department": "castle"})
    assert (changed.id, changed.name, changed.email) == (made.id, "King Hamlet", "king@corp.example")


@pytest.mark.parametrize("way", ["starttls", "ldaps", "plain"])
async def test_the_connection_is_made_private_and_its_certificate_checked(
    site: PeopleSite, slapd: Slapd, way: str
) -> None:
    slapd.person("hamlet")
    ways: Mapping[str, dict[str, object]] = {
        "starttls": {"servers": (slapd.url,)},
        "ldaps": {"servers": (slapd.tls_url,)},
        "plain": {"servers": (f"ldap://127.0.0.1:{slapd.port}",), "start_tls": False},
    }
    await add_directory(site, slapd, **ways[way])

    answer = await site.visitor().sign_in("hamlet", SECRET)

    assert answer.status_code == 303


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
@pytest.mark.parametrize("fault", ["name", "authority"])
async def test_a_certificate_for_another_name_or_of_another_authority_is_no_directory(
    site: PeopleSite, slapd: Slapd, fault: str, scheme: str
) -> None:
    slapd.person("hamlet")
    port = slapd.port if scheme == "ldap" else slapd.tls_port
    host = "localhost" if fault == "name" else "127.0.0.1"
    ca = "" if fault == "authority" else slapd.ca_file.read_text()
    await add_directory(site, slapd, servers=(f"{scheme}://{host}:{port}",), ca=ca)

    answer = await site.visitor().sign_in("hamlet", SECRET)

    assert (answer.status_code, DOWN in answer.text) == (503, True)
    assert await account(site, "hamlet") is None


@pytest.mark.spec("RFC 4513 §5.1.2")
async def test_an_empty_password_binds_nobody(site: PeopleSite, slapd: Slapd) -> None:
    slapd.person("hamlet")
    await add_directory(site, slapd)
    directories = site.app.state.directories
    visitor = site.visitor()

    answers = [await visitor.sign_in("hamlet", password) for password in ("", " ", "\0")]
    proof = await directories.prove("hamlet", "", now=clock.now())

    assert [answer.status_code for answer in answers] == [422, 422, 422]
    assert type(proof).__name__ == "NotHere"
    assert await account(site, "hamlet") is None


@pytest.mark.spec("RFC 4515 §3")
@pytest.mark.parametrize(
    "login",
    ["*", "ham*", "hamlet)(uid=*", "*)(objectClass=*", "hamlet\\2a", "hamlet)(|(uid=*", "\\", "(", "hamlet\x01"],
)
async def test_what_is_typed_is_a_value_and_never_part_of_the_filter(
    site: PeopleSite, slapd: Slapd, login: str
) -> None:
    slapd.person("hamlet")
    await add_directory(site, slapd)

    answer = await site.visitor().sign_in(login, SECRET)

    assert (answer.status_code, WRONG in answer.text) == (422, True)


async def test_a_wrong_password_and_an_unknown_name_are_one_answer(site: PeopleSite, slapd: Slapd) -> None:
    slapd.person("hamlet")
    await add_directory(site, slapd)
    visitor = site.visitor()

    wrong, unknown = await visitor.sign_in("hamlet", "wrong wrong"), await visitor.sign_in("nobody", "wrong wrong")

    assert (wrong.status_code, unknown.status_code) == (422, 422)
    assert wrong.text.replace("hamlet", "").count(WRONG) == unknown.text.count(WRONG) == 1


async def test_when_the_directory_is_down_its_people_are_told_and_local_accounts_are_unaffected(
    site: PeopleSite, slapd: Slapd
) -> None:
    slapd.person("hamlet")
    await add_directory(site, slapd)
    await site.person("horatio")
    assert (await site.visitor().sign_in("hamlet", SECRET)).status_code == 303
    slapd.stop()

    theirs = await site.visitor().sign_in("hamlet", SECRET)
    local = await site.visitor().sign_in("horatio", PASSWORD)
    failing = await site.visitor().sign_in("horatio", "wrong wrong wrong")
    unknown = await site.visitor().sign_in("nobody", "wrong wrong wrong")

    assert (theirs.status_code, DOWN in theirs.text.replace("&#39;", "'")) == (503, True)
    assert local.status_code == 303
    # Told to everybody who fails: so it does not tell whose accounts are where.
    assert [failing.status_code, unknown.status_code] == [503, 503]


async def test_a_local_password_never_stands_in_for_the_directory(site: PeopleSite, slapd: Slapd) -> None:
    slapd.person("hamlet")
    await add_directory(site, slapd)
    await site.visitor().sign_in("hamlet", SECRET)
    user = await account(site, "hamlet")
    assert user is not None
    async with site.parts.database.write() as session:
        passwords = site.signin.passwords
        await set_password(session, user.id, PASSWORD, actor="test", now=clock.now(), passwords=passwords)

    while_up = await site.visitor().sign_in("hamlet", PASSWORD)
    slapd.stop()
    while_down = await site.visitor().sign_in("hamlet", PASSWORD)
    async with site.parts.database.write() as session:
        await remove_directory(session, "corp", accounts="keep", actor="test", now=clock.now())
    site.app.state.directories._read_at = None
    without = await site.visitor().sign_in("hamlet", PASSWORD)

    assert [while_up.status_code, while_down.status_code, without.status_code] == [422, 503, 422]


async def test_the_next_server_answers_when_the_first_is_down(site: PeopleSite, slapd: Slapd) -> None:
    slapd.person("hamlet")
    await add_directory(site, slapd, servers=("ldap://localhost:9", slapd.tls_url))

    answers = [await site.visitor().sign_in("hamlet", SECRET) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [303, 303]


async def test_a_local_account_is_never_taken_over_by_an_entry_of_its_name(site: PeopleSite, slapd: Slapd) -> None:
    await site.person("horatio")
    slapd.person("horatio", mail="h@corp.example")
    await add_directory(site, slapd)

    by_name = await site.visitor().sign_in("horatio", SECRET)
    by_mail = await site.visitor().sign_in("h@corp.example", SECRET)
    local = await site.visitor().sign_in("horatio", PASSWORD)

    assert [by_name.status_code, by_mail.status_code, local.status_code] == [422, 422, 303]


async def test_a_name_given_to_somebody_else_does_not_give_the_account_away(site: PeopleSite, slapd: Slapd) -> None:
    dn = slapd.person("hamlet")
    await add_directory(site, slapd)
    await site.visitor().sign_in("hamlet", SECRET)
    slapd.remove(dn)
    slapd.person("hamlet", name="Another Hamlet")

    answer = await site.visitor().sign_in("hamlet", SECRET)
    kept = await account(site, "hamlet")

    assert answer.status_code == 422
    assert kept is not None
    assert kept.name == "Hamlet"


async def test_somebody_renamed_in_the_directory_keeps_the_account(site: PeopleSite, slapd: Slapd) -> None:
    dn = slapd.person("ophelia")
    await add_directory(site, slapd)
    await site.visitor().sign_in("ophelia", SECRET)
    before = await account(site, "ophelia")
    slapd.rename(dn, "uid=ophelia.queen")

    answer = await site.visitor().sign_in("ophelia.queen", SECRET)
    after = await account(site, "ophelia.queen")

    assert answer.status_code == 303
    assert before is not None
    assert after is not None
    assert before.id == after.id


async def test_an_address_of_somebody_else_is_left_with_them(site: PeopleSite, slapd: Slapd) -> None:
    await site.person("horatio")
    slapd.person("yorick", mail="horatio@kronborg.example")
    await add_directory(site, slapd)

    answer = await site.visitor().sign_in("yorick", SECRET)
    made = await account(site, "yorick")

    assert answer.status_code == 303
    assert made is not None
    assert made.email is None


@pytest.mark.parametrize("by", ["member_of", "search"])
@pytest.mark.parametrize("nested", [True, False])
async def test_groups_are_mapped_nested_ones_too_and_others_stay(
    site: PeopleSite, slapd: Slapd, by: str, nested: bool
) -> None:
    dn = slapd.person("hamlet")
    inner = slapd.group("princes", dn)
    middle = slapd.group("royals", inner)
    top = slapd.group("denmark", middle)
    slapd.change(f"dn: {inner}\nchangetype: modify\nadd: member\nmember: {top}\n")  # a circle
    await group(site, "princes", "danes", "local")
    mapping = {"princes": "princes", top.upper().replace(",", ", "): "danes", "unknown": "local"}
    await add_directory(site, slapd, groups=mapping, groups_by=by, nested_groups=nested)

    await site.visitor().sign_in("hamlet", SECRET)
    first = await account(site, "hamlet")
    slapd.change(f"dn: {inner}\nchangetype: modify\ndelete: member\nmember: {dn}\n")
    await site.visitor().sign_in("hamlet", SECRET)
    last = await account(site, "hamlet")

    assert first is not None
    assert last is not None
    assert first.groups == (("danes", "princes") if nested else ("princes",))
    assert last.groups == ()


async def test_a_locked_entry_cannot_sign_in_and_an_account_disabled_by_hand_stays_so(
    site: PeopleSite, slapd: Slapd
) -> None:
    dn = slapd.person("hamlet")
    await add_directory(site, slapd)
    first = await site.visitor().sign_in("hamlet", SECRET)
    slapd.change(f"dn: {dn}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n")

    locked = await site.visitor().sign_in("hamlet", SECRET)

    assert (first.status_code, locked.status_code) == (303, 422)


async def test_people_of_active_directory_sign_in_by_each_of_their_names(site: PeopleSite, slapd: Slapd) -> None:
    slapd.microsoft_person("hamlet", upn="prince@corp.example", control=512)
    slapd.microsoft_person("gone", upn="gone@corp.example", control=514)
    await add_directory(site, slapd, kind="ad")

    by_name = await site.visitor().sign_in("hamlet", SECRET)
    by_principal = await site.visitor().sign_in("prince@corp.example", SECRET)
    disabled = await site.visitor().sign_in("gone", SECRET)

    assert [by_name.status_code, by_principal.status_code, disabled.status_code] == [303, 303, 422]
    assert (await account(site, "hamlet")) is not None
    assert await account(site, "gone") is None


async def test_people_bind_as_themselves_where_nobody_else_may_search(site: PeopleSite, slapd: Slapd) -> None:
    slapd.person("hamlet")
    await add_directory(site, slapd, bind_dn="", bind_as="uid={login}," + PEOPLE)

    right = await site.visitor().sign_in("hamlet", SECRET)
    wrong = await site.visitor().sign_in("hamlet", "wrong wrong")
    injected = await site.visitor().sign_in(f"hamlet,{PEOPLE}", SECRET)

    assert [right.status_code, wrong.status_code, injected.status_code] == [303, 422, 422]


async def test_guesses_at_a_directory_are_throttled(site: PeopleSite, slapd: Slapd) -> None:
    slapd.person("hamlet")
    await add_directory(site, slapd)
    visitor = site.visitor()

    statuses = [(await visitor.sign_in("hamlet", "wrong wrong")).status_code for _ in range(8)]

    assert statuses[:5] == [422] * 5
    assert statuses[-1] == 429
