"""oauth: authorization requests that are kept here and named by a reference."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the table of kept requests."""
    op.create_table(
        "oauth_requests",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("signed", sa.Boolean, nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("jkt", sa.Text),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("keep_until", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("digest", name="pk_oauth_requests"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients_clients.id"], name="fk_oauth_requests_client_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_oauth_requests_keep_until", "oauth_requests", ["keep_until"])
    op.create_index("ix_oauth_requests_client_id", "oauth_requests", ["client_id"])
