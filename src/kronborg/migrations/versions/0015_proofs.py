"""DPoP proofs that were used."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "tokens_proofs",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_tokens_proofs"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tokens_proofs_expires_at", "tokens_proofs", ["expires_at"])
