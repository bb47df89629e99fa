"""Accounts: users, groups, memberships."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables of people and groups."""
    op.create_table(
        "accounts_users",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("username_key", sa.Text, nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("email_key", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts_users"),
        sa.UniqueConstraint("username_key", name="uq_accounts_users_username_key"),
        sa.UniqueConstraint("email_key", name="uq_accounts_users_email_key"),
    )
    op.create_table(
        "accounts_groups",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts_groups"),
        sa.UniqueConstraint("name_key", name="uq_accounts_groups_name_key"),
    )
    op.create_table(
        "accounts_memberships",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("group_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "group_id", name="pk_accounts_memberships"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_users.id"], name="fk_accounts_memberships_user_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["group_id"], ["accounts_groups.id"], name="fk_accounts_memberships_group_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_accounts_memberships_group_id", "accounts_memberships", ["group_id"])
