"""oauth: requests that wait for their person on another device, and trusted issuers of assertions."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "oauth_waiting",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text),
        sa.Column("user_code", sa.LargeBinary),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("audiences", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("pause", sa.Integer, nullable=False),
        sa.Column("asked_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("grant_id", sa.Text),
        sa.Column("particulars", sa.Text, nullable=False),
        sa.Column("tell_at", sa.BigInteger),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_oauth_waiting"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients_clients.id"], name="fk_oauth_waiting_client_id", ondelete="CASCADE"
        ),
    )
    op.create_index("uq_oauth_waiting_user_code", "oauth_waiting", ["user_code"], unique=True)
    for column in ("client_id", "user_id", "expires_at"):
        op.create_index(f"ix_oauth_waiting_{column}", "oauth_waiting", [column])
    told = sa.text("tell_at IS NOT NULL")
    op.create_index("ix_oauth_waiting_tell_at", "oauth_waiting", ["tell_at"], sqlite_where=told, postgresql_where=told)
    op.create_table(
        "oauth_issuers",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("jwks", sa.Text),
        sa.Column("jwks_uri", sa.Text),
        sa.Column("audience", sa.Text),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_oauth_issuers"),
    )
    op.create_index("uq_oauth_issuers_issuer", "oauth_issuers", ["issuer"], unique=True)
