"""audit: the chain over events and its checkpoints."""

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Nothing yet."""
