"""Core: the event table (audit log and outbox)."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the table of events."""
    op.create_table(
        "core_events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("handled_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("seq", name="pk_core_events"),
        sa.UniqueConstraint("id", name="uq_core_events_id"),
    )
    waiting = sa.text("handled_at IS NULL")
    op.create_index("ix_core_events_waiting", "core_events", ["seq"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_index("ix_core_events_subject", "core_events", ["subject", "seq"])
