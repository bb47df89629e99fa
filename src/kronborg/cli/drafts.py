"""`kronborg draft …` and `kronborg version …`: changes looked at before they are published, and the way back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from kronborg.cli.options import DataOption, FileOption, YesOption, confirm
from kronborg.cli.output import JsonOption, print_json, print_one, print_rows, shown
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.db import Session
from kronborg.core.errors import Invalid, Problem
from kronborg.core.whole import whole
from kronborg.gateway import drafts
from kronborg.gateway.access_model import NamedPolicy
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.objects import fields_of
from kronborg.gateway.declare.read import read_file
from kronborg.gateway.declare.route_section import route_of, service_of
from kronborg.gateway.declared_store import list_declared
from kronborg.gateway.difference import Difference
from kronborg.gateway.drafts import Looked
from kronborg.gateway.drafts_store import Draft, Kind, list_drafts
from kronborg.gateway.shared_policies import policy_problems
from kronborg.gateway.versions import compare_versions, roll_back, version_of
from kronborg.gateway.versions_store import Version, deliveries_of, list_versions

draft_commands = typer.Typer(help="Changes that nobody is served by yet.", no_args_is_help=True)
version_commands = typer.Typer(help="What was published, and the way back.", no_args_is_help=True)

T = TypeVar("T")
NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
NumberArgument = Annotated[int, typer.Argument(metavar="VERSION", min=1)]
CommentOption = Annotated[str, typer.Option("--comment", "-m", help="Told in the list of versions.")]
KindArgument = Annotated[str, typer.Argument(metavar="service|route|policy")]


def _change(file: Path | None, data: Path | None, work: Callable[[Installation, Session], Awaitable[T]]) -> T:
    async def run(installation: Installation) -> T:
        async with whole(installation.database) as session:
            return await work(installation, session)

    return with_store(find_settings(file, data), run)


@draft_commands.command("list")
def draft_list(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List drafts."""

    async def work(installation: Installation) -> tuple[Draft, ...]:
        async with installation.database.read() as session:
            return await list_drafts(session)

    rows = [asdict(one) for one in with_store(find_settings(file, data), work)]
    print_rows(rows, as_json=as_json, columns=("name", "comment", "changes", "base", "author", "updated_at"))


@draft_commands.command("create")
def draft_create(
    name: NameArgument, comment: CommentOption = "", file: FileOption = None, data: DataOption = None
) -> None:
    """Begin a draft."""

    async def work(_: Installation, session: Session) -> Draft:
        return await drafts.make_draft(session, name, comment=comment, actor=actor(), now=clock.now())

    _change(file, data, work)
    typer.echo(f"The draft {name} is there.")


@draft_commands.command("put")
def draft_put(
    name: NameArgument,
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A kronborg.yaml with services, routes, policies.")],
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Put the services, routes and policies of a file into a draft. What the file does not name stays as it is."""
    loaded = read_file(source)
    apis = {api: section.audience for api, section in loaded.document.apis.items()}
    services = {one: service_of(one, section) for one, section in loaded.document.services.items()}
    sections = loaded.document.routes

    async def work(_: Installation, session: Session) -> None:
        # A short name means an API of this file, or one that was applied before.
        known = {one.label: one.key for one in await list_declared(session) if one.kind == "api"} | apis
        for one, service in services.items():
            await drafts.wish(session, name, "service", one, service, actor=actor(), now=clock.now())
        for one, section in sections.items():
            route = route_of(one, section, audience=known.get(section.audience or "", section.audience))
            await drafts.wish(session, name, "route", one, route, actor=actor(), now=clock.now())
        for one, text in loaded.document.policies.items():
            policy = NamedPolicy(one, text)
            if problems := tuple(policy_problems(policy)):
                raise Invalid(*problems)
            await drafts.wish(session, name, "policy", one, policy, actor=actor(), now=clock.now())

    _change(file, data, work)
    typer.echo(f"{len(services)} services and {len(sections)} routes looked at; see kronborg draft show {name}.")


@draft_commands.command("remove")
def draft_remove(
    name: NameArgument,
    kind: KindArgument,
    subject: Annotated[str, typer.Argument(metavar="OBJECT")],
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Let the draft remove a service, a route or a shared policy."""

    async def work(_: Installation, session: Session) -> None:
        await drafts.wish(session, name, _kind(kind), subject, None, actor=actor(), now=clock.now())

    _change(file, data, work)
    typer.echo(f"The draft removes the {kind} {subject}.")


@draft_commands.command("undo")
def draft_undo(
    name: NameArgument,
    kind: KindArgument,
    subject: Annotated[str, typer.Argument(metavar="OBJECT")],
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Take what a draft wants of one object out of it."""

    async def work(_: Installation, session: Session) -> None:
        await drafts.undo(session, name, _kind(kind), subject, now=clock.now())

    _change(file, data, work)
    typer.echo("Taken out.")


@draft_commands.command("show")
def draft_show(
    name: NameArgument, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show what publishing a draft would change, what that opens and closes, and what is in its way."""

    async def work(installation: Installation) -> Looked:
        async with installation.database.read() as session:
            return await drafts.look(session, name, issuer=installation.issuer, gateway_url=installation.gateway_url)

    looked = with_store(find_settings(file, data), work)
    if as_json:
        print_json(
            {
                "draft": asdict(looked.draft),
                "published": looked.published,
                "difference": asdict(looked.difference),
                "problems": [asdict(one) for one in looked.problems],
                "clashes": [{"kind": one.kind, "name": one.name} for one in looked.clashes],
                "ready": looked.ready,
                "digest": looked.digest,
            }
        )
        return
    _print_difference(looked.difference)
    for problem in looked.problems:
        typer.echo(f"problem: {problem.where} {problem.detail}" + (f": {problem.mend}" if problem.mend else ""))
    for clash in looked.clashes:
        typer.echo(f"clash: somebody changed the {clash.kind} {clash.name} since; see kronborg draft rebase")
    typer.echo("It can be published." if looked.ready else "It cannot be published now.")


@draft_commands.command("rebase")
def draft_rebase(name: NameArgument, file: FileOption = None, data: DataOption = None) -> None:
    """Take what is published now as what the draft's changes were decided against."""

    async def work(_: Installation, session: Session) -> None:
        await drafts.rebase(session, name, now=clock.now())

    _change(file, data, work)
    typer.echo("The draft stands on what is published now.")


@draft_commands.command("publish")
def draft_publish(
    name: NameArgument,
    comment: CommentOption = "",
    digest: Annotated[str | None, typer.Option(help="Publish only what show --json gave this digest.")] = None,
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Publish a draft as one version; it is gone then."""

    async def work(installation: Installation, session: Session) -> int:
        published = await drafts.publish_draft(
            session,
            name,
            issuer=installation.issuer,
            gateway_url=installation.gateway_url,
            actor=actor(),
            now=clock.now(),
            comment=comment,
            digest=digest,
        )
        return published.version

    typer.echo(f"Published as version {_change(file, data, work)}.")


@draft_commands.command("discard")
def draft_discard(name: NameArgument, yes: YesOption = False, file: FileOption = None, data: DataOption = None) -> None:
    """Throw a draft away."""
    confirm("Discard this draft?", yes=yes)

    async def work(_: Installation, session: Session) -> None:
        await drafts.discard(session, name, actor=actor(), now=clock.now())

    _change(file, data, work)
    typer.echo("Discarded.")


@version_commands.command("list")
def version_list(
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List versions, the newest first, with what the gateways said."""

    async def work(installation: Installation) -> list[dict[str, object]]:
        async with installation.database.read() as session:
            found: tuple[Version, ...] = await list_versions(session, limit=limit)
            said = await deliveries_of(session, [one.number for one in found])
        return [
            {**asdict(one), "gateways": [f"{word.proxy}: {word.status}" for word, _ in said.get(one.number, ())]}
            for one in found
        ]

    rows = with_store(find_settings(file, data), work)
    print_rows(
        rows, as_json=as_json, columns=("number", "created_at", "author", "comment", "services", "routes", "gateways")
    )


@version_commands.command("show")
def version_show(
    number: NumberArgument, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show the services, routes and shared policies of a version."""

    async def work(installation: Installation) -> dict[str, object]:
        async with installation.database.read() as session:
            found = await version_of(session, number)
        snapshot = found.snapshot
        told: dict[str, object] = {
            "version": number,
            "author": found.author,
            "comment": found.comment,
            "created_at": found.created_at,
            "digest": found.digest,
        }
        if not as_json:
            services, routes = [one.name for one in snapshot.services], [one.name for one in snapshot.routes]
            return {**told, "services": services, "routes": routes, "policies": [p.name for p in snapshot.policies]}
        content = {one.name: dict(fields_of(one)) for one in snapshot.services}
        told["policies"] = {one.name: {"text": one.text} for one in snapshot.policies}
        return {**told, "services": content, "routes": {one.name: dict(fields_of(one)) for one in snapshot.routes}}

    print_one(with_store(find_settings(file, data), work), as_json=as_json)


@version_commands.command("diff")
def version_diff(
    number: NumberArgument,
    since: Annotated[int | None, typer.Option(min=0, help="The version to compare with; the one before.")] = None,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a version changed, and what that opened and closed."""

    async def work(installation: Installation) -> Difference:
        async with installation.database.read() as session:
            return await compare_versions(session, number - 1 if since is None else since, number)

    found = with_store(find_settings(file, data), work)
    if as_json:
        print_json(asdict(found))
        return
    _print_difference(found)


@version_commands.command("rollback")
def version_rollback(
    number: NumberArgument,
    comment: CommentOption = "",
    yes: YesOption = False,
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Publish services, routes and shared policies of an old version once more, as a new one."""
    confirm("Go back to this version?", yes=yes)

    async def work(installation: Installation, session: Session) -> int:
        published = await roll_back(
            session,
            number,
            issuer=installation.issuer,
            gateway_url=installation.gateway_url,
            actor=actor(),
            now=clock.now(),
            comment=comment,
        )
        return published.version

    typer.echo(f"Version {number} is published once more, as version {_change(file, data, work)}.")


def _kind(text: str) -> Kind:
    if text == "service":
        return "service"
    if text == "route":
        return "route"
    if text == "policy":
        return "policy"
    raise Invalid(Problem("kind", "is unknown", "write service, route or policy"))


def _print_difference(found: Difference) -> None:
    signs = {"create": "+", "update": "~", "delete": "-"}
    for change in found.changes:
        typer.echo(f"{signs[change.action]} {change.kind} {shown(change.name)}")
        for field in change.fields:
            before = "" if change.action == "create" else f"{shown(field.before)} → "
            typer.echo(f"    {field.name}: {before}{shown(field.after)}")
    for word in found.words:
        typer.echo(f"{word.weight}: {word.kind} {shown(word.name)} {shown(word.text)}")
    if not found:
        typer.echo("Nothing differs.")
