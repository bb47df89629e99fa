"""Not used yet."""

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Nothing to do yet."""
