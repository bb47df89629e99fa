"""factors: authenticators, passkeys, recovery codes, remembered browsers."""

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Nothing yet."""
