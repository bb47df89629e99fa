"""`kronborg organisation …`: companies, their domains, their members."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from kronborg.accounts.model import Member, Organisation, domain_name
from kronborg.accounts.organisations import (
    TXT,
    OrganisationDraft,
    add_member,
    create_organisation,
    delete_organisation,
    remove_member,
    update_organisation,
)
from kronborg.accounts.organisations_store import find_organisation_by_slug, list_members, list_organisations
from kronborg.cli.options import DataOption, FileOption, LimitOption, SearchOption, YesOption, confirm
from kronborg.cli.output import JsonOption, print_one, print_rows
from kronborg.cli.people import Who, found_user
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.db import ReadSession
from kronborg.core.errors import NotFound
from kronborg.core.whole import whole
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.objects import fields_of

organisation_commands = typer.Typer(help="Organisations: companies, their domains and members.", no_args_is_help=True)

Slug = Annotated[str, typer.Argument(metavar="NAME", help="The short name.")]
DomainOption = Annotated[list[str] | None, typer.Option("--domain", help="A domain of theirs; may be repeated.")]
NameOption = Annotated[str | None, typer.Option(help="The full name.")]
ProviderOption = Annotated[str | None, typer.Option(help="The identity provider its people sign in with, by name.")]


def _row(one: Organisation) -> dict[str, object]:
    return {"id": one.id, "slug": one.slug, **fields_of(one), "created_at": one.created_at}


async def _found(session: ReadSession, slug: str) -> Organisation:
    one = await find_organisation_by_slug(session, slug)
    if one is None:
        raise NotFound("there is no such organisation")
    return one


def _draft(one: Organisation) -> OrganisationDraft:
    names = tuple(domain.name for domain in one.domains)
    verified = tuple(domain.name for domain in one.domains if domain.verified)
    return OrganisationDraft(one.slug, one.name, one.provider, names, verified)


@organisation_commands.command("list")
def organisation_list(
    search: SearchOption = "",
    limit: LimitOption = 200,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List organisations by short name."""

    async def work(installation: Installation) -> list[Organisation]:
        async with installation.database.read() as session:
            return list(await list_organisations(session, search=search, limit=min(limit, 200)))

    found = with_store(find_settings(file, data), work)
    columns = ("slug", "name", "domains", "pending_domains", "provider")
    print_rows([_row(one) for one in found], as_json=as_json, columns=columns)


@organisation_commands.command("show")
def organisation_show(
    slug: Slug, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one organisation."""

    async def work(installation: Installation) -> Organisation:
        async with installation.database.read() as session:
            return await _found(session, slug)

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)


@organisation_commands.command("create")
def organisation_create(
    slug: Slug,
    name: NameOption = None,
    domain: DomainOption = None,
    provider: ProviderOption = None,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an organisation. Its domains count once they are confirmed: `kronborg organisation confirm`."""
    draft = OrganisationDraft(slug, name or "", provider or "", tuple(domain or ()))

    async def work(installation: Installation) -> Organisation:
        async with whole(installation.database) as session:
            return await create_organisation(session, draft, actor=actor(), now=clock.now())

    made = with_store(find_settings(file, data), work)
    print_one(_row(made), as_json=as_json)
    if not as_json:
        for one in made.domains:
            typer.echo(f"TXT record that proves {one.name}: {TXT}{one.token}")


@organisation_commands.command("update")
def organisation_update(
    slug: Slug,
    name: NameOption = None,
    domain: DomainOption = None,
    provider: ProviderOption = None,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change an organisation; `--domain` names all its domains from now on."""

    async def work(installation: Installation) -> Organisation:
        async with whole(installation.database) as session:
            one = await _found(session, slug)
            draft = _draft(one)
            names = draft.domains if domain is None else tuple(domain)
            kept = {domain_name(text) for text in names}
            draft = replace(
                draft,
                name=draft.name if name is None else name,
                provider=draft.provider if provider is None else provider,
                domains=names,
                verified=tuple(text for text in draft.verified if text in kept),
            )
            return await update_organisation(session, one.id, draft, actor=actor(), now=clock.now())

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)


@organisation_commands.command("confirm")
def organisation_confirm(
    slug: Slug,
    domain: Annotated[str, typer.Argument(help="A domain of the organisation.")],
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Confirm that a domain is theirs; look for the token in its TXT record first."""

    async def work(installation: Installation) -> Organisation:
        async with whole(installation.database) as session:
            one = await _found(session, slug)
            draft = _draft(one)
            draft = replace(draft, verified=(*draft.verified, domain))
            return await update_organisation(session, one.id, draft, actor=actor(), now=clock.now())

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)


@organisation_commands.command("delete")
def organisation_delete(slug: Slug, yes: YesOption = False, file: FileOption = None, data: DataOption = None) -> None:
    """Remove an organisation; its members keep their accounts."""
    confirm("Remove this organisation?", yes=yes)

    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            one = await _found(session, slug)
            await delete_organisation(session, one.id, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("Removed.")


@organisation_commands.command("members")
def organisation_members(
    slug: Slug,
    search: SearchOption = "",
    limit: LimitOption = 200,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the members, in the order in which their accounts were made."""

    async def work(installation: Installation) -> list[Member]:
        found: list[Member] = []
        async with installation.database.read() as session:
            one = await _found(session, slug)
            while len(found) < limit:
                after = found[-1].user.id if found else ""
                size = min(200, limit - len(found))
                page = await list_members(session, (one.id,), search=search, after=after, limit=size)
                if not page:
                    break
                found += page
        return found

    members = with_store(find_settings(file, data), work)
    rows: list[dict[str, object]] = [
        {"id": one.user.id, "username": one.user.username, "name": one.user.name, "role": one.role} for one in members
    ]
    print_rows(rows, as_json=as_json, columns=("username", "name", "role"))


@organisation_commands.command("add")
def organisation_add(
    slug: Slug,
    who: Who,
    admin: Annotated[bool, typer.Option("--admin", help="They administer the organisation.")] = False,
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Make a person a member, or change what they are there."""

    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            one, user = await _found(session, slug), await found_user(session, who)
            role = "admin" if admin else "member"
            await add_member(session, one.id, user.id, role=role, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("They are a member.")


@organisation_commands.command("remove")
def organisation_remove(slug: Slug, who: Who, file: FileOption = None, data: DataOption = None) -> None:
    """Let a person be no member any more; the account stays."""

    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            one, user = await _found(session, slug), await found_user(session, who)
            await remove_member(session, one.id, user.id, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("They are no member any more.")
