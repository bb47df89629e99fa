"""Calling URLs that others chose: real servers on this machine, and every way to reach what must not be reached."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
from pathlib import Path

import pytest

from certificates import certificate
from kronborg.core.addresses import is_host, may_call
from kronborg.core.fetch import MAX_BODY, Fetcher, Unreachable
from kronborg.core.fetched import Fetched
from names import known_names
from outside import LOOPBACK, Answer, outside

pytestmark = pytest.mark.anyio
JSON = ("application/json",)


async def refused(fetcher: Fetcher, url: str) -> str:
    with pytest.raises(Unreachable) as refusal:
        await fetcher.get(url, accept=JSON)
    assert refusal.value.detail == "what the URL names could not be fetched"
    return refusal.value.reason


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.9"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16", "192.88.99.1"),
        *("::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1"),
        *("2002:7f00:1::", "2002:808:808::1", "2001:0:53aa:64c::1", "2001:db8::1", "fc00::1", "fd00:ec2::254"),
        *("fe80::1", "fec0::1", "ff02::1", "100::1", "::ffff:0:7f00:1", "3fff::1", "5f00::1"),
    ],
)
def test_an_address_that_is_not_public_is_not_called(address: str) -> None:
    assert not may_call(ipaddress.ip_address(address), ())


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"])
def test_a_public_address_is_called(address: str) -> None:
    assert may_call(ipaddress.ip_address(address), ())


@pytest.mark.parametrize(
    "host",
    [
        *("2130706433", "0177.0.0.1", "0x7f000001", "127.1", "127.0.0.0x1", "127.0.0.1.", "fe80::1%eth0"),
        *("UPPER.example", "ex ample", "", "-a.example", "a..example", "a" * 64 + ".example", "１２７.0.0.1"),
    ],
)
def test_an_address_in_disguise_is_no_host(host: str) -> None:
    assert not is_host(host)


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://app.example/", "file:///etc/passwd", "gopher://app.example/", "//app.example/", "app.example", ""),
        *(
            "https://",
            "https:///path",
            "https://user@app.example/",
            "https://user:pw@app.example/",
            "https://@a.example/",
        ),
        *(
            "https://app.example/#part",
            "https://app.example/ x",
            "https://app.example/\r\nx: y",
            "https://app.example:0/",
        ),
        *("https://app.example:99999/", "https://[::1", "https://app.example\\@127.0.0.1/", "HTTPS://app.example/"),
        *("https://2130706433/", "https://0x7f.1/", "https://127.1/", "https://" + "a" * 2000),
    ],
)
async def test_a_url_that_is_not_well_formed_is_not_called(url: str) -> None:
    reason = await refused(Fetcher(LOOPBACK), url)

    assert reason == "the URL is not well-formed"


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254"),
        *("[fd00:ec2::254]", "[64:ff9b::7f00:1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]"),
    ],
)
async def test_nothing_inside_is_called_unless_the_operator_says_so(host: str) -> None:
    async with outside() as there:
        reason = await refused(Fetcher(), f"https://{host}:{there.port}/")

    assert reason == "the host has no address that may be called"
    assert there.asked == []


async def test_an_allowed_network_allows_no_other() -> None:
    async with outside() as there:
        reason = await refused(Fetcher(("10.0.0.0/8",)), there.url("/"))

    assert reason == "the host has no address that may be called"


async def test_plain_http_is_for_the_loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    known_names(monkeypatch, {"app.example": ["10.0.0.1"]})

    reason = await refused(Fetcher(("10.0.0.0/8", *LOOPBACK)), "http://app.example/")

    assert reason == "plain http is for the loopback only"


async def test_a_document_is_fetched_with_what_says_how_long_it_may_be_kept() -> None:
    async with outside() as there:
        there.answers["/keys"] = Answer(
            b'{"keys":[]}',
            "Application/JSON; charset=utf-8",
            headers={"etag": '"1"', "cache-control": "public, max-age=60"},
        )

        fetched = await Fetcher(LOOPBACK).get(there.url("/keys"), accept=JSON)

    minute = datetime.timedelta(minutes=1)
    assert fetched == Fetched(200, "application/json", b'{"keys":[]}', '"1"', minute)
    [asked] = there.asked
    assert (asked.method, asked.headers["host"]) == ("GET", f"127.0.0.1:{there.port}")
    assert (asked.headers["accept"], asked.headers["accept-encoding"]) == ("application/json", "identity")
    assert not {"cookie", "authorization"} & set(asked.headers)


async def test_a_document_that_did_not_change_is_not_sent_again() -> None:
    async with outside() as there:
        there.answers["/keys"] = lambda asked: Answer(
            status=304 if asked.headers.get("if-none-match") == '"1"' else 500
        )

        fetched = await Fetcher(LOOPBACK).get(there.url("/keys"), accept=JSON, etag='"1"')

    assert (fetched.status, fetched.body) == (304, b"")


async def test_a_post_carries_its_body_and_headers_and_gives_back_any_status() -> None:
    async with outside() as there:
        there.answers["/notice"] = Answer(b"no", "text/plain", 400)
        form = "application/x-www-form-urlencoded"

        fetched = await Fetcher(LOOPBACK).post(there.url("/notice"), b"a=b", form, {"authorization": "Bearer x"})

    [asked] = there.asked
    assert (fetched.status, fetched.body) == (400, b"no")
    assert (asked.method, asked.body, asked.headers["content-type"]) == ("POST", b"a=b", form)
    assert (asked.headers["authorization"], asked.headers["content-length"]) == ("Bearer x", "3")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["get", "post"])
async def test_a_redirect_is_not_followed(status: int, method: str) -> None:
    async with outside() as there, outside() as elsewhere:
        there.answers["/keys"] = Answer(b"{}", status=status, headers={"location": elsewhere.url("/keys")})
        elsewhere.answers["/keys"] = Answer(b"{}")
        fetcher = Fetcher(LOOPBACK)

        url = there.url("/keys")
        calling = fetcher.get(url, accept=JSON) if method == "get" else fetcher.post(url, b"", "text/plain")
        with pytest.raises(Unreachable) as refusal:
            await calling

    assert refusal.value.reason == "it answers with a redirect"
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(b"{}", "text/html"), "the content type is not an expected one"),
        (Answer(b"{}", ""), "the content type is not an expected one"),
        (Answer(b"{}", status=404), "the status is not 200"),
        (Answer(b"{}", status=206), "the status is not 200"),
        (Answer(status=304), "the status is not 200"),
        (Answer(b"{}", headers={"content-encoding": "gzip"}), "the answer is compressed"),
        (Answer(b"x" * (MAX_BODY + 1)), "the answer is too large"),
        (Answer(headers={"content-length": "9" * 15}), "the answer is too large"),
        (
            Answer(raw=b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\n\r\n" + b"x" * (MAX_BODY + 1)),
            "the answer is too large",
        ),
        (Answer(raw=b"nonsense\r\n\r\n"), "the connection failed"),
        (Answer(raw=b"HTTP/1.1 200 X\r\nx: " + b"y" * 300_000), "the connection failed"),
        (Answer(raw=b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\nshort"), "the connection failed"),
        (Answer(raw=b""), "the connection failed"),
    ],
)
async def test_an_answer_that_is_not_as_it_should_be_is_refused(answer: Answer, reason: str) -> None:
    async with outside() as there:
        there.answers["/keys"] = answer

        assert await refused(Fetcher(LOOPBACK), there.url("/keys")) == reason


@pytest.mark.parametrize("raw", [None, b"HTTP/1.1 200 X\r\ncontent-type: appl"])
async def test_a_server_that_is_slow_is_given_up(raw: bytes | None) -> None:
    over = asyncio.Event()
    async with outside() as there:
        there.answers["/keys"] = Answer(b"{}", raw=raw, until=over)

        reason = await refused(Fetcher(LOOPBACK, total=0.1), there.url("/keys"))
        over.set()

    assert reason == "it took too long"


async def test_slow_hosts_do_not_take_every_place() -> None:
    over = asyncio.Event()
    async with outside() as slow, outside() as quick:
        slow.answers["/keys"] = Answer(b"{}", until=over)
        quick.answers["/keys"] = Answer(b"{}")
        fetcher = Fetcher(LOOPBACK)
        waiting = [asyncio.create_task(fetcher.get(slow.url("/keys", "localhost"), accept=JSON)) for _ in range(40)]
        await asyncio.sleep(0)

        fetched = await fetcher.get(quick.url("/keys"), accept=JSON)
        over.set()
        await asyncio.gather(*waiting)

    assert fetched.status == 200
    assert len(slow.asked) == 40


async def test_a_name_with_one_address_inside_is_not_called_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    known_names(monkeypatch, {"app.example": ["8.8.8.8", "127.0.0.1"]})

    reason = await refused(Fetcher(), "https://app.example/")

    assert reason == "the host has no address that may be called"


async def test_a_name_is_looked_up_once_and_its_address_called(monkeypatch: pytest.MonkeyPatch) -> None:
    # The second answer is what a rebinding attacker would give to the connection.
    looked_up = known_names(monkeypatch, {"app.example": ["127.0.0.1"]}, later={"app.example": ["127.0.0.2"]})
    async with outside() as there:
        there.answers["/keys"] = Answer(b"{}")

        fetched = await Fetcher(("127.0.0.1/32",)).get(there.url("/keys", "app.example"), accept=JSON)

    assert fetched.status == 200
    assert looked_up == ["app.example"]
    assert there.asked[0].headers["host"] == f"app.example:{there.port}"


async def test_the_next_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    known_names(monkeypatch, {"app.example": ["127.0.0.2", "127.0.0.1"]})
    async with outside() as there:
        there.answers["/keys"] = Answer(b"{}")

        fetched = await Fetcher(LOOPBACK).get(there.url("/keys", "app.example"), accept=JSON)

    assert fetched.status == 200


async def test_a_name_that_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    known_names(monkeypatch, {})

    assert await refused(Fetcher(), "https://app.example/") == "the host is not known"


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with outside() as there, outside() as proxy:
        there.answers["/keys"] = Answer(b"{}")
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))

        await Fetcher(LOOPBACK).get(there.url("/keys"), accept=JSON)

    assert (len(there.asked), len(proxy.asked)) == (1, 0)


async def test_the_certificate_is_for_the_name_and_from_an_authority_we_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_names(monkeypatch, {"app.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]})
    tls, ca_file = certificate(tmp_path, "app.example")
    async with outside(tls) as there:
        there.answers["/keys"] = Answer(b"{}")
        trusting = Fetcher(LOOPBACK, ca_file=ca_file)

        fetched = await trusting.get(there.url("/keys", "app.example"), accept=JSON)
        wrong_name = await refused(trusting, there.url("/keys", "other.example"))
        wrong_issuer = await refused(Fetcher(LOOPBACK), there.url("/keys", "app.example"))

    assert fetched.status == 200
    assert (wrong_name, wrong_issuer) == ("the connection failed", "the connection failed")
