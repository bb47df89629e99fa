"""how long each gateway took to refuse a token of no use that was revoked."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "gateway_canary",
        sa.Column("proxy", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("micros", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("proxy", "at", name="pk_gateway_canary"),
    )
