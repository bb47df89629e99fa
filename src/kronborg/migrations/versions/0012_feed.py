"""Tokens: the feed of revocations, status lists, and indexes for what expires."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Create the tables, the one row of the counter, and the indexes."""
    op.create_table(
        "tokens_feed",
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("not_before", sa.BigInteger),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_tokens_feed"),
    )
    head = op.create_table(
        "tokens_feed_head",
        sa.Column("one", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("floor", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("one", name="pk_tokens_feed_head"),
    )
    op.bulk_insert(head, [{"one": 1, "seq": 0, "floor": 0}])
    op.create_table(
        "tokens_status_lists",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("taken", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tokens_status_lists"),
    )
    op.create_table(
        "tokens_statuses",
        sa.Column("list_id", sa.Text, nullable=False),
        sa.Column("idx", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("jti", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("subject_client", sa.Text),
        sa.Column("grant_id", sa.Text),
        sa.Column("issued_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("list_id", "idx", name="pk_tokens_statuses"),
    )
    op.create_index("ix_tokens_statuses_expires_at", "tokens_statuses", ["expires_at"])
    op.create_index("ix_tokens_revoked_expires_at", "tokens_revoked", ["expires_at"])
    op.create_index("ix_tokens_assertions_expires_at", "tokens_assertions", ["expires_at"])
