"""Starts one service of the shop as a process of its own, on this machine's loopback address."""

import argparse
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette

from kronborg_sdk import Verifier
from kronborg_shop.settings import PORTS, Settings, add_flags, audience_of, read_settings

Build = Callable[[Settings, Verifier], FastAPI]


def run(service: str, build: Build, *, client_id: str = "") -> None:
    """Read flags and environment, then serve until told to stop."""
    parser = argparse.ArgumentParser(prog=f"python -m kronborg_shop.{service}")
    parser.add_argument("--port", type=int, default=PORTS[service])
    add_flags(parser, client_id=client_id)
    arguments = parser.parse_args()
    settings = read_settings(arguments)
    settings.folder.mkdir(parents=True, exist_ok=True)
    serve(build(settings, Verifier(settings.issuer, audience_of(service))), arguments.port)


def serve(app: Starlette, port: int) -> None:
    """Serve `app` on 127.0.0.1."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=3,
    )
