"""counters of quotas."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "quota_counters",
        sa.Column("quota", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("quota", "identity", "start", name="pk_quota_counters"),
    )
    op.create_index("ix_quota_counters_ends_at", "quota_counters", ["ends_at"])
    op.create_table(
        "quota_resets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("quota", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_quota_resets"),
    )
