"""The documentation holds together: links lead somewhere, decisions are numbered, coverage is read correctly."""

import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from kronborg.gateway.declare.document import load
from spec_coverage import natural, proofs, render

ROOT = Path(__file__).parent.parent
GENERATED = ROOT / "docs" / "reference" / "spec-coverage.md"  # its links are tests, which it is made from
PAGES = [p for p in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))) if p != GENERATED]


def test_relative_links_lead_to_files() -> None:
    broken = [
        f"{page.relative_to(ROOT)} → {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
        if not re.match(r"[a-z]+:|#", target) and not (page.parent / target.split("#")[0]).exists()
    ]

    assert broken == []


def test_explanations_name_files_that_exist() -> None:
    slices = "core|accounts|signin|clients|tokens|oauth|gateway"

    missing = [
        f"{page.name}: {name}"
        for page in sorted((ROOT / "docs" / "explanation").glob("*.md"))
        for name in re.findall(rf"`((?:{slices})/[\w/.]*)`", page.read_text(encoding="utf-8"))
        if not (ROOT / "src" / "kronborg" / name).exists()
    ]

    assert missing == []


def test_the_source_refers_to_pages_that_exist() -> None:
    files = [p for f in ("src", "sdk", "demo", "tests", "bench") for p in sorted((ROOT / f).rglob("*.py"))]

    missing = [
        f"{path.relative_to(ROOT)}: {page}"
        for path in files
        if "node_modules" not in path.parts
        for page in re.findall(r"docs/[\w/.-]+\.(?:md|json)", path.read_text(encoding="utf-8"))
        if not (ROOT / page).exists()
    ]

    assert missing == []


def test_decisions_have_numbers_of_their_own_a_title_and_a_status() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    numbers = [page.name[:4] for page in decisions]

    wrong = [
        page.name
        for page in decisions
        if not re.match(rf"# {page.name[:4]} .+\n\nStatus: ", page.read_text(encoding="utf-8"))
    ]

    assert len(set(numbers)) == len(numbers)
    assert wrong == []


def test_coverage_reads_marks_of_functions_classes_and_modules(tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_some.py").write_text(
        "import pytest\n"
        "pytestmark = [pytest.mark.anyio, pytest.mark.spec('RFC 1 §1')]\n"
        "@pytest.mark.spec('RFC 1 §10')\n@pytest.mark.spec('RFC 1 §9')\ndef test_a(): ...\n"
        "@pytest.mark.xfail\n@pytest.mark.spec('RFC 2 §1')\ndef test_b(): ...\n"
        "@pytest.mark.spec('RFC 3')\nclass TestC:\n    async def test_c(self): ...\n"
    )

    found = [(p.document, p.section, p.test) for p in proofs(tmp_path)]

    assert found == [
        ("RFC 1", "1", "test_a"),
        ("RFC 1", "1", "test_c"),
        ("RFC 1", "9", "test_a"),
        ("RFC 1", "10", "test_a"),
        ("RFC 3", "", "test_c"),
    ]
    assert "| [RFC 1](#rfc-1) | 3 | 2 |" in render(tmp_path)


def test_sections_are_in_the_order_of_the_document() -> None:
    assert sorted(["4.10", "4.2", "4.1.2", "A"], key=natural) == ["A", "4.1.2", "4.2", "4.10"]


TUTORIAL = ROOT / "docs" / "tutorials" / "protect-your-first-service.md"


def block(language: str) -> str:
    """The first block of the tutorial in a language."""
    found = re.search(rf"```{language}\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_file_of_the_tutorial_is_one_that_kronborg_reads(tmp_path: Path) -> None:
    file = tmp_path / "kronborg.yaml"
    file.write_text("version: 1\n" + block("yaml"), encoding="utf-8")

    document = load(file)

    assert list(document.clients) == ["reader", "writer"]
    assert document.routes["greetings"].audience == document.apis["greetings"].audience


@pytest.mark.anyio
async def test_the_service_of_the_tutorial_asks_for_a_token() -> None:
    namespace: dict[str, object] = {}
    exec(compile(block("python"), "greetings.py", "exec"), namespace)
    app = namespace["app"]
    assert isinstance(app, FastAPI)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://greetings.test") as client:
        answer = await client.get("/greetings/hello")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
