"""Settings of clients and APIs, what only some grants and tokens carry, and the secrets that proofs need."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns."""
    for table in ("clients_apis", "clients_clients"):
        op.add_column(table, sa.Column("settings", sa.Text))
    op.add_column("clients_secrets", sa.Column("sealed", sa.Text))
    op.add_column("tokens_grants", sa.Column("details", sa.Text))
    op.add_column("tokens_codes", sa.Column("jkt", sa.Text))
    op.add_column("tokens_access", sa.Column("claims", sa.Text))
