"""Whatever a document declares, its export says the same: applied elsewhere, it gives the same export."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from declare.conftest import CHEAP
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.gateway.declare.apply import apply
from kronborg.gateway.declare.export import export
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.plan import make_plan
from kronborg.gateway.declare.read import read_text
from kronborg.gateway.declare.secret_sources import Secrets
from kronborg.signin.passwords import Passwords

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)

names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True)
words = st.from_regex(r"[a-z][a-z0-9._:/-]{0,10}", fullmatch=True)
# Every kind of text that YAML could take for something else, besides plain words.
texts = st.one_of(
    st.sampled_from(
        ["yes", "012", "1e3", "null", "~", "a: b", "- x", "#x", "'", '"', "{x}", "x #y", "é", "0x1F", "1:2"]
    ),
    st.text(
        st.characters(categories=["L", "N", "P", "S", "Zs"], max_codepoint=0x2FFF, exclude_characters="\u00ad"),
        min_size=1,
        max_size=12,
    ),
).filter(lambda text: text.strip() == text)
durations = st.sampled_from(["30s", "90s", "15m", "2h"])


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A document that can be applied."""
    apis, scopes = {}, []
    for index, name in enumerate(draw(st.lists(names, unique=True, max_size=3))):
        own = [f"a{index}:{word}" for word in draw(st.lists(words, unique=True, max_size=3))]
        scopes.append((name, own))
        apis[name] = {
            "audience": f"https://{index}.example/x",
            "name": draw(texts),
            "scopes": {scope: draw(texts) for scope in own},
            "token_format": draw(st.sampled_from(["jwt", "reference"])),
            "token_lifetime": draw(durations),
        }
    groups = {
        f"g{i} {draw(texts)}": {"roles": draw(st.lists(names, unique=True, max_size=3))}
        for i in range(draw(st.integers(0, 3)))
    }
    users: dict[str, Any] = {}
    for name in draw(st.lists(names.map(lambda n: f"u{n}"), unique=True, max_size=3)):
        users[name] = {"name": draw(texts), "disabled": draw(st.booleans())}
        users[name]["groups"] = draw(st.lists(st.sampled_from(sorted(groups)), unique=True)) if groups else []
    services = {
        name: {"url": f"http://127.0.0.1:{9000 + i}"}
        for i, name in enumerate(draw(st.lists(names, unique=True, max_size=2)))
    }
    routes = {}
    for index, service in enumerate(services):
        access: dict[str, Any] = {"public": True}
        if scopes:
            api, own = draw(st.sampled_from(scopes))
            access = {"audience": api, "scopes": own, "roles": draw(st.lists(names, unique=True, max_size=2))}
        routes[f"r{index}"] = {
            "prefix": f"/{index}/",
            "service": service,
            "timeout": draw(st.sampled_from(["30s", "90s", "10m", "1500ms"])),
            "max_body": draw(st.sampled_from(["1B", "64KiB", 1000, "2MiB"])),
            **access,
        }
    return {"version": 1, "apis": apis, "groups": groups, "users": users, "services": services, "routes": routes}


async def exported(folder: Path, template: Path, text: str) -> tuple[str, int]:
    """The export of a fresh store to which `text` was applied, and how much a plan of the export would change."""
    path = folder / "kronborg.db"
    shutil.copy(template, path)
    database = await Database.open(f"sqlite:///{path}")
    try:
        place = Installation(database, Vault(bytes(32)), Passwords(CHEAP), "http://localhost:1", "http://localhost:2")
        await apply(place, read_text(text, name="k"), Secrets(), actor="test", now=NOW)
        async with database.read() as session:
            written = await export(session, issuer=place.issuer, gateway_url=place.gateway_url)
        plan = (await make_plan(place, read_text(written, name="k"), Secrets())).plan
        return written, len(plan.changes)
    finally:
        await database.close()


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(document=documents())
def test_an_export_says_what_was_applied(document: Mapping[str, Any], sqlite_template: Path) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        text = json.dumps(document, ensure_ascii=False)
        first, changes = asyncio.run(exported(Path(one), sqlite_template, text))
        second, _ = asyncio.run(exported(Path(other), sqlite_template, first))

    assert changes == 0
    assert second == first
