"""Connections to directories: values that stay values, servers that hang or lie, a library that may be missing."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from certificates import certificate
from federation.slapd import ADMIN, ADMIN_PASSWORD, HOST, PEOPLE, SECRET, Slapd
from kronborg.federation import ldap_client
from kronborg.federation.directory_check import directory_problems
from kronborg.federation.directory_model import Directory
from kronborg.federation.ldap_client import LdapAddress, LdapConnection, LdapUnavailable, LdapWrong, Who

pytestmark = pytest.mark.anyio

SERVICE = Who(ADMIN, ADMIN_PASSWORD)


async def opened(slapd: Slapd, who: Who = SERVICE, *, tls: str = "ldaps") -> LdapConnection:
    address = LdapAddress(HOST, slapd.tls_port if tls == "ldaps" else slapd.port, tls)
    limit = timedelta(seconds=20)
    return await LdapConnection.open(address, slapd.ca_file.read_text(), who, connect=limit, answer=limit)


@asynccontextmanager
async def server(answer: bytes) -> AsyncIterator[tuple[LdapAddress, bytearray]]:
    """A server that answers whatever it is sent with these bytes, and what it was sent."""
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            heard.extend(chunk)
            writer.write(answer)
        writer.close()

    listening = await asyncio.start_server(serve, HOST, 0)
    try:
        yield LdapAddress(HOST, listening.sockets[0].getsockname()[1], "starttls"), heard
    finally:
        listening.close()


@pytest.mark.spec("RFC 4515 §3")
@pytest.mark.parametrize("uid", ["a*b", "a(b)c", "back\\slash", "\\2a", "{login}", "blåbær", "a)(uid=*"])
async def test_a_value_with_special_characters_finds_just_its_entry(slapd: Slapd, uid: str) -> None:
    slapd.load(f"dn: cn=odd,{PEOPLE}\nobjectClass: inetOrgPerson\ncn: odd\nsn: odd\nuid: {uid}\n")
    slapd.person("hamlet")
    connection = await opened(slapd)

    found = await connection.search(PEOPLE, "(uid={login})", ("uid",), limit=2, values={"login": uid})
    await connection.close()

    assert [entry.text("uid") for entry in found] == [uid]


@pytest.mark.spec("RFC 4514 §2.4")
@pytest.mark.parametrize("name", ["a,b", "#x", " x", 'q"+;<=>\\'])
async def test_a_login_stands_in_a_name_as_a_value(slapd: Slapd, name: str) -> None:
    quoted = "".join(f"\\{ord(character):02x}" for character in name)
    slapd.load(f"dn: cn={quoted},{PEOPLE}\nobjectClass: inetOrgPerson\nsn: odd\nuserPassword: {SECRET}\n")

    connection = await opened(slapd, Who(f"cn={{login}},{PEOPLE}", SECRET, name))
    await connection.close()


@pytest.mark.spec("RFC 4513 §5.1.2")
async def test_an_empty_password_is_never_taken(slapd: Slapd) -> None:
    dn = slapd.person("hamlet")
    connection = await opened(slapd)

    taken = [await connection.takes(name, password) for name, password in ((dn, ""), ("", SECRET), (dn, SECRET))]
    await connection.close()
    with pytest.raises(LdapWrong):
        await opened(slapd, Who(dn, ""))

    assert taken == [False, False, True]


async def test_searches_have_limits_and_pages_go_on_between_them(slapd: Slapd) -> None:
    for number in range(7):
        slapd.person(f"guard{number}")
    connection = await opened(slapd)

    some = await connection.search(PEOPLE, "(uid=*)", ("uid",), limit=3)
    nowhere = await connection.search(f"ou=nowhere,{PEOPLE}", "(uid=*)", ("uid",), limit=3)
    pages = []
    async for page in connection.everything(PEOPLE, "(uid=*)", ("uid", "entryUUID"), size=3):
        pages.append(page)
        await connection.search(PEOPLE, "(uid=guard1)", ("mail",), limit=1)
    await connection.close()

    assert (len(some), nowhere) == (3, [])
    assert [len(page) for page in pages if page] == [3, 3, 1]
    assert len({entry.text("entryUUID") for page in pages for entry in page}) == 7


async def test_a_server_that_says_nothing_is_given_up_in_time_and_holds_nobody_up() -> None:
    limit, longest, at_end = timedelta(seconds=2), 0.0, asyncio.Event()
    loop = asyncio.get_running_loop()

    async def beat() -> None:
        nonlocal longest
        while not at_end.is_set():
            before = loop.time()
            await asyncio.sleep(0.01)
            longest = max(longest, loop.time() - before)

    async with server(b"") as (address, _):
        beating = asyncio.create_task(beat())
        with pytest.raises(LdapUnavailable, match="no answer in time"):
            await LdapConnection.open(address, "", SERVICE, connect=limit, answer=limit)
        at_end.set()
        await beating

    # A call that waits on the loop would hold it for the two seconds of the limit.
    assert longest < 1.5


def extended_response(code: int) -> bytes:
    """RFC 4511 §4.12: the answer to message 1, with this result code."""
    return b"0\x0c\x02\x01\x01x\x07\n\x01" + bytes((code,)) + b"\x04\x00\x04\x00"


@pytest.mark.spec("RFC 4511 §4.14.1")
@pytest.mark.parametrize(
    "answer",
    [extended_response(2), extended_response(52), b"HTTP/1.1 400 Bad Request"],
    ids=["unknown", "unavailable", "http"],
)
async def test_without_starttls_no_password_is_sent(answer: bytes) -> None:
    limit = timedelta(seconds=2)

    async with server(answer) as (address, heard):
        with pytest.raises(LdapUnavailable):
            await LdapConnection.open(address, "", SERVICE, connect=limit, answer=limit)

    assert b"1.3.6.1.4.1.1466.20037" in heard
    assert ADMIN_PASSWORD.encode() not in heard


@pytest.mark.spec("RFC 8996 §4, §5")
async def test_no_tls_older_than_1_2_is_spoken(tmp_path: Path) -> None:
    context, ca_file = certificate(tmp_path, HOST)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    agreed: list[str | None] = []
    limit = timedelta(seconds=20)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        agreed.append(writer.get_extra_info("ssl_object").version())
        writer.close()

    async with await asyncio.start_server(serve, HOST, 0, ssl=context) as listening:
        address = LdapAddress(HOST, listening.sockets[0].getsockname()[1], "ldaps")
        with pytest.raises(LdapUnavailable):
            await LdapConnection.open(address, ca_file.read_text(), SERVICE, connect=limit, answer=limit)

    assert agreed == []


async def test_a_helper_that_is_gone_is_replaced(slapd: Slapd) -> None:
    slapd.person("hamlet")
    connection = await opened(slapd)
    connection._helper._process.kill()
    connection._helper._process.wait()

    with pytest.raises(LdapUnavailable):
        await connection.search(PEOPLE, "(uid=*)", ("uid",), limit=3)
    await connection.close()
    again = await opened(slapd)
    found = await again.search(PEOPLE, "(uid=*)", ("uid",), limit=3)
    await again.close()

    assert [entry.text("uid") for entry in found] == ["hamlet"]


async def test_a_missing_library_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bonsai", None)
    monkeypatch.setattr(ldap_client, "_idle", [])
    directory = Directory("corp", "Corp", ("ldaps://dc1.corp.example",), "dc=corp,dc=example")
    limit = timedelta(seconds=2)

    problems = directory_problems(directory, has_password=False)
    with pytest.raises(LdapUnavailable) as refused:
        await LdapConnection.open(LdapAddress(HOST, 9, "ldaps"), "", Who(), connect=limit, answer=limit)

    said = [f"{problem.detail} {problem.mend}" for problem in problems]
    for text in (*said, refused.value.reason):
        assert "extra ldap" in text
        assert "libldap-dev libsasl2-dev" in text
    assert len(said) == 1


def test_an_address_is_written_as_the_library_reads_it() -> None:
    urls = [LdapAddress("::1", 389, "starttls").url, LdapAddress("dc1.corp.example", 636, "ldaps").url]

    assert urls == ["ldap://[::1]:389", "ldaps://dc1.corp.example:636"]
