"""API keys and personal access tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "api_keys_keys",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("shown", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text),
        sa.Column("user_id", sa.Text),
        sa.Column("audiences", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("addresses", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("rotated_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_keys_digest"),
    )
    op.create_index("ix_api_keys_keys_client_id", "api_keys_keys", ["client_id"])
    op.create_index("ix_api_keys_keys_user_id", "api_keys_keys", ["user_id"])
