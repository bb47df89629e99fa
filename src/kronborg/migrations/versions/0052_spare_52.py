"""reserved."""

revision = "0052"
down_revision = "0051"


def upgrade() -> None:
    """Create the tables."""
