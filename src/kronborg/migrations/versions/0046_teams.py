"""reserved."""

revision = "0046"
down_revision = "0045"


def upgrade() -> None:
    """Create the tables."""
