"""reserved."""

revision = "0048"
down_revision = "0047"


def upgrade() -> None:
    """Create the tables."""
