"""`kronborg service …` and `kronborg route …`: each change is published to the gateway, or refused as a whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from kronborg.cli.options import DataOption, FileOption, YesOption, confirm, duration
from kronborg.cli.output import JsonOption, print_one, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.db import Session
from kronborg.core.errors import Conflict, NotFound
from kronborg.core.whole import whole
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.objects import fields_of
from kronborg.gateway.limits_model import Per, SpikeArrest
from kronborg.gateway.model import Path as RoutePath
from kronborg.gateway.model import Route, Service
from kronborg.gateway.publish import publish_declared
from kronborg.gateway.routing import remove_route, remove_service, save_route, save_service
from kronborg.gateway.store import find_route, find_service, list_routes, list_services

service_commands = typer.Typer(help="Microservices behind the gateway.", no_args_is_help=True)
route_commands = typer.Typer(help="Ways through the gateway.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
Many = list[str] | None


def _row(thing: Service | Route) -> dict[str, object]:
    return {"name": thing.name, **fields_of(thing)}


def _publish(file: Path | None, data: Path | None, change: Callable[[Session], Awaitable[None]]) -> int:
    """Make a change and publish it in one transaction; the version the gateway is given."""

    async def work(installation: Installation) -> int:
        async with whole(installation.database) as session:
            await change(session)
            snapshot = await publish_declared(
                session,
                issuer=installation.issuer,
                gateway_url=installation.gateway_url,
                author=actor(),
                now=clock.now(),
            )
            return snapshot.version

    return with_store(find_settings(file, data), work)


@service_commands.command("list")
def service_list(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List services."""

    async def work(installation: Installation) -> tuple[Service, ...]:
        async with installation.database.read() as session:
            return await list_services(session)

    services = with_store(find_settings(file, data), work)
    print_rows([_row(one) for one in services], as_json=as_json, columns=("name", "urls", "http2", "connect_timeout"))


@service_commands.command("show")
def service_show(
    name: NameArgument, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one service."""

    async def work(installation: Installation) -> Service:
        async with installation.database.read() as session:
            service = await find_service(session, name)
        if service is None:
            raise NotFound("there is no service with this name")
        return service

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)


@service_commands.command("create")
def service_create(
    name: NameArgument,
    url: Annotated[list[str], typer.Option(help="Scheme, host and port; repeat it for replicas.")],
    http2: Annotated[bool, typer.Option("--http2", help="Speak HTTP/2 to it.")] = False,
    connect_timeout: Annotated[str, typer.Option()] = "1s",
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a microservice behind the gateway."""
    service = Service(name, tuple(url), http2=http2, connect_timeout=duration(connect_timeout))

    async def change(session: Session) -> None:
        if await find_service(session, name) is not None:
            raise Conflict("there is a service with this name")
        await save_service(session, service, actor=actor(), now=clock.now())

    version = _publish(file, data, change)
    print_one({**_row(service), "snapshot": version}, as_json=as_json)


@service_commands.command("delete")
def service_delete(
    name: NameArgument, yes: YesOption = False, file: FileOption = None, data: DataOption = None
) -> None:
    """Remove a service that no route needs."""
    confirm("Remove this service?", yes=yes)

    async def change(session: Session) -> None:
        await remove_service(session, name, actor=actor(), now=clock.now())

    typer.echo(f"Removed; the gateway has snapshot {_publish(file, data, change)}.")


@route_commands.command("list")
def route_list(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List routes with what each asks for."""

    async def work(installation: Installation) -> tuple[Route, ...]:
        async with installation.database.read() as session:
            return await list_routes(session)

    rows = [_row(one) for one in with_store(find_settings(file, data), work)]
    if not as_json:
        rows = [{**row, "path": row["path"] or f"{row['prefix']}…"} for row in rows]
    columns = ("name", "host", "path", "methods", "service", "public", "audience", "scopes", "roles")
    print_rows(rows, as_json=as_json, columns=columns)


@route_commands.command("show")
def route_show(
    name: NameArgument, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one route."""

    async def work(installation: Installation) -> Route:
        async with installation.database.read() as session:
            route = await find_route(session, name)
        if route is None:
            raise NotFound("there is no route with this name")
        return route

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)


@route_commands.command("create")
def route_create(
    name: NameArgument,
    service: Annotated[str, typer.Option(help="The service that answers.")],
    path: Annotated[str | None, typer.Option(help="This path and no other.")] = None,
    prefix: Annotated[str | None, typer.Option(help="This path and all below it.")] = None,
    host: Annotated[str | None, typer.Option()] = None,
    method: Annotated[Many, typer.Option(help="May be repeated; all when absent.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Let everyone through, without a token.")] = False,
    audience: Annotated[str | None, typer.Option(help="The audience URI whose tokens may pass.")] = None,
    scope: Annotated[Many, typer.Option(help="All are needed; may be repeated.")] = None,
    role: Annotated[Many, typer.Option(help="One is needed; may be repeated.")] = None,
    rate: Annotated[str | None, typer.Option(help="Spike arrest: 5ps or 12pm.")] = None,
    burst: Annotated[int, typer.Option(min=1)] = 1,
    per: Annotated[str, typer.Option(help="client, user, address or route.")] = "client",
    timeout: Annotated[str, typer.Option()] = "15s",
    cookies: Annotated[bool, typer.Option("--cookies", help="Pass cookies on.")] = False,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open a way through the gateway; it names an audience or is public, nothing is open by omission."""
    if (path is None) == (prefix is None):
        raise typer.BadParameter("name either --path or --prefix")
    if per not in get_args(Per):
        raise typer.BadParameter(f"--per is one of {', '.join(get_args(Per))}")
    counted = cast("Per", per)
    route = Route(
        name=name,
        path=RoutePath("exact", path) if path is not None else RoutePath("prefix", prefix or ""),
        service=service,
        host=host,
        methods=tuple(method or ()),
        public=public,
        audience=audience,
        scopes=tuple(scope or ()),
        roles=tuple(role or ()),
        spike_arrest=SpikeArrest(rate, burst, counted) if rate else None,
        timeout=duration(timeout),
        cookies=cookies,
    )

    async def change(session: Session) -> None:
        if await find_route(session, name) is not None:
            raise Conflict("there is a route with this name")
        await save_route(session, route, actor=actor(), now=clock.now())

    version = _publish(file, data, change)
    print_one({**_row(route), "snapshot": version}, as_json=as_json)


@route_commands.command("delete")
def route_delete(name: NameArgument, yes: YesOption = False, file: FileOption = None, data: DataOption = None) -> None:
    """Close a way through the gateway."""
    confirm("Remove this route?", yes=yes)

    async def change(session: Session) -> None:
        await remove_route(session, name, actor=actor(), now=clock.now())

    typer.echo(f"Removed; the gateway has snapshot {_publish(file, data, change)}.")
