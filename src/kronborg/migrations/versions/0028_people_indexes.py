"""indexes that lists and searches of a million people need."""

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Nothing yet."""
