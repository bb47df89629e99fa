"""The page that posts an answer to a client, in a real browser: by itself, by its button, and under its own policy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

import pytest
from playwright.async_api import Page, async_playwright

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.http import Edge
from kronborg.server import serve
from oauth import flow as flows
from oauth.flow import WEB, Flow, open_flow
from people_site import PASSWORD
from ports import free_ports

ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]

pytestmark = [pytest.mark.anyio, pytest.mark.spec("OAuth 2.0 Form Post Response Mode §2")]


@dataclass
class Callback:
    """The client's own server: keeps what is posted to it."""

    port: int
    posted: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
        if head.startswith("POST /callback "):
            self.posted.append(dict(parse_qsl(body)))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<title>The app</title>")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def running(flow: Flow, port: int, callback: Callback) -> AsyncIterator[None]:
    """The server and the client's, on this machine."""
    stop = asyncio.Event()
    client = await asyncio.start_server(callback.answer, "127.0.0.1", callback.port)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(Edge(flow.site.app, secure=False), host="127.0.0.1", port=port, stop=stop))
        try:
            yield
        finally:
            stop.set()
            client.close()


@asynccontextmanager
async def opened(*, scripts: bool) -> AsyncIterator[tuple[Page, list[str]]]:
    """A page of a browser, and what it complained about."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        context = await browser.new_context(java_script_enabled=scripts)
        page = await context.new_page()
        page.set_default_timeout(20_000)
        trouble: list[str] = []
        page.on("console", lambda message: trouble.append(message.text) if "Security" in message.text else None)
        yield page, trouble
        await browser.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("scripts", [True, False], ids=["by-itself", "by-its-button"])
async def test_the_answer_reaches_the_client(
    database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch, scripts: bool
) -> None:
    port, there = free_ports(2)
    monkeypatch.setattr(flows, "ISSUER", f"http://localhost:{port}")
    callback = Callback(there)
    draft = replace(WEB, redirect_uris=(f"http://localhost:{there}/callback",))
    async with (
        open_flow(database, vault, monkeypatch) as flow,
        running(flow, port, callback),
        opened(scripts=scripts) as (page, trouble),
    ):
        await flow.client(draft)

        await page.goto(f"http://localhost:{port}{flow.url(draft, response_mode='form_post')}")
        await page.get_by_label("Username or e-mail").fill("ada")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        if not scripts:
            await page.get_by_role("button", name="Continue").click()
        await page.wait_for_url(f"http://localhost:{there}/callback")

    [posted] = callback.posted
    assert posted.keys() == {"code", "state", "iss"}
    assert posted["iss"] == f"http://localhost:{port}"
    assert trouble == []
