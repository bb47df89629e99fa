"""Questions to Envoy's admin socket: which versions it runs, what it refused and why."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

import orjson

_PREFIXES = {"cluster_manager.cds": "cds", "listener_manager.lds": "lds"}
_TABLE = "http.gateway.rds.routes"
_SECONDS = 5


class ProxyAway(Exception):
    """The proxy's admin socket does not answer: it is not running, or starting, or stopping."""


@dataclass(frozen=True, slots=True)
class Standing:
    """For one kind of file: the version in use, and how many updates were refused so far."""

    version: str = ""
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """How the proxy itself is: its version, whether it serves, seconds it is up, open connections, requests so far."""

    version: str = ""
    live: bool = False
    uptime: int = 0
    connections: int = 0
    requests: int = 0


async def facts(admin: Path) -> Facts:
    """How the proxy is; the plain one of `Facts` when it does not answer."""
    try:
        about = orjson.loads(await _get(admin, "/server_info"))
        stats = await _get(admin, "/stats?filter=^http\\.gateway\\.downstream_(cx_active|rq_total)$")
    except (ProxyAway, orjson.JSONDecodeError):
        return Facts()
    numbers = {
        name.rpartition(".")[2]: int(value)
        for name, _, value in (line.partition(": ") for line in stats.decode(errors="replace").splitlines())
        if value.isdecimal()
    }
    told = str(about.get("version", "")).split("/")
    return Facts(
        version=told[1] if len(told) > 1 else "",
        live=about.get("state") == "LIVE",
        uptime=int(str(about.get("uptime_current_epoch", "0")).rstrip("s").partition(".")[0] or 0),
        connections=numbers.get("downstream_cx_active", 0),
        requests=numbers.get("downstream_rq_total", 0),
    )


async def standing(admin: Path) -> Mapping[str, Standing]:
    """The proxy's standing for `cds`, `lds` and each table of routes, by the names of their files; of what it does not
    know yet, the plain one. Raises `ProxyAway`."""
    body = await _get(admin, "/stats?filter=(version_text|update_rejected)$")
    found: defaultdict[str, Standing] = defaultdict(Standing)
    for line in body.decode(errors="replace").splitlines():
        name, _, value = line.partition(": ")
        subject, _, what = name.rpartition(".")
        kind = _PREFIXES.get(subject)
        if kind is None and subject.startswith(_TABLE):
            kind = "rds" + subject.removeprefix(_TABLE)
        if kind is None:
            continue
        if what == "version_text":
            found[kind] = replace(found[kind], version=value.strip('"'))
        else:
            found[kind] = replace(found[kind], rejected=int(value))
    return found


async def reopen_logs(admin: Path) -> None:
    """Have the proxy close its logs and open them anew by their names. Raises `ProxyAway`."""
    await _get(admin, "/reopen_logs", method="POST")


async def is_ready(admin: Path) -> bool:
    """Whether the proxy is up and serves."""
    try:
        return (await _get(admin, "/ready")).strip() == b"LIVE"
    except ProxyAway:
        return False


async def objections(admin: Path) -> tuple[str, ...]:
    """Envoy's own reasons for the updates it refused last."""
    dump = orjson.loads(await _get(admin, "/config_dump"))
    found: list[str] = []
    _collect(dump, found)
    return tuple(found)


def _collect(value: object, found: list[str]) -> None:
    if isinstance(value, dict):
        state = value.get("error_state")
        if isinstance(state, dict) and isinstance(state.get("details"), str):
            found.append(state["details"])
        for part in value.values():
            _collect(part, found)
    elif isinstance(value, list):
        for part in value:
            _collect(part, found)


async def read_json(admin: Path, target: str) -> object:
    """What the admin socket answers, parsed. Raises `ProxyAway`."""
    try:
        return orjson.loads(await _get(admin, target))
    except orjson.JSONDecodeError as broken:
        raise ProxyAway("the admin socket gave no JSON") from broken


async def set_runtime(admin: Path, values: Mapping[str, str]) -> None:
    """Set keys of the runtime; an empty value takes a key away. Raises `ProxyAway`."""
    if values:
        await _get(admin, f"/runtime_modify?{urlencode(values)}", method="POST")


async def _get(admin: Path, target: str, *, method: str = "GET") -> bytes:
    """The body of an answer over the socket. HTTP/1.0, so that it ends with the connection."""
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(admin))
            try:
                asked = f"{method} {target} HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\n"
                writer.write(f"{asked}Connection: close\r\n\r\n".encode())
                await writer.drain()
                answer = await reader.read(-1)
            finally:
                writer.close()
    except (OSError, TimeoutError) as failure:
        raise ProxyAway("the admin socket does not answer") from failure
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        body = _joined(body)
    return body


def _joined(chunks: bytes) -> bytes:
    """The content of a chunked body."""
    content = b""
    while chunks:
        size, _, rest = chunks.partition(b"\r\n")
        length = int(size or b"0", 16)
        if length == 0:
            break
        content += rest[:length]
        chunks = rest[length + 2 :]
    return content
