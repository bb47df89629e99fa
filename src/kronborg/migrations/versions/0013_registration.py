"""clients: those that came without an administrator, and initial access tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_IN_BROWSERS = sa.text("web_origins <> '[]'")


def upgrade() -> None:
    """Create the two tables, and find the clients that run in browsers by an index."""
    op.create_index(
        "ix_clients_clients_web_origins",
        "clients_clients",
        ["id"],
        sqlite_where=_IN_BROWSERS,
        postgresql_where=_IN_BROWSERS,
    )
    op.create_table(
        "clients_dynamic",
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("token_id", sa.Text),
        sa.Column("unused", sa.Integer, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("checked_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("client_id", name="pk_clients_dynamic"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients_clients.id"], name="fk_clients_dynamic_client_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_clients_dynamic_expires_at", "clients_dynamic", ["expires_at"])
    op.create_index("ix_clients_dynamic_token_id", "clients_dynamic", ["token_id"])
    op.create_table(
        "clients_initial_tokens",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("max_uses", sa.Integer, nullable=False),
        sa.Column("uses", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clients_initial_tokens"),
        sa.UniqueConstraint("digest", name="uq_clients_initial_tokens_digest"),
    )
