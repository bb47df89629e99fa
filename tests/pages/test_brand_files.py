"""What operators bring: a style sheet of their own, a logo, an icon; bounded, and served by us."""

from __future__ import annotations

from pathlib import Path

import pytest

from kronborg.core.brand import MAX_CSS, Brand, brand_problems
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from people_site import people_site

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_own_style_sheet_comes_last_and_the_icon_is_ours_to_serve(
    database: Database, vault: Vault, tmp_path: Path
) -> None:
    css, icon = tmp_path / "look.css", tmp_path / "tab.svg"
    css.write_text(":root { --radius: 0 }", encoding="utf-8")
    icon.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    async with people_site(database, vault, brand=Brand("Helsing", css=css, icon=icon)) as site:
        visitor = site.visitor()

        page = await visitor.get("/signin")
        sheet = await visitor.get("/static/own.css")
        picture = await visitor.get("/static/icon.svg")

    assert page.text.index("/static/brand.css") < page.text.index("/static/own.css")
    assert '<link rel="icon" href="/static/icon.svg' in page.text
    assert (sheet.status_code, sheet.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert sheet.text == ":root { --radius: 0 }"
    assert picture.headers["content-type"] == "image/svg+xml"


def test_files_that_are_missing_too_large_or_of_another_kind_are_told(tmp_path: Path) -> None:
    heavy, other = tmp_path / "heavy.css", tmp_path / "logo.gif"
    heavy.write_bytes(b"/" * (MAX_CSS + 1))
    other.write_bytes(b"GIF89a")

    found = list(brand_problems(Brand(css=heavy, logo=other, icon=tmp_path / "none.png")))

    assert [(problem.where, problem.detail) for problem in found] == [
        ("server.brand.logo", "is no file of type .svg, .png, .webp"),
        ("server.brand.icon", "is no file"),
        ("server.brand.css", "is larger than 32 KiB"),
    ]
