"""The tables of this slice. Their statements are in `store.py`."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, Table, Text, text

from kronborg.core.db import Json, UtcDateTime, metadata

_LIVE = text("state IN ('next', 'active')")
_UNUSED = text("used_at IS NULL")

keys_table = Table(
    "tokens_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("public_jwk", Json, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("activated_at", UtcDateTime),
    Column("retired_at", UtcDateTime),
    Column("alg", Text, nullable=False, server_default="ES256"),
    # One next and one active key of each line, however many processes rotate at once.
    Index("uq_tokens_keys_live", "alg", "state", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
)

grants_table = Table(
    "tokens_grants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("session_id", Text),
    Column("scopes", Text, nullable=False),
    Column("audiences", Text, nullable=False),
    Column("auth_time", UtcDateTime, nullable=False),
    Column("amr", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("details", Json),
    # With the id, which begins with the time: lists of a client's grants are read newest first, some at a time.
    Index("ix_tokens_grants_user", "user_id", "id"),
    Index("ix_tokens_grants_client", "client_id", "id"),
    Index("ix_tokens_grants_session_id", "session_id"),
    Index("ix_tokens_grants_expires_at", "expires_at"),
)

codes_table = Table(
    "tokens_codes",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("grant_id", Text, ForeignKey("tokens_grants.id", ondelete="CASCADE"), nullable=False),
    Column("redirect_uri", Text),
    Column("challenge", Text),
    Column("nonce", Text),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    Column("jkt", Text),
    Index("ix_tokens_codes_grant_id", "grant_id"),
    # Codes that were never traded, for the worker to find.
    Index("ix_tokens_codes_unused", "expires_at", sqlite_where=_UNUSED, postgresql_where=_UNUSED),
)

refresh_table = Table(
    "tokens_refresh",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("grant_id", Text, ForeignKey("tokens_grants.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("rotated_at", UtcDateTime),
    Column("salt", LargeBinary),
    Index("ix_tokens_refresh_grant_id", "grant_id"),
    Index("ix_tokens_refresh_expires_at", "expires_at"),
)

access_table = Table(
    "tokens_access",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("jti", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("grant_id", Text),
    Column("audience", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("claims", Json),
    Index("ix_tokens_access_expires_at", "expires_at"),
)

revoked_table = Table(
    "tokens_revoked",
    metadata,
    Column("jti", Text, primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_tokens_revoked_expires_at", "expires_at"),
)

cutoffs_table = Table(
    "tokens_cutoffs",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("not_before", UtcDateTime, nullable=False),
)

assertions_table = Table(
    "tokens_assertions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_tokens_assertions_expires_at", "expires_at"),
)

proofs_table = Table(
    "tokens_proofs",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_tokens_proofs_expires_at", "expires_at"),
    # Written at every request with a proof: one tree, not two.
    sqlite_with_rowid=False,
)
