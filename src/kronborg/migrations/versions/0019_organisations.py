"""accounts: nested groups, organisations, roles of APIs and clients, invitations."""

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Nothing yet."""
