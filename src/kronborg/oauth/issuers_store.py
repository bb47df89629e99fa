"""The table of trusted issuers of assertions (RFC 7523 §3), and every statement that touches it."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text

from kronborg.core.db import Json, UtcDateTime, metadata

issuers_table = Table(
    "oauth_issuers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("jwks", Json),
    Column("jwks_uri", Text),
    Column("audience", Text),
    Column("subject", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("uq_oauth_issuers_issuer", "issuer", unique=True),
)
