"""drafts and versions of the gateway's configuration."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Create the tables."""
    op.add_column("gateway_snapshots", sa.Column("comment", sa.Text, nullable=False, server_default=""))
    for name in ("services", "routes", "octets"):
        op.add_column("gateway_snapshots", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "gateway_drafts",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("base", sa.Integer, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_gateway_drafts"),
    )
    op.create_table(
        "gateway_draft_changes",
        sa.Column("draft", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("content", sa.Text),
        sa.Column("before", sa.Text),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("draft", "kind", "name", name="pk_gateway_draft_changes"),
    )
