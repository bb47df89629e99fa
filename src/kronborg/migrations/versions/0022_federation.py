"""federation: identity providers and the accounts linked to them."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "federation_providers",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("secret", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_federation_providers"),
    )
    op.create_table(
        "federation_identities",
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("shown", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("provider", "subject", name="pk_federation_identities"),
        sa.ForeignKeyConstraint(
            ["provider"],
            ["federation_providers.key"],
            name="fk_federation_identities_provider",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_users.id"], name="fk_federation_identities_user_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_federation_identities_user_id", "federation_identities", ["user_id"])
    op.create_table(
        "federation_attempts",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_federation_attempts"),
    )
    op.create_index("ix_federation_attempts_expires_at", "federation_attempts", ["expires_at"])
    op.create_table(
        "federation_used",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_federation_used"),
    )
    op.create_index("ix_federation_used_expires_at", "federation_used", ["expires_at"])
