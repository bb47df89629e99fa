"""certificates of listeners, accounts at ACME servers, open challenges."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "certificates_certificates",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hosts", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("chain", sa.Text, nullable=False),
        sa.Column("not_before", sa.BigInteger),
        sa.Column("not_after", sa.BigInteger),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("failure", sa.Text, nullable=False),
        sa.Column("tried_at", sa.BigInteger),
        sa.Column("updated_at", sa.BigInteger),
        sa.Column("sealed_key", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_certificates_certificates"),
    )
    op.create_table(
        "certificates_accounts",
        sa.Column("directory", sa.Text, nullable=False),
        sa.Column("sealed_key", sa.Text, nullable=False),
        sa.Column("registration", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("directory", name="pk_certificates_accounts"),
    )
    op.create_table(
        "certificates_challenges",
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("token", name="pk_certificates_challenges"),
    )
    op.create_index("ix_certificates_challenges_expires_at", "certificates_challenges", ["expires_at"])
