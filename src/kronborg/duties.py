"""What the worker does: which handlers hear of which event, and which jobs run how often.

Calls go down, news goes up: a slice records an event, and `HANDLERS` says who hears of it. Handlers and jobs
are idempotent, so that a crash between the work and its mark only repeats the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from kronborg.accounts.links import purge_links
from kronborg.api_keys.personal_data import forget_tokens
from kronborg.api_keys.store import purge_keys
from kronborg.audit import deliver as webhooks
from kronborg.audit import verify
from kronborg.audit.checkpoints import make_checkpoint
from kronborg.audit.model import AuditSettings
from kronborg.certificates.store import purge_challenges
from kronborg.clients.directory import FRESH
from kronborg.clients.registration import remove_unused
from kronborg.config import Settings
from kronborg.core import mail_delivery
from kronborg.core.events import Event
from kronborg.factors.store import delete_expired
from kronborg.federation import attempts
from kronborg.federation.directory_sync import sync_due
from kronborg.gateway.registration import forget_expired
from kronborg.oauth import backchannel, ciba_notify, kept_requests, waiting
from kronborg.sessions.life import end_all_sessions, purge_sessions
from kronborg.signin import asked, notices
from kronborg.signin.throttle import purge_counters
from kronborg.tokens import revoke
from kronborg.tokens.engine import Engine
from kronborg.tokens.purge import purge
from kronborg.tokens.signing import wanted_lines

SESSIONS_AT_ONCE = 500
KEYS_KEPT = timedelta(days=30)
BREATH = 0.05
"""Seconds between two batches of cleaning, in which others may write."""

Handler = Callable[[Engine, Event, datetime], Awaitable[object]]


async def revoke_of_user(engine: Engine, event: Event, now: datetime) -> None:
    """A user who is disabled or gone keeps neither sessions nor tokens."""
    await revoke.revoke_grants(engine, actor="system", reason=event.name, user_id=event.subject, now=now)
    async with engine.database.write() as session:
        await end_all_sessions(session, event.subject, actor="system", now=now)


async def revoke_of_session(engine: Engine, event: Event, now: datetime) -> None:
    """A session that ended takes along what was granted in it, but for offline access (OIDC Core §11)."""
    session_id = event.detail.get("sid")
    if isinstance(session_id, str):
        await revoke.revoke_grants(engine, actor="system", reason=event.name, session_id=session_id, now=now)


async def announce_session(engine: Engine, event: Event, now: datetime) -> None:
    """Clients that wish so are told when a session ended that they were part of (OIDC Back-Channel Logout)."""
    session_id = event.detail.get("sid")
    if isinstance(session_id, str):
        await backchannel.announce_session(engine, session_id, user_id=event.subject, now=now)


async def forget_tokens_of(engine: Engine, event: Event, now: datetime) -> None:
    """Personal access tokens go with their person."""
    await forget_tokens(engine, event.subject)


async def announce_user(engine: Engine, event: Event, now: datetime) -> None:
    """The same for the sessions of a user who is gone."""
    await backchannel.announce_user(engine, event.subject, now=now)


async def revoke_of_client(engine: Engine, event: Event, now: datetime) -> None:
    """A client that is disabled or gone keeps no tokens, nor those that a process gives it that has not heard yet."""
    await revoke.revoke_client(engine, event.subject, actor="system", reason=event.name, now=now, margin=FRESH)


async def revoke_offline(engine: Engine, event: Event, now: datetime) -> None:
    """A new password throws out whoever knew the old one: from offline access too. Sessions ended with the change."""
    await revoke.revoke_offline(
        engine, event.subject, given_before=event.at, actor="system", reason=event.name, now=now
    )


async def tell_person(engine: Engine, event: Event, now: datetime) -> None:
    """What happened to an account is told to its person: was this you?"""
    if engine.people is not None:
        await notices.tell(engine.database, engine.people, event, now=now)


HANDLERS: Mapping[str, tuple[Handler, ...]] = {
    "user.disabled": (revoke_of_user,),
    "user.deleted": (revoke_of_user, announce_user, forget_tokens_of),
    "user.locked_down": (revoke_of_user,),
    "password.set": (revoke_offline, tell_person),
    "session.begun": (tell_person,),
    "factor.added": (tell_person,),
    "factor.removed": (tell_person,),
    "identity.linked": (tell_person,),
    "session.ended": (revoke_of_session, announce_session),
    "client.disabled": (revoke_of_client,),
    "client.removed": (revoke_of_client,),
}


async def rotate_keys(engine: Engine, now: datetime) -> None:
    """Promote the next signing key of each line when the active one is old; end the lines that nobody wants."""
    await engine.keys.rotate(now=now, wanted=await wanted_lines(engine, now=now))


async def clean_tokens(engine: Engine, now: datetime) -> None:
    """Delete expired tokens in bounded batches until none is left."""
    await purge(engine, now=now)


async def clean_keys(engine: Engine, now: datetime) -> None:
    """Forget keys that ended a month ago."""
    await engine.database.writer.run(lambda execute: purge_keys(execute, expired_before=now - KEYS_KEPT))


async def clean_requests(engine: Engine, now: datetime) -> None:
    """Delete authorization requests that nobody can come back to."""
    await _until_none(lambda: kept_requests.clean(engine, now=now))


async def clean_signin(engine: Engine, now: datetime) -> None:
    """End sessions whose time is over, forget counters that say nothing any more and notices settled long ago."""

    async def sessions() -> int:
        async with engine.database.write() as session:
            return await purge_sessions(session, idle=engine.session_idle, now=now, limit=SESSIONS_AT_ONCE)

    await _until_none(sessions)
    async with engine.database.write() as session:
        await purge_counters(session, now=now)
        await delete_expired(session, now=now)
    await backchannel.forget_old(engine, now=now)


async def deliver_logouts(engine: Engine, now: datetime) -> bool:
    """Tell clients of sessions that ended, a batch."""
    return await backchannel.deliver(engine, now=now) == backchannel.BATCH


async def clean_clients(engine: Engine, now: datetime) -> None:
    """Remove clients that came by themselves and that nobody uses."""
    await _until_none(lambda: remove_unused(engine.database, now=now))


async def deliver_ciba(engine: Engine, now: datetime) -> bool:
    """Tell clients what became of the requests that wait for their people, a batch."""
    return await ciba_notify.deliver(engine, now=now) == ciba_notify.BATCH


async def clean_waiting(engine: Engine, now: datetime) -> None:
    """Forget requests whose people did not come."""
    await _until_none(lambda: waiting.clean(engine, now=now))


async def answer_asked(engine: Engine, now: datetime) -> bool:
    """Answer those who typed an address, a batch."""
    return (
        engine.people is not None and await asked.answer_asked(engine.database, engine.people, now=now) == asked.BATCH
    )


async def clean_letters(engine: Engine, now: datetime) -> None:
    """Forget links whose time is over, and how many letters addresses were sent."""

    async def links() -> int:
        async with engine.database.write() as session:
            return await purge_links(session, now=now)

    await _until_none(links)
    await _until_none(lambda: mail_delivery.forget_counts(engine.database, now=now))


def delivery(settings: Settings) -> Job:
    """Send letters, a batch at a time."""
    office = settings.post_office()

    async def run(engine: Engine, now: datetime) -> bool:
        sent = await mail_delivery.deliver(engine.database, engine.vault, office, now=now)
        return sent == mail_delivery.BATCH

    return Job("deliver_letters", timedelta(seconds=1), run)


def ordering(settings: Settings) -> tuple[Job, ...]:
    """Order certificates that are due from the ACME server, when there is one."""
    acme = settings.acme
    if acme is None:
        return ()

    async def run(engine: Engine, now: datetime) -> None:
        from kronborg.certificates.acme import renew_due

        await renew_due(engine.database, engine.vault, acme, now=now)

    return (Job("order_certificates", timedelta(minutes=1), run),)


async def clean_challenges(engine: Engine, now: datetime) -> None:
    """Forget what ACME servers should have read by now."""
    async with engine.database.write() as session:
        await purge_challenges(session, now=now)


async def clean_federation(engine: Engine, now: datetime) -> None:
    """Forget sign-ins that did not come back from a provider."""
    await _until_none(lambda: attempts.forget_old(engine.database, now=now))


async def sign_log(engine: Engine, now: datetime) -> None:
    """Sign a checkpoint of the audit log when it is time."""
    await make_checkpoint(engine.database, engine.vault, now=now, settings=AuditSettings())


async def verify_log(engine: Engine, now: datetime) -> bool:
    """Verify what was added to the audit log, from where it was verified up to; the command verifies all of it."""
    return await verify.verify_on(engine.database, engine.vault, now=now)


async def deliver_webhooks(engine: Engine, now: datetime) -> bool:
    """Tell webhooks what happened, a batch."""
    return await webhooks.deliver(webhooks.Sender(engine.database, engine.vault, engine.fetcher), now=now)


async def clean_deliveries(engine: Engine, now: datetime) -> None:
    """Forget what webhooks were told long ago."""
    await _until_none(lambda: webhooks.forget_old(engine.database, now=now))


async def _until_none(batch: Callable[[], Awaitable[int]]) -> None:
    """Run a bounded batch again until it finds nothing, with a breath for other writers in between."""
    while await batch():  # noqa: ASYNC110  # not a wait
        await asyncio.sleep(BREATH)


async def sync_directories(engine: Engine, now: datetime) -> None:
    """Sync every LDAP directory whose time has come."""
    await sync_due(engine.database, engine.vault, now=now)


async def clean_endpoints(engine: Engine, now: datetime) -> None:
    """Forget endpoints whose lease ended; gateways have left them out already."""
    await _until_none(lambda: forget_expired(engine.database, now=now))


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do now and then. `run` says True when there is more to do: its next turn, at a new time, follows."""

    name: str
    every: timedelta
    run: Callable[[Engine, datetime], Awaitable[bool | None]]


JOBS = (
    Job("rotate_keys", timedelta(minutes=5), rotate_keys),
    Job("clean_tokens", timedelta(minutes=1), clean_tokens),
    Job("clean_keys", timedelta(hours=1), clean_keys),
    Job("clean_requests", timedelta(minutes=1), clean_requests),
    Job("clean_clients", timedelta(minutes=10), clean_clients),
    Job("clean_signin", timedelta(minutes=5), clean_signin),
    Job("clean_waiting", timedelta(minutes=1), clean_waiting),
    Job("clean_challenges", timedelta(hours=1), clean_challenges),
    Job("clean_federation", timedelta(minutes=1), clean_federation),
    Job("sign_log", timedelta(seconds=10), sign_log),
    Job("verify_log", timedelta(minutes=5), verify_log),
    Job("deliver_webhooks", timedelta(seconds=1), deliver_webhooks),
    Job("clean_deliveries", timedelta(minutes=10), clean_deliveries),
    Job("deliver_ciba", timedelta(seconds=1), deliver_ciba),
    Job("sync_directories", timedelta(seconds=30), sync_directories),
    Job("deliver_logouts", timedelta(seconds=2), deliver_logouts),
    Job("answer_asked", timedelta(seconds=1), answer_asked),
    Job("clean_endpoints", timedelta(seconds=10), clean_endpoints),
    Job("clean_letters", timedelta(minutes=10), clean_letters),
)
