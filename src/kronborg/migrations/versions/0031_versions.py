"""drafts and versions of the gateway's configuration."""

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Create the tables."""
