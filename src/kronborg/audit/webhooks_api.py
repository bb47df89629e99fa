"""Webhooks in the admin API. A secret is shown once, when it is made."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from kronborg.audit import webhooks
from kronborg.audit.model import DeliveryState, Webhook, WebhookDraft
from kronborg.audit.webhooks_store import find_webhook, list_deliveries, list_webhooks
from kronborg.core import clock
from kronborg.core.api import After, Body, Limit, Page, Shown, Uri, Word, caller_of, check_match, refusals, with_etag
from kronborg.core.errors import NotFound
from kronborg.core.parts import parts_of
from kronborg.core.quantities import Duration
from kronborg.core.whole import whole

router = APIRouter()

Name = Annotated[str, Path(max_length=63, pattern=r"^[a-z0-9-]+$")]
Id = Annotated[str, Path(max_length=64, pattern=r"^[0-9a-f-]+$")]
Patterns = Annotated[tuple[Word, ...], Field(max_length=webhooks.MAX_PATTERNS)]


class ShownWebhook(Shown):
    """Somewhere events are sent."""

    name: str
    url: str
    events: tuple[str, ...]
    checkpoints: bool
    disabled: bool
    disabled_why: str
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime


class ShownNewWebhook(ShownWebhook):
    """A webhook as it was saved. `secret` is there when it is new, and is shown this once."""

    secret: str | None


class WebhookToSave(Body):
    """A webhook as it shall be."""

    url: Uri
    events: Patterns = ("*",)
    """Names of events, or prefixes with a star: `user.created`, `user.*`, `*`."""
    checkpoints: bool = False
    """Push the signed checkpoints of the audit log too."""
    disabled: bool = False


class SecretToRotate(Body):
    """How the secret of before ends."""

    overlap: Duration = webhooks.OVERLAP
    """How long it still signs beside the new one."""


class ShownSecret(Shown):
    """A secret, shown this once."""

    secret: str


class ShownDelivery(Shown):
    """One message to a webhook."""

    id: str
    message_id: str
    name: str
    n: int
    state: DeliveryState
    attempts: int
    status: int
    result: str
    latency_ms: int
    created_at: datetime
    next_at: datetime
    settled_at: datetime | None


class ShownId(Shown):
    """What was made."""

    id: str


@router.get("/webhooks", tags=["webhooks"])
async def read_webhooks(request: Request) -> Page[ShownWebhook]:
    """Every webhook (there are at most 100)."""
    async with parts_of(request).database.read() as session:
        found = await list_webhooks(session)
    return Page(items=[ShownWebhook.model_validate(one) for one in found], next=None)


@router.get("/webhooks/{name}", tags=["webhooks"], responses=refusals(404, 422))
async def read_webhook(request: Request, response: Response, name: Name) -> ShownWebhook:
    """One webhook."""
    shown = ShownWebhook.model_validate(await _existing(request, name))
    with_etag(response, shown)
    return shown


@router.put("/webhooks/{name}", tags=["webhooks"], responses=refusals(412, 422))
async def save_webhook(request: Request, response: Response, name: Name, body: WebhookToSave) -> ShownNewWebhook:
    """Make or replace a webhook. `If-Match` guards against changes made meanwhile."""
    parts = parts_of(request)
    async with whole(parts.database) as session:
        before = await find_webhook(session, name)
        if before is not None:
            check_match(request, ShownWebhook.model_validate(before))
        draft = WebhookDraft(name, body.url, body.events, body.checkpoints, body.disabled)
        actor = caller_of(request).actor
        saved, made = await webhooks.save_webhook(session, parts.vault, draft, actor=actor, now=clock.now())
    shown = ShownWebhook.model_validate(saved)
    with_etag(response, shown)
    return ShownNewWebhook(**shown.model_dump(), secret=None if made is None else made.text)


@router.delete("/webhooks/{name}", status_code=204, tags=["webhooks"], responses=refusals(404, 412, 422))
async def remove_webhook(request: Request, name: Name) -> None:
    """Remove a webhook with its secrets and its log."""
    async with whole(parts_of(request).database) as session:
        before = await find_webhook(session, name)
        if before is not None:
            check_match(request, ShownWebhook.model_validate(before))
        await webhooks.remove_webhook(session, name, actor=caller_of(request).actor, now=clock.now())


@router.post("/webhooks/{name}/secret", tags=["webhooks"], responses=refusals(404, 409, 422))
async def rotate_webhook_secret(request: Request, name: Name, body: SecretToRotate) -> ShownSecret:
    """Sign with a new secret, shown this once; the one of before signs beside it for a while."""
    parts = parts_of(request)
    async with whole(parts.database) as session:
        actor, now = caller_of(request).actor, clock.now()
        made = await webhooks.rotate_secret(session, parts.vault, name, actor=actor, now=now, overlap=body.overlap)
    return ShownSecret(secret=made.text)


@router.post("/webhooks/{name}/test", status_code=202, tags=["webhooks"], responses=refusals(404, 409, 422))
async def test_webhook(request: Request, name: Name) -> ShownId:
    """Send it a message that says nothing happened."""
    return ShownId(id=await webhooks.send_test(parts_of(request).database, name, now=clock.now()))


@router.get("/webhooks/{name}/deliveries", tags=["webhooks"], responses=refusals(404, 422))
async def read_webhook_deliveries(
    request: Request, name: Name, after: After = None, limit: Limit = 50
) -> Page[ShownDelivery]:
    """What it was sent, the newest first."""
    webhook = await _existing(request, name)
    async with parts_of(request).database.read() as session:
        found = await list_deliveries(session, webhook.id, before=after, limit=limit)
    items = [ShownDelivery.model_validate(one) for one in found]
    return Page(items=items, next=found[-1].id if len(found) == limit else None)


@router.post(
    "/webhooks/{name}/deliveries/{delivery_id}/retry",
    status_code=202,
    tags=["webhooks"],
    responses=refusals(404, 422),
)
async def retry_webhook_delivery(request: Request, name: Name, delivery_id: Id) -> None:
    """Send a message once more, now."""
    await webhooks.retry_now(parts_of(request).database, name, delivery_id, now=clock.now())


async def _existing(request: Request, name: str) -> Webhook:
    async with parts_of(request).database.read() as session:
        found = await find_webhook(session, name)
    if found is None:
        raise NotFound("there is no webhook with this name")
    return found
