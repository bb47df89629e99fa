"""The locks: exact versions with hashes, no host names, and an answer to everything the projects ask for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-build.lock"]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_carries_hashes_and_no_hosts(lock: str) -> None:
    content = (ROOT / lock).read_text(encoding="utf-8")

    entries = re.split(r"^(?=\S)", content, flags=re.MULTILINE)[1:]

    assert entries
    assert "://" not in content
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_node_locks_carry_no_hosts() -> None:
    found = [
        p for f in ("tests", "bench") for p in (ROOT / f).rglob("package-lock.json") if "node_modules" not in p.parts
    ]

    assert [str(p.relative_to(ROOT)) for p in found if '"resolved": "http' in p.read_text(encoding="utf-8")] == []


def test_the_locks_answer_what_the_projects_ask_for() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    runtime = [line for path in ("", "sdk", "demo/shop") for line in dependencies(ROOT / path / "pyproject.toml")]
    asked = dict(zip(LOCKS, [runtime, [*runtime, *groups["dev"]], groups["build"]], strict=True))

    missing = [
        f"{lock} does not answer {requirement}: run `make lock`"
        for lock, requirements in asked.items()
        for requirement in map(Requirement, requirements)
        if not requirement.name.startswith("kronborg-") and not answers(pins(ROOT / lock), requirement)
    ]

    assert missing == []


def dependencies(project: Path) -> list[str]:
    """What a project needs at run time."""
    return list(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"])


def pins(lock: Path) -> dict[str, Version]:
    """What a lock installs: normalised name → version."""
    lines = re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in lines}


def answers(pinned: dict[str, Version], requirement: Requirement) -> bool:
    """Whether the requirement is met, or does not apply here."""
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    version = pinned.get(canonicalize_name(requirement.name))
    return version is not None and version in requirement.specifier
