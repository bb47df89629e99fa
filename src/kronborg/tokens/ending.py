"""How tokens end: the row that ends them, the event that says why, and the entry of the feed, all in one unit.

Whatever revokes anything does it through one of these, so that nothing is revoked of which gateways do not hear. Each
is part of a unit of the group writer, and stands at its end. Each holds the numbers of the feed before it touches
anything else: two that concern the same grants never wait for one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from kronborg.core.events import record_in
from kronborg.core.group_writer import Execute
from kronborg.core.json import JsonObject
from kronborg.tokens import store
from kronborg.tokens.feed import Notice, next_second, tell
from kronborg.tokens.feed_store import hold_numbers
from kronborg.tokens.model import PERSONAL

NO_MARGIN = timedelta(0)


def end_token(execute: Execute, jti: str, *, until: datetime, actor: str, now: datetime) -> bool:
    """Revoke one access token until it expires; False when it was revoked before."""
    hold_numbers(execute)
    if not store.revoke_jti(execute, jti, expires_at=until):
        return False
    _token_ended(execute, jti, until, actor, now)
    return True


def end_reference(execute: Execute, digest: bytes, jti: str, *, until: datetime, actor: str, now: datetime) -> bool:
    """Revoke one reference token; False when it is gone already. The gateway may know it by its `jti` for a while."""
    hold_numbers(execute)
    if not store.drop_access(execute, digest):
        return False
    _token_ended(execute, jti, until, actor, now)
    return True


def end_grant(
    execute: Execute, grant_id: str, *, actor: str, reason: str, now: datetime, client_id: str | None = None
) -> bool:
    """Revoke one grant with all its tokens; False when there is none, or was revoked before."""
    hold_numbers(execute)
    if not store.revoke_grant(execute, grant_id, now=now):
        return False
    _grants_ended(execute, (grant_id,), actor, reason, now, client_id)
    tell(execute, (Notice("grant", grant_id),), now=now)
    return True


def end_grants_to(execute: Execute, user_id: str, client_id: str, *, actor: str, reason: str, now: datetime) -> int:
    """Revoke what a person gave to one client; how many grants."""
    hold_numbers(execute)
    ended = store.revoke_grants(execute, now=now, user_id=user_id, client_id=client_id)
    _grants_ended(execute, ended, actor, reason, now, client_id)
    tell(execute, [Notice("grant", one) for one in ended], now=now)
    return len(ended)


def end_offline(
    execute: Execute, user_id: str, *, given_before: datetime, actor: str, reason: str, now: datetime
) -> int:
    """Revoke what a person gave for offline access before that moment, their own tokens too; how many grants."""
    hold_numbers(execute)
    store.cut_off(execute, PERSONAL + user_id, now=given_before)
    ended = store.revoke_offline(execute, user_id, given_before=given_before, now=now)
    _grants_ended(execute, ended, actor, reason, now)
    notices = [Notice("client", PERSONAL + user_id, next_second(given_before))]
    tell(execute, [*notices, *(Notice("grant", one) for one in ended)], now=now)
    return len(ended)


def end_session_grants(
    execute: Execute, session_id: str, *, actor: str, reason: str, now: datetime, offline: bool = False
) -> int:
    """Revoke what was granted in a session; how many grants. What was given for offline access only with `offline`.

    When something is left, the feed names the grants: their tokens carry the same `sid`.
    """
    hold_numbers(execute)
    ended = store.revoke_grants(execute, now=now, session_id=session_id, offline=offline)
    _grants_ended(execute, ended, actor, reason, now)
    whole = bool(ended) and not store.session_has_grants(execute, session_id)
    notices = [Notice("session", session_id)] if whole else [Notice("grant", one) for one in ended]
    tell(execute, notices, now=now)
    return len(ended)


def end_user(execute: Execute, user_id: str, *, actor: str, reason: str, now: datetime) -> int:
    """Revoke everything a person gave to anybody, and the tokens they made themselves; how many grants."""
    hold_numbers(execute)
    store.cut_off(execute, PERSONAL + user_id, now=now)
    ended = store.revoke_grants(execute, now=now, user_id=user_id)
    _grants_ended(execute, ended, actor, reason, now)
    # By their grants too: a pairwise client's tokens do not say the user id.
    tell(execute, [Notice("user", user_id, next_second(now)), *(Notice("grant", one) for one in ended)], now=now)
    return len(ended)


def end_client(
    execute: Execute, client_id: str, *, actor: str, reason: str, now: datetime, margin: timedelta = NO_MARGIN
) -> int:
    """Revoke everything a client holds, its own tokens included; how many grants.

    `margin` is for how long another process may go on serving a client that was just disabled: what is issued meanwhile
    is not believed either.
    """
    hold_numbers(execute)
    not_before = now + margin
    store.cut_off(execute, client_id, now=not_before)
    ended = store.revoke_grants(execute, now=now, client_id=client_id)
    _grants_ended(execute, ended, actor, reason, now, client_id)
    record_in(execute, "client.tokens_revoked", actor=actor, subject=client_id, now=now)
    tell(execute, (Notice("client", client_id, next_second(not_before)),), now=now)
    return len(ended)


def end_key(execute: Execute, kid: str, *, now: datetime) -> None:
    """Tell that nothing this signing key signed is believed any more; the caller has taken it away."""
    tell(execute, (Notice("key", kid),), now=now)


def block_token(execute: Execute, jti: str, *, actor: str, now: datetime) -> None:
    """Tell that a token is not believed any more, of which only the id is known: for as long as any token lives."""
    record_in(execute, "token.revoked", actor=actor, subject=jti, now=now)
    tell(execute, (Notice("token", jti),), now=now)


def _token_ended(execute: Execute, jti: str, until: datetime, actor: str, now: datetime) -> None:
    record_in(execute, "token.revoked", actor=actor, subject=jti, now=now)
    tell(execute, (Notice("token", jti, until=until),), now=now)


def _grants_ended(
    execute: Execute, ended: Sequence[str], actor: str, reason: str, now: datetime, client_id: str | None = None
) -> None:
    detail: JsonObject = {"reason": reason} if client_id is None else {"reason": reason, "client_id": client_id}
    for grant_id in ended:
        record_in(execute, "grant.revoked", actor=actor, subject=grant_id, now=now, detail=detail)
