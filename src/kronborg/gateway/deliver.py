"""Delivery: the latest snapshot reaches the proxy whole, or not at all.

A configuration is first shown to `envoy --mode validate`; then its files are renamed into place, services
before the listener before routes, so that nothing names what is not there yet, and the proxy is asked after
each whether it took it. If it refuses one, the last good files come back and the refusal is recorded with Envoy's own
reason. Where nothing but one table of routes is new, the proxy itself is asked at once: it takes a table whole or
leaves it, and ten thousand routes would be read twice. Envoy reads files and asks nobody, so it starts and serves
without the control process.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import orjson

from kronborg.core.log import get_logger
from kronborg.gateway.blocked import ensure as ensure_blocked
from kronborg.gateway.envoy import admin, endpoints
from kronborg.gateway.envoy.access_log import path_of
from kronborg.gateway.envoy.process import objection
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import discovery, version_of
from kronborg.gateway.envoy.translate import Files, translate
from kronborg.gateway.exchange import keep_secret
from kronborg.gateway.ledger import ensure as ensure_ledger
from kronborg.gateway.model import Delivery, Snapshot
from kronborg.gateway.secret_files import begin as begin_secrets
from kronborg.gateway.source import Offer, Source

log = get_logger("kronborg.gateway.deliver")

Kind = str
"""The name of a file without its ending: `cds`, `lds`, `rds`, `rds-NAME`."""
POLL_SECONDS = 0.2
_RETRY_SECONDS = 10.0
_PATIENCE_SECONDS = 10.0
_ASK_AGAIN_SECONDS = 0.01
_CLUSTER = re.compile(rb'"((?:service|replicas|bounded|instead)\.[^"]*)"')
"""How clusters are called that come and go with services and routes (`envoy/target.py`)."""


class Refused(Exception):
    """The proxy did not take a file; the message is its reason."""


async def put(snapshot: Snapshot, keys: str, proxy: Proxy) -> Delivery:
    """Bring the proxy to `snapshot`. Raises `admin.ProxyAway` when nobody can say whether it took it.

    In that case the files are in place all the same, validated, and the proxy starts from them.
    """
    files = await asyncio.to_thread(translate, snapshot, keys, proxy)
    reason = await place(files, proxy)
    if reason is not None:
        return Delivery(proxy.name, snapshot.version, "rejected", reason)
    return Delivery(proxy.name, snapshot.version, "acked")


async def place(files: Files, proxy: Proxy) -> str | None:
    """Put `files` into the proxy's folder and into the proxy; its reason when it refuses."""
    wanted = files.by_kind
    before = {kind: _read(proxy, kind) for kind in wanted}
    untried = False
    if before != wanted:
        _begin(files, proxy)
        untried = await _is_one_table(before, wanted, proxy)
        if not untried and (reason := await _objection(files, proxy)) is not None:
            return reason
        for kind, content in files.tables:
            # A listener names the file of its routes, so it has to be there first.
            if before[kind] is None:
                _replace(proxy, f"{kind}.json", content)
    _replace(proxy, proxy.bootstrap.name, files.bootstrap)
    away: admin.ProxyAway | None = None
    for kind, content in _steps(before["cds"], wanted):
        try:
            await _step(proxy, kind, content)
        except admin.ProxyAway as gone:
            away = gone
        except Refused as refused:
            _put_back(before, proxy)
            # Of a table the running proxy says that it refused it, and not why.
            return (await _objection(files, proxy) if untried else None) or str(refused)
    if away is not None:
        # What nobody tried must not be what the proxy starts from.
        if untried and (reason := await _objection(files, proxy)) is not None:
            _put_back(before, proxy)
            return reason
        raise away
    return None


async def _objection(files: Files, proxy: Proxy) -> str | None:
    return await objection(await asyncio.to_thread(lambda: files.trial), _scratch(proxy))


def _put_back(before: Mapping[Kind, bytes | None], proxy: Proxy) -> None:
    for kind, good in before.items():
        if good is not None:
            _replace(proxy, f"{kind}.json", good)


async def _is_one_table(before: Mapping[Kind, bytes | None], wanted: Mapping[Kind, bytes], proxy: Proxy) -> bool:
    """Whether nothing but one table of routes is new to a proxy that is up and holds all the rest."""
    changed = [kind for kind, content in wanted.items() if before[kind] != content]
    if len(changed) != 1 or changed[0] in ("cds", "lds"):
        return False
    (kind,) = changed
    # What a running proxy does not ask of a table: that the services which it names are there.
    services = {cluster["name"].encode() for cluster in orjson.loads(wanted["cds"])["resources"]}
    if not {one[1] for one in _CLUSTER.finditer(wanted[kind])} <= services:
        return False
    try:
        standing = await admin.standing(proxy.admin)
    except admin.ProxyAway:
        return False
    return all(old is not None and standing[each].version == version_of(old) for each, old in before.items())


def make_folder(proxy: Proxy) -> str:
    """The private folder of the proxy, with the exchange secret, which is returned."""
    proxy.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    proxy.admin.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path_of(proxy).parent.mkdir(mode=0o700, exist_ok=True)
    standing = proxy.admin.parent.stat()
    if standing.st_uid != os.getuid():
        raise PermissionError("the folder of the admin socket belongs to someone else")
    ensure_ledger(proxy.ledger)
    ensure_blocked(proxy.blocked)
    return keep_secret(proxy.secret)


async def prepare(snapshot: Snapshot, keys: str, proxy: Proxy) -> None:
    """Write everything Envoy needs to start, before it or the control process runs.

    Raises `Refused` when Envoy would not take it; files from before then stay as they are.
    """
    make_folder(proxy)
    files = await asyncio.to_thread(translate, snapshot, keys, proxy)
    _begin(files, proxy)
    reason = await _objection(files, proxy)
    if reason is not None:
        raise Refused(reason)
    contents = sorted(files.by_kind.items(), key=lambda one: one[0] == "lds")
    for kind, content in contents:
        _replace(proxy, f"{kind}.json", content)
    _replace(proxy, proxy.bootstrap.name, files.bootstrap)


@dataclass(slots=True)
class Deliverer:
    """Watches the newest version and the signing keys, and keeps one proxy up to date.

    `serving` is the version that the proxy serves as far as is known, with the digest of its snapshot, which is
    `snapshot`.
    """

    source: Source
    proxy: Proxy
    clock: Callable[[], datetime]
    current: Delivery | None = field(default=None, init=False)
    serving: tuple[int, str] = field(default=(0, ""), init=False)
    snapshot: Snapshot | None = field(default=None, init=False)
    _settled: tuple[int, str] | None = field(default=None, init=False)
    _tried_at: float = field(default=0.0, init=False)

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set. A source or a proxy that is away is met by trying again."""
        while not stop.is_set():
            try:
                await self.turn()
            except admin.ProxyAway:
                log.debug("proxy_away", proxy=self.proxy.name)
            except Exception:  # the edge of a process: the next turn tries again
                log.exception("delivery_failed", proxy=self.proxy.name)
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async def turn(self) -> Delivery | None:
        """Deliver once if anything changed; what the proxy said, or None when nothing was to do."""
        seen = await self.source.mark()
        if seen is None or (seen == self._settled and not self._is_time_again()):
            return None
        offer = await self.source.latest()
        if offer is None:
            return None
        if offer.revocation is not None:
            self.proxy = replace(self.proxy, revocation=offer.revocation)
        said = await self._put(offer)
        if said.status == "rejected":
            await self._renew_the_last_good(offer)
        else:
            self.serving = said.version, offer.digest
            self.snapshot = offer.snapshot
        self.current = said
        self._settled = offer.mark
        self._tried_at = asyncio.get_running_loop().time()
        if offer.snapshot.version > 0:
            await self.source.record(said, now=self.clock())
        log.info("delivered", proxy=said.proxy, version=said.version, status=said.status, reason=said.reason)
        return said

    async def _put(self, offer: Offer) -> Delivery:
        """What became of it; a folder that cannot be written, because the disk is full, refuses as a proxy does."""
        try:
            return await put(offer.snapshot, offer.keys, self.proxy)
        except OSError as failure:
            reason = f"the gateway's folder cannot be written: {failure.strerror or 'unknown error'}"
            return Delivery(self.proxy.name, offer.snapshot.version, "rejected", reason)

    async def _renew_the_last_good(self, refused: Offer) -> None:
        """Bring today's keys to the version that the proxy holds: a refused one must not keep it on old keys."""
        good = await self.source.last_good()
        if good is None or good.snapshot.version == refused.snapshot.version:
            return
        said = await self._put(replace(good, keys=refused.keys))
        self.serving = said.version, good.digest
        self.snapshot = good.snapshot
        if said.status == "rejected":
            log.error("last_good_refused", proxy=said.proxy, version=said.version, reason=said.reason)

    def _is_time_again(self) -> bool:
        """A refusal may have had a passing cause, such as a port in use: it is tried again now and then."""
        refused = self.current is not None and self.current.status == "rejected"
        return refused and asyncio.get_running_loop().time() - self._tried_at > _RETRY_SECONDS


def _steps(before: bytes | None, wanted: dict[Kind, bytes]) -> list[tuple[Kind, bytes]]:
    """Files in the order Envoy should see them: a service goes only after the last route to it went."""
    tables = [(kind, content) for kind, content in wanted.items() if kind not in ("cds", "lds")]
    steps: list[tuple[Kind, bytes]] = [("cds", wanted["cds"]), ("lds", wanted["lds"]), *tables]
    kept = {cluster["name"] for cluster in orjson.loads(wanted["cds"])["resources"]}
    old = orjson.loads(before)["resources"] if before is not None else []
    leaving = [cluster for cluster in old if cluster["name"] not in kept]
    if not leaving:
        return steps
    both = discovery([*orjson.loads(wanted["cds"])["resources"], *leaving])
    return [("cds", both), *steps[1:], ("cds", wanted["cds"])]


async def _step(proxy: Proxy, kind: Kind, content: bytes) -> None:
    """One file, and the proxy's word on it. Raises `Refused`, `admin.ProxyAway`."""
    version = version_of(content)
    try:
        before = (await admin.standing(proxy.admin))[kind]
    except admin.ProxyAway:
        await asyncio.to_thread(_replace, proxy, f"{kind}.json", content)
        raise
    if before.version == version and _read(proxy, kind) == content:
        return
    await asyncio.to_thread(_replace, proxy, f"{kind}.json", content)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE_SECONDS
    while loop.time() < deadline:
        now = (await admin.standing(proxy.admin))[kind]
        if now.version == version:
            return
        if now.rejected > before.rejected:
            raise Refused("; ".join(await admin.objections(proxy.admin)) or "the proxy gave no reason")
        await asyncio.sleep(_ASK_AGAIN_SECONDS)
    raise Refused("the proxy did not take the update in time")


def put_endpoints(content: bytes, proxy: Proxy) -> None:
    """The endpoints that services announced (`envoy/endpoints.py`); they change without any version."""
    _replace(proxy, endpoints.FILE, content)


def _begin(files: Files, proxy: Proxy) -> None:
    """Envoy takes no configuration that names a file which is not there."""
    if not (proxy.folder / endpoints.FILE).exists():
        put_endpoints(discovery([]), proxy)
    begin_secrets(files.certificates, proxy)


def _read(proxy: Proxy, kind: Kind) -> bytes | None:
    try:
        return (proxy.folder / f"{kind}.json").read_bytes()
    except FileNotFoundError:
        return None


def _scratch(proxy: Proxy) -> Path:
    return proxy.folder / "scratch"


def _replace(proxy: Proxy, name: str, content: bytes) -> None:
    """A file, whole or not at all, private; nothing happens when it is as wanted already."""
    target = proxy.folder / name
    if target.exists() and target.read_bytes() == content:
        return
    scratch = _scratch(proxy)
    scratch.mkdir(mode=0o700, exist_ok=True)
    fresh = scratch / name
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(target)
