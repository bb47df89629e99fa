"""grants of a user and of a client in their order, for lists of many."""

from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Indexes that hold the order too take the place of those that do not."""
    for column in ("user", "client"):
        op.create_index(f"ix_tokens_grants_{column}", "tokens_grants", [f"{column}_id", "id"])
        op.drop_index(f"ix_tokens_grants_{column}_id", "tokens_grants")
