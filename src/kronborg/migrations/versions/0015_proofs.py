"""Not used yet."""

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Nothing to do yet."""
