"""oauth: the log of back-channel logouts. signin: sessions that nobody uses are found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_PENDING = sa.text("state = 'pending'")


def upgrade() -> None:
    """Create the table and the index."""
    op.create_index("ix_signin_sessions_last_seen_at", "signin_sessions", ["last_seen_at"])
    op.create_table(
        "oauth_logouts",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("settled_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_logouts"),
    )
    op.create_index("uq_oauth_logouts_session_client", "oauth_logouts", ["session_id", "client_id"], unique=True)
    op.create_index(
        "ix_oauth_logouts_due", "oauth_logouts", ["next_at"], sqlite_where=_PENDING, postgresql_where=_PENDING
    )
    op.create_index("ix_oauth_logouts_settled_at", "oauth_logouts", ["settled_at"])
