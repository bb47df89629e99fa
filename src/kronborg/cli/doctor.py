"""`kronborg doctor`: a conformance self-check of the running installation, and of everything registered in it."""

from __future__ import annotations

import asyncio
import ssl
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx
import typer
from rich.console import Console
from rich.text import Text

from kronborg.cli import app
from kronborg.cli.doctor_clients import LOOPBACK, of_api, of_client, of_keys, of_route
from kronborg.cli.doctor_gateway import of_gateway
from kronborg.cli.doctor_model import SEVERITIES, Finding, exit_code, in_order
from kronborg.cli.doctor_server import Door, examine, old_tls
from kronborg.cli.options import DataOption, FileOption
from kronborg.cli.output import JsonOption, print_json
from kronborg.cli.store_access import NOT_REACHABLE, find_settings, with_store
from kronborg.clients.store import find_client, list_apis, list_clients
from kronborg.config import Settings
from kronborg.core import clock
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.store import list_routes
from kronborg.tokens.keys import KeyRing

CANNOT_RUN = 2
PAGE = 200
Progress = Callable[[str], None]
PATIENCE = 10.0
"""Seconds for each request to ourselves."""
_STYLES = {"error": "red", "warning": "yellow", "note": "dim"}


@app.command()
def doctor(
    file: FileOption = None,
    data: DataOption = None,
    offline: Annotated[bool, typer.Option("--offline", help="Look at the store only, and ask no endpoint.")] = False,
    ca_file: Annotated[
        Path | None, typer.Option(help="Trust these certificate authorities too, when asking the endpoints.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the running endpoints and every registered client against the specifications.

    Exits with 0 when there is no error among the findings, 1 when there is one, 2 when it cannot look.
    """
    settings = find_settings(file, data)
    try:
        found = with_store(settings, lambda installation: look_at_store(installation, progress))
    except typer.Exit as left:
        raise typer.Exit(CANNOT_RUN if left.exit_code == NOT_REACHABLE else left.exit_code) from None
    if not offline:
        found += with_store(settings, lambda installation: _look_at_gateway(settings, installation))
        try:
            found += asyncio.run(_look_at_door(settings, ca_file))
        except httpx.TransportError as error:
            progress("")
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            typer.echo(f"{settings.issuer} does not answer ({reason}): start it, or say --offline.", err=True)
            raise typer.Exit(CANNOT_RUN) from None
    progress("")
    report(in_order(found), as_json=as_json)
    raise typer.Exit(exit_code(found))


async def look_at_store(installation: Installation, progress: Progress) -> list[Finding]:
    """Every client, the keys and the routes."""
    now = clock.now()
    found: list[Finding] = []
    developing = urlsplit(installation.issuer).hostname in LOOPBACK
    progress("clients")
    after, seen = "", 0
    while True:
        async with installation.database.read() as session:
            page = await list_clients(session, after=after, limit=PAGE)
            whole = [await find_client(session, client.id) for client in page]
        for client in filter(None, whole):
            found += of_client(client, installation.profile, now=now, developing=developing)
        seen += len(page)
        progress(f"clients ({seen})")
        if len(page) < PAGE:
            break
        after = page[-1].id
    progress("keys and routes")
    found += of_keys(await KeyRing(installation.database, installation.vault).stored(), now=now)
    async with installation.database.read() as session:
        routes, apis = await list_routes(session), await list_apis(session)
    found += [finding for api in apis for finding in of_api(api, installation.profile)]
    return [*found, *(finding for route in routes for finding in of_route(route))]


async def _look_at_gateway(settings: Settings, installation: Installation) -> list[Finding]:
    progress("gateways")
    return await of_gateway(settings, installation.database, now=clock.now())


async def _look_at_door(settings: Settings, ca_file: Path | None) -> list[Finding]:
    trust = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    async with httpx.AsyncClient(verify=trust, timeout=PATIENCE, follow_redirects=False, trust_env=False) as http:
        found = await examine(Door(http, settings.issuer, clock.now), progress)
    return found + await old_tls(settings.issuer, _speaks_old_tls)


async def _speaks_old_tls(host: str, port: int) -> bool:
    def shake_hands() -> bool:
        import socket

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # naming the old versions is the point
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
            context.set_ciphers("ALL:@SECLEVEL=0")
            try:
                with socket.create_connection((host, port), PATIENCE) as plain, context.wrap_socket(plain):
                    return True
            except (OSError, ssl.SSLError):
                return False

    return await asyncio.to_thread(shake_hands)


def report(found: list[Finding], *, as_json: bool) -> None:
    """The findings, the worst first, and a line that counts them."""
    counts = {name: sum(1 for one in found if one.severity == name) for name in SEVERITIES}
    if as_json:
        print_json({"findings": [asdict(one) for one in found], "counts": counts})
        return
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for one in found:
        console.print(Text.assemble((f"{one.severity:<8}", _STYLES[one.severity]), f"{one.subject}: {one.detail}"))
        console.print(Text(f"        {one.clause}: {one.mend}", style="dim"))
    told = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items())
    console.print(Text(told if found else "Nothing found: as it should be."))


def progress(what: str) -> None:
    """Say what is looked at, on one line of a terminal; nothing anywhere else."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[KChecking {what} …" if what else "\r\x1b[K")
        sys.stderr.flush()
