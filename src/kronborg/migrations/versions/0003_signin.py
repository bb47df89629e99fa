"""Sign-in: passwords, sessions, throttle counters."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables of sign-in."""
    op.create_table(
        "signin_passwords",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_signin_passwords"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_users.id"], name="fk_signin_passwords_user_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "signin_sessions",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("amr", sa.Text, nullable=False),
        sa.Column("auth_time", sa.BigInteger, nullable=False),
        sa.Column("last_seen_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_signin_sessions"),
        sa.UniqueConstraint("digest", name="uq_signin_sessions_digest"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_users.id"], name="fk_signin_sessions_user_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_signin_sessions_user_id", "signin_sessions", ["user_id"])
    op.create_index("ix_signin_sessions_expires_at", "signin_sessions", ["expires_at"])
    op.create_table(
        "signin_attempts",
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("blocked_until", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_signin_attempts"),
    )
    op.create_index("ix_signin_attempts_last_at", "signin_attempts", ["last_at"])
