"""Gateway: the objects that kronborg.yaml manages."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the table of managed objects."""
    op.create_table(
        "gateway_declared",
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("mark", sa.Text),
        sa.Column("applied_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("kind", "key", name="pk_gateway_declared"),
    )
