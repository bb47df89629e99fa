"""access records."""

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    """Create the tables."""
