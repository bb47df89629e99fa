"""Gateway: services, routes, published snapshots, deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables of the gateway."""
    for name in ("gateway_services", "gateway_routes"):
        op.create_table(
            name,
            sa.Column("name", sa.Text, nullable=False),
            sa.Column("content", sa.Text, nullable=False),
            sa.Column("updated_at", sa.BigInteger, nullable=False),
            sa.PrimaryKeyConstraint("name", name=f"pk_{name}"),
        )
    op.create_table(
        "gateway_snapshots",
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_gateway_snapshots"),
    )
    op.create_table(
        "gateway_deliveries",
        sa.Column("proxy", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("proxy", "version", name="pk_gateway_deliveries"),
    )
