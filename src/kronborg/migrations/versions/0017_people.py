"""accounts: proved addresses, languages, attributes, kinds of accounts and who manages them."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("accounts_users", sa.Column("email_verified_at", sa.BigInteger))
    op.add_column("accounts_users", sa.Column("locale", sa.Text, nullable=False, server_default=""))
    op.add_column("accounts_users", sa.Column("attributes", sa.Text, nullable=False, server_default="{}"))
    op.add_column("accounts_users", sa.Column("kind", sa.Text, nullable=False, server_default="person"))
    op.add_column("accounts_users", sa.Column("managed_by", sa.Text, nullable=False, server_default=""))
