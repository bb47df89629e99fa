"""endpoints that services register, and breakers that were forced."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "gateway_endpoints",
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("weight", sa.Integer, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("service", "id", name="pk_gateway_endpoints"),
    )
    op.create_index("ix_gateway_endpoints_expires_at", "gateway_endpoints", ["expires_at"])
    op.create_table(
        "gateway_breakers",
        sa.Column("proxy", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("proxy", "service", name="pk_gateway_breakers"),
    )
    op.create_table(
        "gateway_breaker_orders",
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("wanted", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("service", name="pk_gateway_breaker_orders"),
    )
