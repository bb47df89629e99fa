"""counters of quotas."""

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Create the tables."""
