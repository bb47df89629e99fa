"""OpenAPI documents of services."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "gateway_documents",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("operations", sa.Integer, nullable=False),
        sa.Column("octets", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_gateway_documents"),
    )
    op.create_table(
        "gateway_service_documents",
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("service", name="pk_gateway_service_documents"),
    )
