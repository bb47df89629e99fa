"""reserved."""

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    """Create the tables."""
