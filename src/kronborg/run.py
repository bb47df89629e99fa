"""Runs one process of the product in this process: what the supervisor starts, and what a fleet runs alone.

    python -m kronborg.run identity|control|worker|edge [--file kronborg.yaml] [--data FOLDER]

Imports are made per process, so that the worker does not carry the pages and control not the admin API.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from pathlib import Path

from kronborg.config import Settings, load_settings
from kronborg.core.errors import Invalid
from kronborg.core.log import configure
from kronborg.server import run_until_signalled

PROCESSES = ("identity", "control", "worker", "edge")


def run(process: str, settings: Settings, own: socket.socket | None = None) -> None:
    """Serve until SIGTERM or SIGINT; the identity process on its `own` socket too (`server.serve`)."""
    configure(process, level=settings.log_level)

    async def main(stop: asyncio.Event) -> None:
        match process:
            case "identity":
                from kronborg.app import identity

                await identity(settings, stop, own)
            case "control":
                from kronborg.control import control

                await control(settings, stop)
            case "edge":
                from kronborg.edge import edge

                await edge(settings, stop)
            case _:
                from kronborg.worker import worker

                await worker(settings, stop)

    run_until_signalled(main)


def main() -> int:
    """Parse the arguments and run; a setting that cannot stand is exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m kronborg.run")
    parser.add_argument("process", choices=PROCESSES)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--own-socket", type=int, help="a listening socket that was inherited, for this process alone")
    arguments = parser.parse_args()
    os.umask(0o077)
    try:
        settings = load_settings(arguments.file, arguments.data)
        own = None if arguments.own_socket is None else socket.socket(fileno=arguments.own_socket)
        run(arguments.process, settings, own)
    except Invalid as invalid:
        for problem in invalid.problems:
            sys.stderr.write(f"{problem.where}: {problem.detail}: {problem.mend}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
