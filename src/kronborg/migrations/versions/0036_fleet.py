"""gateway nodes and how they join."""

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Create the tables."""
