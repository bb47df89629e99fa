"""Not used yet."""

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Nothing to do yet."""
