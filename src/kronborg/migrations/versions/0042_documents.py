"""OpenAPI documents of services."""

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    """Create the tables."""
