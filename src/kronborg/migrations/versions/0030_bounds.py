"""how many codes were sent within the hour, and the settings of the last start."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "factors_sendings",
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_factors_sendings"),
    )
    op.create_index("ix_factors_sendings_expires_at", "factors_sendings", ["expires_at"])
    op.create_table(
        "core_last_settings",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("told", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_core_last_settings"),
    )
