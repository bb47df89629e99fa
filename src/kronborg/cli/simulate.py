"""`kronborg simulate`: what would a request get, and why; who may call a route. Nothing is sent."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from kronborg.cli.options import DataOption, FileOption
from kronborg.cli.output import JsonOption, print_json, print_rows
from kronborg.cli.store_access import find_settings, with_store
from kronborg.config import Settings
from kronborg.core import clock
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.model import METHODS, Route
from kronborg.gateway.reasons import REASONS
from kronborg.gateway.simulate_ask import Question, claims_for, snapshot_of, what_would_it_get, who_may
from kronborg.gateway.simulate_callers import Callers
from kronborg.gateway.simulate_nouns import STAGE_NAMES, Decision
from kronborg.gateway.simulate_rights import told_rights
from kronborg.opening import engine_for

simulate_commands = typer.Typer(help="What would a request get, and who may call?", no_args_is_help=True)

DraftOption = Annotated[str, typer.Option("--draft", help="Ask a draft in place of what is published.")]
Many = list[str] | None


@simulate_commands.command("request")
def simulate_request(
    method: Annotated[str, typer.Argument(metavar="METHOD")],
    url: Annotated[str, typer.Argument(metavar="URL", help="A path, or https://host/path.")],
    token: Annotated[
        str | None, typer.Option("--token", help="- reads a token from standard input; arguments are seen by others.")
    ] = None,
    audience: Annotated[str, typer.Option(help="In place of a token: the API of one,")] = "",
    scope: Annotated[str, typer.Option(help="its scopes, in one argument,")] = "",
    role: Annotated[Many, typer.Option(help="its roles,")] = None,
    client: Annotated[str, typer.Option(help="its client,")] = "",
    claims: Annotated[str, typer.Option(help="or all it says, as JSON.")] = "",
    header: Annotated[Many, typer.Option("--header", "-H", help="name: value; may be repeated.")] = None,
    address: Annotated[str, typer.Option(help="Where it comes from.")] = "",
    body: Annotated[int, typer.Option(min=0, help="The size of its body.")] = 0,
    draft: DraftOption = "",
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the gateway would do with a request, stage by stage. Exits with 3 when it would refuse."""
    settings = find_settings(file, data)
    told = claims or (claims_for(audience, scope, " ".join(role or ()), client) if audience else "")
    pairs = tuple((name, value) for name, _, value in (line.partition(":") for line in header or ()))
    text = "" if token is None else sys.stdin.read(20_000) if token == "-" else token  # noqa: S105  # not a secret
    question = Question(method, url, text, told, pairs, address, body, draft)
    decision = _decide(settings, question)
    if as_json:
        print_json(asdict(decision))
    else:
        rows = [
            {"stage": STAGE_NAMES[step.stage], "outcome": step.outcome, "asked for": step.asked, "found": step.found}
            for step in decision.trail
            if step.outcome != "unused"
        ]
        print_rows(rows, as_json=False, columns=("stage", "outcome", "asked for", "found"))
        typer.echo(_told(decision))
    if decision.ending == "refused":
        raise typer.Exit(3)


@simulate_commands.command("callers")
def simulate_callers(
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="Its name, or a path that it takes.")],
    method: Annotated[str, typer.Option(help="One of " + ", ".join(METHODS))] = "GET",
    draft: DraftOption = "",
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which applications and people may call a route."""

    async def work(installation: Installation) -> tuple[Route, Callers]:
        async with installation.database.read() as session:
            snapshot = await snapshot_of(
                session, draft, issuer=installation.issuer, gateway_url=installation.gateway_url
            )
            path = route if "/" in route else ""
            return await who_may(session, snapshot, "" if path else route, method.upper(), path)

    found, callers = with_store(find_settings(file, data), work)
    if as_json:
        print_json({"route": found.name, "audience": found.audience, **asdict(callers)})
        return
    if callers.public:
        typer.echo(f"{found.name}: everyone, it is public.")
    elif not callers.takes_method:
        typer.echo(f"{found.name}: nobody, it does not take this method.")
    else:
        needs = told_rights(callers.rights)
        typer.echo(f"{found.name}: a token for {found.audience}." + ("" if needs == "." else f" {needs}"))
        print_rows(
            [asdict(one) for one in callers.clients], as_json=False, columns=("id", "name", "alone", "with_people")
        )
        for holders in callers.roles:
            groups = [f"group {name}" for _, name in holders.groups]
            people = [f"{name} (through {group})" if group else name for _, name, group in holders.people]
            names = [*groups, *people, *(["and more"] if holders.more_people else [])]
            typer.echo(f"role {holders.role}: {', '.join(names) or 'nobody'}")
        for sentence in callers.besides:
            typer.echo(sentence)


def _decide(settings: Settings, question: Question) -> Decision:
    async def work(installation: Installation) -> Decision:
        now = clock.now()
        engine = await engine_for(settings, installation.database, now=now)
        return await what_would_it_get(
            engine, question, gateway_url=installation.gateway_url, now=now, everywhere=settings.addresses
        )

    return with_store(settings, work)


def _told(decision: Decision) -> str:
    by = f" by the route {decision.route}" if decision.route else ""
    if decision.ending == "service":
        return f"It passes{by}: the service {decision.service} answers."
    if decision.ending == "gateway":
        return f"The gateway answers itself{by}: {decision.status}."
    meaning = REASONS[decision.reason].meaning if decision.reason in REASONS else ""
    return f"It is refused{by}: {decision.status} {decision.reason}. {meaning}".rstrip()
