"""Pictures of the gateway's pages, of a demo that runs: `docs/screenshots_gateway.py .kronborg PASSWORD`.

A tool for developers, not run by any check. It calls the demo shop so that there is something to see, makes a
draft, and looks at each page with Chromium as `astrid`, whose password `make demo` printed.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
from playwright.async_api import BrowserContext, Page, async_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
IDENTITY, GATEWAY = "http://localhost:8081", "http://localhost:8080"
CATALOGUE = "https://shop.example/catalogue"
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
MOST_BYTES = 150_000
PAGES = {
    "gateway-traffic": "/console/traffic?span=15m",
    "gateway-requests": "/console/traffic/requests?span=15m",
    "gateway-map": "/console/traffic/map?span=15m",
    "gateway-services": "/console/services",
    "gateway-service": "/console/services/delivery",
    "gateway-routes": "/console/routes",
    "gateway-route": "/console/routes/catalogue",
    "gateway-draft": "/console/publishing/drafts/events",
    "gateway-callers": "/console/simulate/callers?route=catalogue&method=GET",
    "gateway-breakers": "/console/breakers",
    "gateway-limits": "/console/limits",
    "gateway-fleet": "/console/fleet/gateway-1",
    "gateway-surface": "/console/surface",
    "gateway-alerts": "/console/alerts",
    "gateway-dashboard": "/console",
}
DRAFT = """version: 1
routes:
  events:
    path: /events
    methods: [GET]
    service: catalogue
    public: true
  inventory:
    prefix: /inventory/
    methods: [GET, HEAD]
    service: inventory
    audience: inventory
    scopes: [inventory:read]
    roles: [shopkeeper]
"""


def call_the_shop(data: Path) -> None:
    """Some of everything: served, refused in several ways, lost."""
    secret = (data / "secrets" / "shop-batch").read_text(encoding="utf-8").strip()
    with httpx.Client(timeout=10) as http:
        asked = {"grant_type": "client_credentials", "scope": "catalogue:read", "resource": CATALOGUE}
        answer = http.post(f"{IDENTITY}/oauth/token", auth=("shop-batch", secret), data=asked)
        token = {"authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}
        asked |= {"scope": "inventory:read", "resource": "https://shop.example/inventory"}
        answer = http.post(f"{IDENTITY}/oauth/token", auth=("shop-batch", secret), data=asked)
        stock = {"authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}
        for turn in range(60):
            for _ in range(5):
                http.get(f"{GATEWAY}/catalogue/products", headers=token)
            http.get(f"{GATEWAY}/inventory/stock", headers=stock)
            http.get(f"{GATEWAY}/shop/")
            if turn % 4 == 0:
                http.get(f"{GATEWAY}/catalogue/products")
                http.get(f"{GATEWAY}/inventory/stock", headers=token)
                http.get(f"{GATEWAY}/nothing/here")
                http.post(f"{GATEWAY}/inventory/reservations", headers=stock, json={})


def make_draft(data: Path) -> None:
    """A draft with a route that opens and one that asks for more."""
    kronborg = [str(ROOT / ".venv" / "bin" / "kronborg"), "draft"]
    where = ["--data", str(data)]
    subprocess.run([*kronborg, "create", "events", "--comment", "Open the events", *where], check=False)  # noqa: S603
    file = data / "events.yaml"
    file.write_text(DRAFT, encoding="utf-8")
    subprocess.run([*kronborg, "put", "events", str(file), *where], check=True)  # noqa: S603
    file.unlink()


async def sign_in(context: BrowserContext, password: str) -> Page:
    """A page of the console, as its administrator."""
    page = await context.new_page()
    await page.goto(f"{IDENTITY}/console")
    await page.fill("input[autocomplete*=username]", "astrid")
    if not await page.locator("input[type=password]").count():
        await page.click("button[type=submit]")
    await page.fill("input[type=password]", password)
    await page.click("button[type=submit]")
    await page.wait_for_url(f"{IDENTITY}/console")
    return page


async def keep(page: Page, name: str) -> None:
    """What the window shows, as WebP, which Playwright itself does not write."""
    session = await page.context.new_cdp_session(page)
    for quality in (72, 50, 30):
        taken = await session.send("Page.captureScreenshot", {"format": "webp", "quality": quality})
        picture = base64.b64decode(taken["data"])
        if len(picture) <= MOST_BYTES:
            break
    (IMAGES / f"{name}.webp").write_bytes(picture)


async def take(page: Page, suffix: str) -> None:
    """Every page, one request that was refused, and the answer of a simulation."""
    for name, path in PAGES.items():
        await page.goto(IDENTITY + path, wait_until="load")
        await keep(page, name + suffix)
    await page.goto(f"{IDENTITY}/console/traffic/requests?span=15m&q=status:403", wait_until="load")
    await page.click(".table tbody th a")
    await page.wait_for_load_state()
    await keep(page, f"gateway-trail{suffix}")
    await page.goto(f"{IDENTITY}/console/simulate", wait_until="load")
    await page.fill("input[name=url]", "/catalogue/products")
    await page.fill("textarea[name=claims]", '{"aud": "https://shop.example/catalogue", "scope": "openid"}')
    await page.click("main form[method=post] button[type=submit]")
    await page.wait_for_load_state()
    await keep(page, f"gateway-simulate{suffix}")


async def main(data: Path, password: str) -> None:
    """Light on a wide screen, dark on a phone."""
    IMAGES.mkdir(exist_ok=True)
    path = os.environ.get("KRONBORG_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    await asyncio.to_thread(make_draft, data)
    await asyncio.to_thread(call_the_shop, data)
    await asyncio.sleep(2)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        wide = await browser.new_context(viewport={"width": 1280, "height": 860})
        await take(await sign_in(wide, password), "")
        phone = await browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
        await take(await sign_in(phone, password), "-phone")
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
