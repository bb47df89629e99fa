"""other issuers whose tokens the gateway takes."""

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """Create the tables."""
