"""what the gateway was told to refuse."""

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Create the tables."""
