"""Pictures of every page for docs/reference/pages.md: `PYTHONPATH=. .venv/bin/python docs/screenshots.py`.

A tool for developers, not run by any check. It starts the whole product on a database of its own with sample people and
looks at each page with Chromium.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from playwright.async_api import Browser, CDPSession, Error, async_playwright  # noqa: E402

from console.conftest import ADMIN, Console  # noqa: E402
from console.stage import stage  # noqa: E402
from console.test_browser import FLAGS, opened  # noqa: E402
from kronborg.core.crypto import Vault  # noqa: E402
from kronborg.core.db import Database  # noqa: E402
from kronborg.core.migrate import migrate  # noqa: E402

IMAGES = ROOT / "docs" / "images"
JOURNEY = {
    "home": "/",
    "sign-in": "/signin",
    "sign-in-danish": "/signin?lang=da",
    "forgot": "/forgot",
    "error": "/nowhere",
}
ACCOUNT = {
    "profile": "/account",
    "security": "/account/security",
    "factors": "/account/security/factors",
    "authenticator": "/account/security/factors/add/totp",
    "activity": "/account/activity",
    "linked": "/account/linked",
    "apps": "/account/apps",
    "requests": "/account/requests",
    "data": "/account/data",
    "device": "/device",
    "sign-out": "/signout",
    "security-german": "/account/security?lang=de",
}
CONSOLE = {
    "console": "/console",
    "console-users": "/console/users",
    "console-user": "/console/users/{user}",
    "console-groups": "/console/groups",
    "console-organisations": "/console/organisations",
    "console-providers": "/console/providers",
    "console-clients": "/console/clients",
    "console-client": "/console/clients/shop",
    "console-apis": "/console/apis",
    "console-keys": "/console/keys",
    "console-access": "/console/access",
    "console-audit": "/console/audit",
    "console-webhooks": "/console/webhooks",
    "console-settings": "/console/settings",
}


async def picture(session: CDPSession) -> bytes:
    """What the window shows, as WebP, which Playwright itself does not write; Chromium is not always ready for it."""
    for left in range(4, -1, -1):
        try:
            taken = await session.send("Page.captureScreenshot", {"format": "webp", "quality": 72})
            return base64.b64decode(taken["data"])
        except Error:
            if not left:
                raise
            await asyncio.sleep(0.5)
    raise AssertionError("either returned or raised")


async def take(browser: Browser, console: Console, url: str) -> None:
    """Every page, light on a wide screen; the journey and the account dark on a phone too."""
    there = await stage(console)
    secret = await console.session_of(await console.person("ada", ADMIN))
    for scheme, width, suffix, sets in (
        ("light", 1280, "", (JOURNEY, ACCOUNT, CONSOLE)),
        ("dark", 390, "-phone", (JOURNEY, ACCOUNT)),
    ):
        for pages in sets:
            context = await browser.new_context(
                viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light"
            )
            if pages is not JOURNEY:
                await context.add_cookies([{"name": "kronborg_session", "value": secret, "url": url}])
            page = await context.new_page()
            session = await context.new_cdp_session(page)
            for name, path in pages.items():
                await page.goto(url + there.fill(path), wait_until="load")
                await page.bring_to_front()
                (IMAGES / f"{name}{suffix}.webp").write_bytes(await picture(session))
                await context.clear_cookies(name="kronborg_language")
                await context.clear_cookies(name="kronborg_ui_locales")
            await context.close()


async def main() -> None:
    """A database in a folder of its own, gone afterwards."""
    IMAGES.mkdir(exist_ok=True)
    path = os.environ.get("KRONBORG_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder:
        address = f"sqlite:///{folder}/kronborg.sqlite"
        await asyncio.to_thread(migrate, address)
        database = await Database.open(address)
        async with opened(database, Vault(os.urandom(32))) as (console, url), async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
            await take(browser, console, url)
            await browser.close()
        await database.close()


if __name__ == "__main__":
    asyncio.run(main())
