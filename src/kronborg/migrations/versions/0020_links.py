"""signin: single-use links, the history of passwords."""

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Nothing yet."""
