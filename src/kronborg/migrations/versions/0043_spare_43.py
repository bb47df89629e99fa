"""reserved."""

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    """Create the tables."""
