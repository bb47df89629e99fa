"""What the time of a refused sign-in tells: known, unknown, disabled and managed accounts, in random order.

The product's own app, pages and all, without a network in between, which would only hide differences. Every name and
every address is used once, so that no counter runs out.
"""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from math import erfc, sqrt
from pathlib import Path
from statistics import median

import httpx
from argon2 import PasswordHasher

from bench.identity import ISSUER, PASSWORD, settings_of
from kronborg.accounts.users import NewUser, create_user
from kronborg.app import identity_app
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.core.migrate import migrate
from kronborg.signin.model import PasswordSettings
from kronborg.signin.store import write_password

KINDS = ("known", "unknown", "disabled", "managed")
"""A wrong password for somebody there is; nobody; the right password of somebody disabled; one kept elsewhere."""
BAR = 0.05
"""How far from a half the chance may be that the one takes longer than the other."""
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


@dataclass(frozen=True)
class Pair:
    """Two kinds compared by the test of Mann and Whitney."""

    one: str
    other: str
    p: float
    chance: float
    """That a refusal of the one takes longer than one of the other; a half when they are alike."""

    @property
    def met(self) -> bool:
        """Whether nobody can tell them apart in practice: nothing is found, or next to nothing."""
        return self.p >= 0.001 or abs(self.chance - 0.5) <= BAR


@dataclass(frozen=True)
class Enumeration:
    """Milliseconds in the median by kind, samples of each, and every pair."""

    samples: int
    medians: dict[str, float]
    pairs: tuple[Pair, ...]
    one_text: bool


async def enumeration(folder: Path, *, samples: int) -> Enumeration:
    """Refuse so many of each kind in random order, and compare the times."""
    settings = settings_of(folder, 0)
    settings.vault()
    migrate(settings.database_url)
    database = await Database.open(settings.database_url)
    await _fill(database, samples)
    app = await identity_app(settings, database)
    chance = random.Random(7)
    order = [(kind, number) for number in range(samples) for kind in chance.sample(KINDS, len(KINDS))]
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    texts = set()
    for place, (kind, number) in enumerate(order):
        address = f"10.{place >> 8 & 255}.{place & 255}.{place >> 16 & 255}"
        transport = httpx.ASGITransport(app, client=(address, 40_000))
        async with httpx.AsyncClient(transport=transport, base_url=ISSUER, trust_env=False) as browser:
            shown = await browser.get("/signin", headers={"accept": "text/html"})
            found = _CSRF.search(shown.text)
            if found is None:
                raise RuntimeError("no form")
            name = f"{kind}-{number:05}"
            fields = {"csrf": found[1], "username": name, "password": _password(kind), "next": "", "ticket": ""}
            began = time.perf_counter()
            answer = await browser.post("/signin", data=fields, headers={"sec-fetch-site": "same-origin"})
            times[kind].append(time.perf_counter() - began)
        texts.add((answer.status_code, _plain(answer.text, name)))
    await database.close()
    pairs = tuple(compared(one, times[one], other, times[other]) for one, other in combinations(KINDS, 2))
    return Enumeration(samples, {kind: median(times[kind]) * 1e3 for kind in KINDS}, pairs, len(texts) == 1)


def compared(one: str, a: list[float], other: str, b: list[float]) -> Pair:
    """The test of Mann and Whitney, two-sided, in its normal approximation (times have no ties to speak of)."""
    ranks = {value: rank for rank, value in enumerate(sorted([*a, *b]), 1)}
    u = sum(ranks[value] for value in a) - len(a) * (len(a) + 1) / 2
    mean, spread = len(a) * len(b) / 2, sqrt(len(a) * len(b) * (len(a) + len(b) + 1) / 12)
    return Pair(one, other, erfc(abs(u - mean) / spread / sqrt(2)), u / (len(a) * len(b)))


def _password(kind: str) -> str:
    return PASSWORD if kind == "disabled" else "not the password of anybody"


def _plain(text: str, name: str) -> str:
    """The page without what differs from one request to the next."""
    main = text.partition("<main")[2].partition("</main")[0].replace(name, "")
    return re.sub(r'(value|data-options)="[^"]*"', "", main)


async def _fill(database: Database, samples: int) -> None:
    costs, now = PasswordSettings(), clock.now() - timedelta(days=1)
    encoded = PasswordHasher(costs.passes, costs.memory_kib, costs.lanes).hash(PASSWORD)
    async with database.write() as session:
        for number in range(samples):
            for kind in ("known", "disabled", "managed"):
                managed = "ldap:corp" if kind == "managed" else ""
                new = NewUser(f"{kind}-{number:05}", disabled=kind == "disabled", managed_by=managed)
                user = await create_user(session, new, actor="bench", now=now)
                if kind != "managed":
                    await write_password(session, user.id, encoded, now=now)
