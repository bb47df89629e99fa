"""federation: identity providers and the accounts linked to them."""

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Nothing yet."""
