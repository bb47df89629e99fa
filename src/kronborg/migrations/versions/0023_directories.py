"""federation: LDAP directories, and the accounts of their people."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Create the two tables."""
    op.create_table(
        "federation_directories",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("bind_password", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("sync", sa.Text),
        sa.PrimaryKeyConstraint("key", name="pk_federation_directories"),
    )
    op.create_table(
        "federation_directory_people",
        sa.Column("directory", sa.Text, nullable=False),
        sa.Column("entry_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("shut", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("directory", "entry_id", name="pk_federation_directory_people"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_users.id"], name="fk_federation_directory_people_user_id", ondelete="CASCADE"
        ),
    )
    op.create_index("uq_federation_directory_people_user_id", "federation_directory_people", ["user_id"], unique=True)
    op.create_index(
        "ix_federation_directory_people_directory_seen_at",
        "federation_directory_people",
        ["directory", "shut", "seen_at"],
    )
