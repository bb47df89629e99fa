"""Every statement on the tables of this slice: plain SQL, the same on SQLite and PostgreSQL.

Functions that take `execute` are parts of units of the group writer; those that take `lookup` read committed rows.
Races are decided by the database: a conditional UPDATE that returns a row only to the one that was first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import orjson

from kronborg.core.db import from_micros, to_micros
from kronborg.core.group_writer import Execute, Lookup, Row
from kronborg.core.json import JsonObject
from kronborg.tokens import tables
from kronborg.tokens.grant_details import details_from, details_text
from kronborg.tokens.model import Access, Code, Grant, RefreshToken

__all__ = ["tables"]

CLEAN_BATCH = 1000
Cleanable = Literal["access", "refresh", "codes", "grants", "revoked", "assertions", "proofs"]
CLEANABLE: tuple[Cleanable, ...] = get_args(Cleanable)

# --- grants --------------------------------------------------------------------------------------------------------

_GRANT_COLUMNS = """g.id, g.client_id, g.user_id, g.session_id, g.scopes, g.audiences, g.auth_time, g.amr,
       g.created_at, g.expires_at, g.revoked_at, g.details"""
_ADD_GRANT = """
INSERT INTO tokens_grants
(id, client_id, user_id, session_id, scopes, audiences, auth_time, amr, created_at, expires_at, details)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_GRANT = f"SELECT {_GRANT_COLUMNS} FROM tokens_grants g WHERE g.id = ?"  # noqa: S608  # our own columns
_GRANTS_OF_USER = f"""
SELECT {_GRANT_COLUMNS} FROM tokens_grants g
WHERE g.user_id = ? AND g.revoked_at IS NULL AND g.expires_at > ? ORDER BY g.created_at DESC LIMIT 500
"""  # noqa: S608  # our own columns
_SET_DETAILS = "UPDATE tokens_grants SET details = ? WHERE id = ?"
_REVOKE = "UPDATE tokens_grants SET revoked_at = ? WHERE revoked_at IS NULL AND "
_BY_GRANT = _REVOKE + "id = ? RETURNING id"
_BY_CLIENT = _REVOKE + "client_id = ? RETURNING id"
_BY_USER = _REVOKE + "user_id = ? RETURNING id"
_BY_USER_AND_CLIENT = _REVOKE + "user_id = ? AND client_id = ? RETURNING id"
_OFFLINE = "% offline_access %"
_BY_SESSION = _REVOKE + "session_id = ? AND (' ' || scopes || ' ') NOT LIKE ? RETURNING id"
_BY_SESSION_WHOLLY = _REVOKE + "session_id = ? RETURNING id"
_BY_USER_OFFLINE = _REVOKE + "user_id = ? AND created_at < ? AND (' ' || scopes || ' ') LIKE ? RETURNING id"
_LEFT_IN_SESSION = "SELECT 1 FROM tokens_grants WHERE session_id = ? AND revoked_at IS NULL LIMIT 1"


def add_grant(execute: Execute, grant: Grant) -> None:
    """A new grant."""
    execute(
        _ADD_GRANT,
        (
            grant.id,
            grant.client_id,
            grant.user_id,
            grant.session_id,
            " ".join(grant.scopes),
            " ".join(grant.audiences),
            to_micros(grant.auth_time),
            " ".join(grant.amr),
            to_micros(grant.created_at),
            to_micros(grant.expires_at),
            details_text(grant.details),
        ),
    )


def set_details(execute: Execute, grant: Grant) -> None:
    """Store the details of a grant anew."""
    execute(_SET_DETAILS, (details_text(grant.details), grant.id))


async def find_grant(lookup: Lookup, grant_id: str) -> Grant | None:
    """The grant, revoked or not."""
    row: Row | None = await lookup.first(_GRANT, (grant_id,))
    return None if row is None else _grant(row)


async def grants_of_user(lookup: Lookup, user_id: str, *, now: datetime) -> tuple[Grant, ...]:
    """What a person has given and not taken back, newest first, at most 500."""
    return tuple(_grant(row) for row in await lookup.all(_GRANTS_OF_USER, (user_id, to_micros(now))))


def revoke_grant(execute: Execute, grant_id: str, *, now: datetime) -> bool:
    """Revoke one grant; True for the one who did so first."""
    return bool(execute(_BY_GRANT, (to_micros(now), grant_id)))


def revoke_grants(
    execute: Execute,
    *,
    now: datetime,
    client_id: str | None = None,
    user_id: str | None = None,
    session_id: str | None = None,
    offline: bool = False,
) -> tuple[str, ...]:
    """Revoke the grants of a client, of a user, of a user to a client, or of a session; their ids.

    A session takes those grants along that were not given `offline_access`; with `offline` those too.
    """
    at = to_micros(now)
    match client_id, user_id, session_id:
        case (str(), None, None):
            rows = execute(_BY_CLIENT, (at, client_id))
        case (None, str(), None):
            rows = execute(_BY_USER, (at, user_id))
        case (str(), str(), None):
            rows = execute(_BY_USER_AND_CLIENT, (at, user_id, client_id))
        case (None, None, str()):
            whole = _BY_SESSION_WHOLLY, (at, session_id)
            rows = execute(*whole) if offline else execute(_BY_SESSION, (at, session_id, _OFFLINE))
        case _:
            raise ValueError("name a client, a user, both, or a session")
    return tuple(str(row[0]) for row in rows)


def revoke_offline(execute: Execute, user_id: str, *, given_before: datetime, now: datetime) -> tuple[str, ...]:
    """Revoke the grants for offline access that a user gave before that moment; their ids."""
    rows = execute(_BY_USER_OFFLINE, (to_micros(now), user_id, to_micros(given_before), _OFFLINE))
    return tuple(str(row[0]) for row in rows)


def session_has_grants(execute: Execute, session_id: str) -> bool:
    """Whether a grant given in a session is not revoked."""
    return bool(execute(_LEFT_IN_SESSION, (session_id,)))


# --- codes ---------------------------------------------------------------------------------------------------------

_ADD_CODE = """
INSERT INTO tokens_codes (digest, grant_id, redirect_uri, challenge, nonce, expires_at, jkt)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_CODE = f"""
SELECT {_GRANT_COLUMNS}, c.redirect_uri, c.challenge, c.nonce, c.expires_at, c.used_at, c.jkt
FROM tokens_codes c JOIN tokens_grants g ON g.id = c.grant_id WHERE c.digest = ?
"""  # noqa: S608  # our own columns
_REDEEM = "UPDATE tokens_codes SET used_at = ? WHERE digest = ? AND used_at IS NULL RETURNING digest"


def add_code(execute: Execute, code: Code) -> None:
    """A new code; its grant is there already."""
    execute(
        _ADD_CODE,
        (
            code.digest,
            code.grant.id,
            code.redirect_uri,
            code.challenge,
            code.nonce,
            to_micros(code.expires_at),
            code.jkt,
        ),
    )


async def find_code(lookup: Lookup, digest: bytes) -> Code | None:
    """The code of this digest, used or not."""
    row: Row | None = await lookup.first(_CODE, (digest,))
    if row is None:
        return None
    redirect_uri, challenge, nonce, expires_at, used_at, jkt = row[12:]
    return Code(digest, _grant(row), redirect_uri, challenge, nonce, from_micros(expires_at), _moment(used_at), jkt)


def redeem_code(execute: Execute, digest: bytes, *, now: datetime) -> bool:
    """Mark a code used; True only for the one who did so first (RFC 6749 §10.5)."""
    return bool(execute(_REDEEM, (to_micros(now), digest)))


# --- refresh tokens ------------------------------------------------------------------------------------------------

_ADD_REFRESH = "INSERT INTO tokens_refresh (digest, grant_id, expires_at) VALUES (?, ?, ?)"
_REFRESH = f"""
SELECT {_GRANT_COLUMNS}, r.expires_at, r.rotated_at, r.salt
FROM tokens_refresh r JOIN tokens_grants g ON g.id = r.grant_id WHERE r.digest = ?
"""  # noqa: S608  # our own columns
_ROTATE = """
UPDATE tokens_refresh SET rotated_at = ?, salt = ? WHERE digest = ? AND rotated_at IS NULL RETURNING digest
"""
_EXTEND = "UPDATE tokens_refresh SET expires_at = ? WHERE digest = ? AND rotated_at IS NULL RETURNING digest"
_ROTATION = "SELECT rotated_at, salt FROM tokens_refresh WHERE digest = ?"


def add_refresh(execute: Execute, digest: bytes, grant_id: str, *, expires_at: datetime) -> None:
    """A new refresh token of a grant."""
    execute(_ADD_REFRESH, (digest, grant_id, to_micros(expires_at)))


async def find_refresh(lookup: Lookup, digest: bytes) -> RefreshToken | None:
    """The refresh token of this digest, rotated or not."""
    row: Row | None = await lookup.first(_REFRESH, (digest,))
    if row is None:
        return None
    expires_at, rotated_at, salt = row[12:]
    return RefreshToken(digest, _grant(row), from_micros(expires_at), _moment(rotated_at), salt)


def rotate_refresh(execute: Execute, digest: bytes, salt: bytes, *, now: datetime) -> bool:
    """Mark a refresh token rotated; True only for the one who did so first."""
    return bool(execute(_ROTATE, (to_micros(now), salt, digest)))


def extend_refresh(execute: Execute, digest: bytes, *, expires_at: datetime) -> bool:
    """Let a refresh token that is not rotated live on; False when it was rotated meanwhile."""
    return bool(execute(_EXTEND, (to_micros(expires_at), digest)))


def rotation_of(execute: Execute, digest: bytes) -> tuple[datetime, bytes] | None:
    """When, and with which salt, a refresh token was rotated; None when it was not, or is gone."""
    rows = execute(_ROTATION, (digest,))
    if not rows or rows[0][0] is None:
        return None
    return from_micros(rows[0][0]), bytes(rows[0][1])


# --- access tokens -------------------------------------------------------------------------------------------------

_ADD_ACCESS = """
INSERT INTO tokens_access (digest, jti, client_id, grant_id, audience, scopes, issued_at, expires_at, claims)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ACCESS = f"""
SELECT {_GRANT_COLUMNS}, x.not_before, a.jti, a.client_id, a.grant_id, a.audience, a.scopes, a.issued_at, a.expires_at,
       a.claims
FROM tokens_access a
LEFT JOIN tokens_grants g ON g.id = a.grant_id
LEFT JOIN tokens_cutoffs x ON x.client_id = a.client_id
WHERE a.digest = ?
"""  # noqa: S608  # our own columns
_STANDING = f"""
SELECT {_GRANT_COLUMNS}, x.not_before, r.jti
FROM (SELECT 1 AS one) o
LEFT JOIN tokens_grants g ON g.id = ?
LEFT JOIN tokens_cutoffs x ON x.client_id = ?
LEFT JOIN tokens_revoked r ON r.jti = ?
"""  # noqa: S608  # our own columns
_DROP_ACCESS = "DELETE FROM tokens_access WHERE digest = ? RETURNING jti"
_REVOKE_JTI = "INSERT INTO tokens_revoked (jti, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING jti"
_CUT_OFF = """
INSERT INTO tokens_cutoffs (client_id, not_before) VALUES (?, ?)
ON CONFLICT (client_id) DO UPDATE SET not_before = excluded.not_before
WHERE excluded.not_before > tokens_cutoffs.not_before
"""
_USE_ASSERTION = """
INSERT INTO tokens_assertions (digest, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING digest
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the database knows against an access token: its grant, its client's cut-off, its own revocation."""

    grant: Grant | None
    not_before: datetime | None
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class StoredAccess:
    """A reference token as stored, and what stands against it."""

    jti: str
    client_id: str
    grant_id: str | None
    audience: str
    scopes: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    standing: Standing
    claims: JsonObject


def add_access(execute: Execute, digest: bytes, access: Access) -> None:
    """A new reference token."""
    execute(
        _ADD_ACCESS,
        (
            digest,
            access.jti,
            access.client_id,
            access.grant_id,
            access.audience,
            " ".join(access.scopes),
            to_micros(access.issued_at),
            to_micros(access.expires_at),
            orjson.dumps(access.claims).decode() if access.claims else None,
        ),
    )


async def find_access(lookup: Lookup, digest: bytes) -> StoredAccess | None:
    """The reference token of this digest."""
    row: Row | None = await lookup.first(_ACCESS, (digest,))
    if row is None:
        return None
    not_before, jti, client_id, grant_id, audience, scopes, issued_at, expires_at, claims = row[12:]
    standing = Standing(_grant(row) if row[0] is not None else None, _moment(not_before))
    times = from_micros(issued_at), from_micros(expires_at)
    further: JsonObject = {} if claims is None else orjson.loads(claims)
    return StoredAccess(jti, client_id, grant_id, audience, _words(scopes), *times, standing, further)


async def find_standing(lookup: Lookup, *, jti: str, client_id: str, grant_id: str | None) -> Standing:
    """What stands against a JWT access token."""
    row: Row | None = await lookup.first(_STANDING, (grant_id, client_id, jti))
    if row is None:
        raise LookupError("the statement always gives one row")
    return Standing(_grant(row) if row[0] is not None else None, _moment(row[12]), row[13] is not None)


def drop_access(execute: Execute, digest: bytes) -> bool:
    """Revoke a reference token; whether it was there."""
    return bool(execute(_DROP_ACCESS, (digest,)))


def revoke_jti(execute: Execute, jti: str, *, expires_at: datetime) -> bool:
    """Revoke a JWT until it expires; False when it was revoked before."""
    return bool(execute(_REVOKE_JTI, (jti, to_micros(expires_at))))


def cut_off(execute: Execute, client_id: str, *, now: datetime) -> None:
    """Nothing that was issued to this client before `now` is believed any more."""
    execute(_CUT_OFF, (client_id, to_micros(now)))


def use_assertion(execute: Execute, digest: bytes, *, expires_at: datetime) -> bool:
    """Remember a client assertion until it expires; False when it was used before (RFC 7523 §3)."""
    return bool(execute(_USE_ASSERTION, (digest, to_micros(expires_at))))


# --- cleaning ------------------------------------------------------------------------------------------------------

_KEYS_OF = {
    "access": "digest",
    "refresh": "digest",
    "grants": "id",
    "revoked": "jti",
    "assertions": "digest",
    "proofs": "digest",
}
_CLEAN = {
    what: f"DELETE FROM tokens_{what} WHERE {key} IN"  # noqa: S608  # our own tables
    f" (SELECT {key} FROM tokens_{what} WHERE expires_at < ? LIMIT ?) RETURNING 1"
    for what, key in _KEYS_OF.items()
}
# A code that nobody traded takes its grant along: it never gave anything.
_CLEAN["codes"] = """DELETE FROM tokens_grants WHERE id IN
    (SELECT grant_id FROM tokens_codes WHERE used_at IS NULL AND expires_at < ? LIMIT ?) RETURNING 1"""


def clean(execute: Execute, what: Cleanable, *, before: datetime, limit: int = CLEAN_BATCH) -> int:
    """Delete what expired before that moment, at most so many; how many rows. Grants take codes and refresh along."""
    return len(execute(_CLEAN[what], (to_micros(before), limit)))


# --- rows to values ------------------------------------------------------------------------------------------------


def _grant(row: Row) -> Grant:
    """The grant in the first twelve columns."""
    return Grant(
        row[0],
        row[1],
        row[2],
        row[3],
        _words(row[4]),
        _words(row[5]),
        from_micros(row[6]),
        _words(row[7]),
        from_micros(row[8]),
        from_micros(row[9]),
        _moment(row[10]),
        details_from(row[11]),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
