"""endpoints that services register, and breakers that were forced."""

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Create the tables."""
