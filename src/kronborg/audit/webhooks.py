"""Make, change and remove webhooks, and their secrets. Every verb works in the caller's transaction."""

from __future__ import annotations

import base64
import hmac
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson

from kronborg.audit import webhooks_store as store
from kronborg.audit.model import Secret, Webhook, WebhookDraft
from kronborg.core.crypto import Vault
from kronborg.core.db import Database, Session
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.events import changes, record
from kronborg.core.fetch import MAX_URL
from kronborg.core.group_writer import Execute
from kronborg.core.ids import new_id

MAX_WEBHOOKS = 100
MAX_PATTERNS = 50
MAX_SECRETS = 3
PREFIX = "whsec_"
SEAL = "audit.webhook"
OVERLAP = timedelta(days=1)
"""How long the secret of before still signs beside a new one."""
MAX_OVERLAP = timedelta(days=30)
PING = "webhook.test"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_PATTERN = re.compile(r"\*|[a-z][a-z0-9_]*(\.[a-z0-9_]+)*(\.\*)?", re.ASCII)
_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s#]*)?(\?[^\s#]*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret in the clear, this once: `whsec_` and base64."""

    id: str
    text: str


def webhook_problems(draft: WebhookDraft) -> tuple[Problem, ...]:
    """Everything that is wrong with a draft."""
    return tuple(_problems(draft))


def _problems(draft: WebhookDraft) -> Iterator[Problem]:
    if not _NAME.fullmatch(draft.name):
        yield Problem("name", "a name is at most 63 lower-case letters, digits and dashes")
    if len(draft.url) > MAX_URL or not _URL.fullmatch(draft.url):
        yield Problem("url", "must be an https URL without user name and fragment", "https://example.com/hooks")
    if not (draft.events or draft.checkpoints) or len(draft.events) > MAX_PATTERNS:
        yield Problem("events", f"needs 1 to {MAX_PATTERNS} patterns", "user.created, user.* or *")
    for index, pattern in enumerate(draft.events):
        if len(pattern) > 100 or not _PATTERN.fullmatch(pattern):
            yield Problem(f"events[{index}]", "is no name of an event", "user.created, user.* or *")


async def save_webhook(
    session: Session, vault: Vault, draft: WebhookDraft, *, actor: str, now: datetime, secret: str | None = None
) -> tuple[Webhook, NewSecret | None]:
    """Make the webhook `draft.name` as drafted; a new one gets a secret (or `secret`), given in the clear this once.

    Switching it on again forgets why it was off. Raises `Invalid` with everything that is wrong.
    """
    known = await store.find_webhook(session, draft.name)
    problems = webhook_problems(draft)
    if known is None and len(await store.list_webhooks(session)) >= MAX_WEBHOOKS:
        problems = (*problems, Problem("name", f"there are {MAX_WEBHOOKS} webhooks already"))
    if problems:
        raise Invalid(*problems)
    was_on = known is not None and not known.disabled
    webhook = Webhook(
        id=known.id if known else new_id(),
        name=draft.name,
        url=draft.url,
        events=tuple(dict.fromkeys(draft.events)),
        checkpoints=draft.checkpoints,
        disabled=draft.disabled,
        disabled_why=known.disabled_why if known and draft.disabled else "",
        failing_since=known.failing_since if known and was_on else None,
        created_at=known.created_at if known else now,
        updated_at=now,
        secrets=known.secrets if known else (),
    )
    if known is not None and replace(webhook, updated_at=known.updated_at) == known:
        return known, None
    await store.put_webhook(session, webhook, new=known is None)
    name = "webhook.created" if known is None else "webhook.changed"
    detail = changes(known, webhook, but=("id", "failing_since", "disabled_why"))
    await record(session, name, actor=actor, subject=webhook.name, now=now, detail=detail)
    made = await add_secret(session, vault, webhook, now=now, secret=secret) if known is None else None
    return await _again(session, webhook.name), made


async def remove_webhook(session: Session, name: str, *, actor: str, now: datetime) -> None:
    """Remove it with its secrets and its log. Raises `NotFound`."""
    webhook = await existing(session, name)
    await store.delete_webhook(session, webhook.id)
    detail = changes(webhook, None, but=("id", "failing_since", "disabled_why"))
    await record(session, "webhook.removed", actor=actor, subject=name, now=now, detail=detail)


async def rotate_secret(
    session: Session,
    vault: Vault,
    name: str,
    *,
    actor: str,
    now: datetime,
    overlap: timedelta = OVERLAP,
    secret: str | None = None,
) -> NewSecret:
    """Sign with a new secret; the one of before signs beside it until `overlap` has passed. Raises `NotFound`."""
    if not timedelta() <= overlap <= MAX_OVERLAP:
        raise Invalid(Problem("overlap", "must be at most 30 days"))
    webhook = await existing(session, name)
    await store.limit_secrets(session, webhook.id, until=now + overlap, now=now)
    if len((await _again(session, name)).secrets) >= MAX_SECRETS:
        raise Conflict("three secrets sign already: wait until one has ended")
    made = await add_secret(session, vault, webhook, now=now, secret=secret)
    await record(session, "webhook.secret_rotated", actor=actor, subject=name, now=now)
    return made


async def add_secret(
    session: Session, vault: Vault, webhook: Webhook, *, now: datetime, secret: str | None = None
) -> NewSecret:
    """One more secret of 32 random bytes, or the one given. Raises `Invalid`."""
    raw = os.urandom(32) if secret is None else read_secret(secret)
    secret_id = new_id()
    await store.insert_secret(
        session, webhook.id, Secret(secret_id, vault.seal(raw, context=f"{SEAL}:{secret_id}"), now, None)
    )
    return NewSecret(secret_id, PREFIX + base64.b64encode(raw).decode())


def read_secret(text: str) -> bytes:
    """The bytes of a secret (Standard Webhooks: base64 after `whsec_`, 24 to 64 bytes). Raises `Invalid`."""
    try:
        raw = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError:
        raw = b""
    # Standard Webhooks, signature scheme: at least 192 bits, at most 512.
    if not 24 <= len(raw) <= 64:
        detail = "must be 24 to 64 bytes in base64, after whsec_"
        raise Invalid(Problem("secret", detail, "make one with openssl rand -base64 32"))
    return raw


def webhook_secret_problem(text: str) -> Problem | None:
    """What is wrong with a secret, without a word of it."""
    try:
        read_secret(text)
    except Invalid as invalid:
        return invalid.problems[0]
    return None


def signs_with(vault: Vault, webhook: Webhook, text: str) -> bool:
    """Whether this is the secret that signs from now on."""
    raw = read_secret(text)
    lasting = [one for one in webhook.secrets if one.expires_at is None]
    return any(hmac.compare_digest(vault.open(one.sealed, context=f"{SEAL}:{one.id}"), raw) for one in lasting)


async def existing(session: Session, name: str) -> Webhook:
    """The webhook of this name. Raises `NotFound`."""
    webhook = await store.find_webhook(session, name)
    if webhook is None:
        raise NotFound("there is no webhook with this name")
    return webhook


_again = existing


async def send_test(database: Database, name: str, *, now: datetime) -> str:
    """Send it a message that says nothing happened; the id of the delivery. Raises `NotFound`, `Conflict`."""
    async with database.read() as session:
        webhook = await store.find_webhook(session, name)
    if webhook is None:
        raise NotFound("there is no webhook with this name")
    if webhook.disabled:
        raise Conflict("the webhook is disabled: nothing is sent to it")
    moment = now.isoformat().replace("+00:00", "Z")
    body = orjson.dumps({"type": PING, "timestamp": moment, "data": {"webhook": name}}).decode()
    webhook_id, message_id = webhook.id, new_id()

    def unit(execute: Execute) -> str:
        return store.add_delivery(execute, webhook_id, message_id=message_id, name=PING, body=body, now=now)

    return await database.writer.run(unit)


async def retry_now(database: Database, name: str, delivery_id: str, *, now: datetime) -> None:
    """Send a message once more, at once, whatever became of it. Raises `NotFound`."""
    async with database.read() as session:
        webhook = await store.find_webhook(session, name)
    if webhook is None:
        raise NotFound("there is no webhook with this name")
    webhook_id = webhook.id
    known = await database.writer.run(lambda execute: store.retry_delivery(execute, webhook_id, delivery_id, now=now))
    if not known:
        raise NotFound("there is no such delivery")
