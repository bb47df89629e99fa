"""reserved."""

revision = "0051"
down_revision = "0050"


def upgrade() -> None:
    """Create the tables."""
