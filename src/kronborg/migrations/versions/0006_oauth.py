"""oauth: remembered consents."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table of consents."""
    op.create_table(
        "oauth_consents",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("audiences", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("granted_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "client_id", name="pk_oauth_consents"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_users.id"], name="fk_oauth_consents_user_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients_clients.id"], name="fk_oauth_consents_client_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_oauth_consents_client_id", "oauth_consents", ["client_id"])
