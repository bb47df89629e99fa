"""certificates of listeners."""

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    """Create the tables."""
