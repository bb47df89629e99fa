"""A line of keys for each algorithm."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_LIVE = sa.text("state IN ('next', 'active')")


def upgrade() -> None:
    """Every key so far signs with ES256."""
    op.add_column("tokens_keys", sa.Column("alg", sa.Text, nullable=False, server_default="ES256"))
    op.drop_index("uq_tokens_keys_live", "tokens_keys")
    op.create_index(
        "uq_tokens_keys_live",
        "tokens_keys",
        ["alg", "state"],
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )
