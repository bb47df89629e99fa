"""sessions: who else vouches for one and what they call it; passwords: those before."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("signin_sessions", sa.Column("vouched_by", sa.Text, nullable=False, server_default=""))
    op.add_column("signin_sessions", sa.Column("told", sa.Text, nullable=False, server_default=""))
    vouched_for = sa.text("vouched_by <> ''")
    op.create_index(
        "ix_signin_sessions_told",
        "signin_sessions",
        ["vouched_by", "told"],
        sqlite_where=vouched_for,
        postgresql_where=vouched_for,
    )
    op.create_table(
        "signin_former_passwords",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "changed_at", name="pk_signin_former_passwords"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_users.id"], name="fk_signin_former_passwords_user_id", ondelete="CASCADE"
        ),
    )
