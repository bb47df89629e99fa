"""`kronborg webhook …`: where events are sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from kronborg.audit import webhooks
from kronborg.audit.model import Delivery, Webhook, WebhookDraft
from kronborg.audit.webhooks_store import find_webhook, list_deliveries, list_webhooks
from kronborg.cli.options import DataOption, FileOption, YesOption, confirm, duration
from kronborg.cli.output import JsonOption, print_one, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.errors import NotFound
from kronborg.core.whole import whole
from kronborg.gateway.declare.installation import Installation

webhook_commands = typer.Typer(help="Webhooks: where events are sent, signed.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(metavar="NAME")]


def _row(webhook: Webhook) -> dict[str, object]:
    return {
        "name": webhook.name,
        "url": webhook.url,
        "events": webhook.events,
        "checkpoints": webhook.checkpoints,
        "disabled": webhook.disabled,
        "disabled_why": webhook.disabled_why,
        "failing_since": webhook.failing_since,
        "created_at": webhook.created_at,
        "updated_at": webhook.updated_at,
    }


@webhook_commands.command("list")
def webhook_list(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List webhooks by name."""

    async def work(installation: Installation) -> Sequence[Webhook]:
        async with installation.database.read() as session:
            return await list_webhooks(session)

    rows = [_row(one) for one in with_store(find_settings(file, data), work)]
    print_rows(rows, as_json=as_json, columns=("name", "url", "events", "disabled", "failing_since"))


@webhook_commands.command("save")
def webhook_save(
    name: NameArgument,
    url: Annotated[str, typer.Argument(help="Where events are sent: an https URL.")],
    event: Annotated[
        list[str] | None, typer.Option(help="user.created, user.* or *; may be repeated; all when absent.")
    ] = None,
    checkpoints: Annotated[bool, typer.Option("--checkpoints", help="Push signed checkpoints too.")] = False,
    disabled: Annotated[bool, typer.Option("--disabled", help="Send nothing for now.")] = False,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a webhook, or change the one of this name. The secret of a new one is shown this once."""
    draft = WebhookDraft(name, url, tuple(event or ("*",)), checkpoints, disabled)

    async def work(installation: Installation) -> tuple[Webhook, webhooks.NewSecret | None]:
        async with whole(installation.database) as session:
            return await webhooks.save_webhook(session, installation.vault, draft, actor=actor(), now=clock.now())

    saved, made = with_store(find_settings(file, data), work)
    shown = _row(saved) if made is None else {**_row(saved), "secret": made.text}
    print_one(shown, as_json=as_json)
    if made is not None and not as_json:
        typer.echo("The secret is shown this once.", err=True)


@webhook_commands.command("secret")
def webhook_secret(
    name: NameArgument,
    overlap: Annotated[str, typer.Option(help="How long the secret of before still signs.")] = "1d",
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign with a new secret, shown this once."""
    span = duration(overlap)

    async def work(installation: Installation) -> webhooks.NewSecret:
        async with whole(installation.database) as session:
            return await webhooks.rotate_secret(
                session, installation.vault, name, actor=actor(), now=clock.now(), overlap=span
            )

    print_one({"name": name, "secret": with_store(find_settings(file, data), work).text}, as_json=as_json)


@webhook_commands.command("test")
def webhook_test(name: NameArgument, file: FileOption = None, data: DataOption = None) -> None:
    """Send it a message that says nothing happened; the worker does so within a second."""

    async def work(installation: Installation) -> str:
        return await webhooks.send_test(installation.database, name, now=clock.now())

    typer.echo(with_store(find_settings(file, data), work))


@webhook_commands.command("deliveries")
def webhook_deliveries(
    name: NameArgument,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """What it was sent and how that went, newest first."""

    async def work(installation: Installation) -> Sequence[Delivery]:
        async with installation.database.read() as session:
            webhook = await find_webhook(session, name)
            if webhook is None:
                raise NotFound("there is no webhook with this name")
            return await list_deliveries(session, webhook.id, before=None, limit=limit)

    rows: list[dict[str, object]] = [
        {
            "id": one.id,
            "message_id": one.message_id,
            "name": one.name,
            "state": one.state,
            "attempts": one.attempts,
            "status": one.status,
            "result": one.result,
            "latency_ms": one.latency_ms,
            "created_at": one.created_at,
            "next_at": one.next_at if one.state == "pending" else None,
        }
        for one in with_store(find_settings(file, data), work)
    ]
    columns = ("id", "created_at", "name", "state", "attempts", "status", "latency_ms", "result", "next_at")
    print_rows(rows, as_json=as_json, columns=columns)


@webhook_commands.command("retry")
def webhook_retry(
    name: NameArgument,
    delivery: Annotated[str, typer.Argument(help="The id of the delivery.")],
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Send a message once more, now."""

    async def work(installation: Installation) -> None:
        await webhooks.retry_now(installation.database, name, delivery, now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("It is sent again within a second.")


@webhook_commands.command("delete")
def webhook_delete(
    name: NameArgument, yes: YesOption = False, file: FileOption = None, data: DataOption = None
) -> None:
    """Remove a webhook with its secrets and its log."""
    confirm("Remove this webhook?", yes=yes)

    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            await webhooks.remove_webhook(session, name, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("Removed.")
