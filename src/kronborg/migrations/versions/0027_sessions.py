"""sessions: what else is kept of one."""

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Nothing yet."""
