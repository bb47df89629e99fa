"""reserved."""

revision = "0044"
down_revision = "0043"


def upgrade() -> None:
    """Create the tables."""
