"""Other issuers whose tokens the gateway takes, and policies that routes share."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "gateway_token_issuers",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("keys", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("fetched_at", sa.BigInteger),
        sa.Column("failed_at", sa.BigInteger),
        sa.Column("failure", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_gateway_token_issuers"),
        sa.UniqueConstraint("issuer", name="uq_gateway_token_issuers_issuer"),
    )
    op.create_table(
        "gateway_policies",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_gateway_policies"),
    )
