"""factors: authenticators, passkeys, recovery codes, remembered browsers."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "factors_factors",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hint", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("credential_id", sa.LargeBinary),
        sa.Column("public_key", sa.LargeBinary),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("transports", sa.Text, nullable=False),
        sa.Column("backup_eligible", sa.Boolean, nullable=False),
        sa.Column("backed_up", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_factors_factors"),
        sa.UniqueConstraint("credential_id", name="uq_factors_factors_credential_id"),
        _of_user("factors_factors"),
    )
    op.create_index("ix_factors_factors_user_id", "factors_factors", ["user_id", "kind"])
    op.create_table(
        "factors_recovery_codes",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("user_id", "digest", name="pk_factors_recovery_codes"),
        _of_user("factors_recovery_codes"),
    )
    op.create_table(
        "factors_sent_codes",
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("tries_left", sa.Integer, nullable=False),
        sa.Column("sent_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_factors_sent_codes"),
        _of_user("factors_sent_codes"),
    )
    op.create_index("ix_factors_sent_codes_user_id", "factors_sent_codes", ["user_id", "sent_at"])
    op.create_index("ix_factors_sent_codes_expires_at", "factors_sent_codes", ["expires_at"])
    op.create_table(
        "factors_browsers",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_factors_browsers"),
        sa.UniqueConstraint("digest", name="uq_factors_browsers_digest"),
        _of_user("factors_browsers"),
    )
    op.create_index("ix_factors_browsers_user_id", "factors_browsers", ["user_id"])
    op.create_index("ix_factors_browsers_expires_at", "factors_browsers", ["expires_at"])
    op.create_table(
        "factors_spent",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_factors_spent"),
    )
    op.create_index("ix_factors_spent_expires_at", "factors_spent", ["expires_at"])


def _of_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["accounts_users.id"], name=f"fk_{table}_user_id", ondelete="CASCADE")
