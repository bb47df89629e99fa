"""API keys and personal access tokens."""

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Create the tables."""
