"""accounts: single-use links and what strangers asked for by mail; core: how many letters an address was sent."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "core_letter_counts",
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("letters", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_core_letter_counts"),
    )
    op.create_index("ix_core_letter_counts_since", "core_letter_counts", ["since"])
    op.create_table(
        "accounts_links",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text),
        sa.Column("held", sa.Text, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_accounts_links"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_users.id"], name="fk_accounts_links_user_id_accounts_users", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_accounts_links_user_id", "accounts_links", ["user_id"])
    op.create_index("ix_accounts_links_expires_at", "accounts_links", ["expires_at"])
    op.create_table(
        "accounts_asked",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts_asked"),
    )
    op.create_index("ix_accounts_asked_asked_at", "accounts_asked", ["asked_at"])
