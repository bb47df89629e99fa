"""`/console/webhooks`: where events are sent, how that went, and the secrets that sign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.audit import webhooks
from kronborg.audit.model import Delivery, Webhook, WebhookDraft
from kronborg.audit.webhooks_store import find_webhook, list_deliveries, list_webhooks
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole
from kronborg.sessions.console_pages import ConfirmPage, Paging, actor_of, asked, confirm, done_of, may, paged
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted

HOME = "/console/webhooks"
ROWS = 50
DONE = {
    "saved": "Saved. It holds from now on.",
    "tested": "A test message is on its way: see below in a moment.",
    "retried": "It is sent again within a second.",
    "removed": "The webhook is gone, and its log with it.",
}


@dataclass(frozen=True, slots=True)
class WebhooksPage(ConsolePage):
    """The list."""

    rows: tuple[Webhook, ...]
    may_write: bool
    done: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class WebhookForm(ConsolePage):
    """The form of a new one, or of one there is."""

    draft: WebhookDraft
    is_new: bool
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class WebhookPage(ConsolePage):
    """One webhook. `secret` is there once, when it was just made."""

    webhook: Webhook
    deliveries: Paging[Delivery]
    secret: str | None
    may_write: bool
    may_delete: bool
    done: str | None
    problem: str | None
    now: datetime


def routes() -> list[Route]:
    """Everything below `/console/webhooks`."""
    one = f"{HOME}/{{name}}"
    return [
        Route(HOME, show_webhooks, methods=["GET"]),
        Route(f"{HOME}/-/new", show_new, methods=["GET"]),
        Route(f"{HOME}/-/new", make, methods=["POST"]),
        Route(one, show_webhook, methods=["GET"]),
        Route(f"{one}/edit", show_edit, methods=["GET"]),
        Route(f"{one}/edit", change, methods=["POST"]),
        Route(f"{one}/test", send_test, methods=["POST"]),
        Route(f"{one}/secret", rotate, methods=["GET", "POST"]),
        Route(f"{one}/remove", remove, methods=["GET", "POST"]),
        Route(f"{one}/deliveries/{{delivery_id}}", retry, methods=["POST"]),
    ]


async def show_webhooks(request: Request) -> Response:
    """Every webhook."""
    found = await admitted(request, "webhooks:read", Resource("webhook"))
    if isinstance(found, Response):
        return found
    async with parts_of(request).database.read() as session:
        rows = tuple(await list_webhooks(session))
    page = WebhooksPage(found, "webhooks", rows, _may_write(request, found), _done(request), clock.now())
    return render(request, "audit/webhooks.html", page)


async def show_webhook(request: Request) -> Response:
    """One webhook and what it was sent."""
    found = await admitted(request, "webhooks:read", Resource("webhook"))
    return found if isinstance(found, Response) else await _page(request, found)


async def show_new(request: Request) -> Response:
    """The form of a new one."""
    found = await admitted(request, "webhooks:write", Resource("webhook"))
    if isinstance(found, Response):
        return found
    return render(request, "audit/webhook_form.html", WebhookForm(found, "webhooks", WebhookDraft("", ""), True))


async def make(request: Request) -> Response:
    """Make one; its secret is shown on the page that follows, and nowhere else."""
    return await _save(request, None)


async def show_edit(request: Request) -> Response:
    """The form of one there is."""
    found = await admitted(request, "webhooks:write", Resource("webhook"))
    if isinstance(found, Response):
        return found
    one = await _existing(request)
    draft = WebhookDraft(one.name, one.url, one.events, one.checkpoints, one.disabled)
    return render(request, "audit/webhook_form.html", WebhookForm(found, "webhooks", draft, False))


async def change(request: Request) -> Response:
    """Change one."""
    return await _save(request, str(request.path_params["name"])[:63])


async def _save(request: Request, name: str | None) -> Response:
    form = await checked_form(request)
    back = f"{HOME}/-/new" if name is None else f"{HOME}/{name}/edit"
    found = await admitted(request, "webhooks:write", Resource("webhook"), fresh=True, back=back)
    if isinstance(found, Response):
        return found
    if name is not None:
        await _existing(request)
    parts, draft = parts_of(request), _draft(form, name)
    try:
        async with whole(parts.database) as session:
            if name is None and await find_webhook(session, draft.name) is not None:
                raise Invalid(Problem("name", "there is a webhook with this name already", "take another"))
            actor = actor_of(found)
            _, made = await webhooks.save_webhook(session, parts.vault, draft, actor=actor, now=clock.now())
    except Invalid as refusal:
        page = WebhookForm(found, "webhooks", draft, name is None, refusal.problems)
        return render(request, "audit/webhook_form.html", page, status=422)
    if made is not None:
        return await _page(request, found, name=draft.name, secret=made.text)
    return redirect(request, f"{HOME}/{draft.name}?done=saved")


def _draft(form: Mapping[str, str], name: str | None) -> WebhookDraft:
    return WebhookDraft(
        name if name is not None else form.get("name", "").strip(),
        form.get("url", "").strip(),
        tuple(form.get("events", "").split()),
        form.get("checkpoints") == "1",
        form.get("disabled") == "1",
    )


async def send_test(request: Request) -> Response:
    """Send it a message that says nothing happened."""
    await checked_form(request)
    found = await admitted(request, "webhooks:write", Resource("webhook"), back=HOME)
    if isinstance(found, Response):
        return found
    one = await _existing(request)
    try:
        await webhooks.send_test(parts_of(request).database, one.name, now=clock.now())
    except Conflict as refusal:
        return await _page(request, found, problem=f"{refusal.detail[0].upper()}{refusal.detail[1:]}.")
    return redirect(request, f"{HOME}/{one.name}?done=tested")


async def retry(request: Request) -> Response:
    """Send a message once more, now."""
    await checked_form(request)
    found = await admitted(request, "webhooks:write", Resource("webhook"), back=HOME)
    if isinstance(found, Response):
        return found
    one, delivery_id = await _existing(request), str(request.path_params["delivery_id"])
    await webhooks.retry_now(parts_of(request).database, one.name, delivery_id, now=clock.now())
    return redirect(request, f"{HOME}/{one.name}?done=retried")


async def rotate(request: Request) -> Response:
    """Ask, then sign with a new secret, shown on the page that follows."""
    form = await checked_form(request) if request.method == "POST" else None
    one = f"{HOME}/{request.path_params['name']}"
    found = await admitted(request, "webhooks:write", Resource("webhook"), fresh=True, back=f"{one}/secret")
    if isinstance(found, Response):
        return found
    webhook, parts = await _existing(request), parts_of(request)
    if form is None:
        question = ConfirmPage(
            found,
            "webhooks",
            "New secret",
            "Messages are signed with a new secret from now on.",
            "Make a new secret",
            f"{one}/secret",
            one,
            effects=("The old secret signs beside it for a day: give the new one to the receiver until then.",),
            crumbs=(("Webhooks", HOME), (webhook.name, one)),
            danger=False,
        )
        return confirm(request, question)
    try:
        async with whole(parts.database) as session:
            actor, now = actor_of(found), clock.now()
            made = await webhooks.rotate_secret(session, parts.vault, webhook.name, actor=actor, now=now)
    except Conflict as refusal:
        return await _page(request, found, problem=f"{refusal.detail[0].upper()}{refusal.detail[1:]}.")
    return await _page(request, found, secret=made.text)


async def remove(request: Request) -> Response:
    """Ask, then remove it."""
    form = await checked_form(request) if request.method == "POST" else None
    one = f"{HOME}/{request.path_params['name']}"
    found = await admitted(request, "webhooks:delete", Resource("webhook"), fresh=True, back=f"{one}/remove")
    if isinstance(found, Response):
        return found
    webhook = await _existing(request)
    if form is None:
        question = ConfirmPage(
            found,
            "webhooks",
            "Remove this webhook?",
            f"{webhook.url} is told nothing any more.",
            "Remove",
            f"{one}/remove",
            one,
            effects=("Its secrets and the log of its deliveries go with it.", "What waits to be sent is not sent."),
            names=(webhook.name,),
            crumbs=(("Webhooks", HOME), (webhook.name, one)),
        )
        return confirm(request, question)
    async with whole(parts_of(request).database) as session:
        await webhooks.remove_webhook(session, webhook.name, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{HOME}?done=removed")


async def _existing(request: Request, name: str | None = None) -> Webhook:
    async with parts_of(request).database.read() as session:
        found = await find_webhook(session, name or str(request.path_params["name"])[:63])
    if found is None:
        raise NotFound("there is no webhook with this name")
    return found


async def _page(
    request: Request,
    found: Admitted,
    *,
    name: str | None = None,
    secret: str | None = None,
    problem: str | None = None,
) -> Response:
    webhook, before = await _existing(request, name), asked(request, "before")
    async with parts_of(request).database.read() as session:
        rows = await list_deliveries(session, webhook.id, before=before or None, limit=ROWS + 1)
    page = WebhookPage(
        found,
        "webhooks",
        webhook,
        paged(request, rows, ROWS, lambda one: one.id, by="before"),
        secret,
        _may_write(request, found),
        may(request, found, "webhooks:delete", Resource("webhook")),
        _done(request),
        problem,
        clock.now(),
    )
    return render(request, "audit/webhook.html", page, status=409 if problem else 200)


def _may_write(request: Request, found: Admitted) -> bool:
    return may(request, found, "webhooks:write", Resource("webhook"))


def _done(request: Request) -> str | None:
    return done_of(request, DONE)
