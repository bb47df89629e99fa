"""provisioning: what SCIM clients keep here."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Create the three tables."""
    for name, account in (("users", "accounts_users"), ("groups", "accounts_groups")):
        table = f"provisioning_{name}"
        op.create_table(
            table,
            sa.Column("id", sa.Text, nullable=False),
            sa.Column("client_id", sa.Text, nullable=False),
            sa.Column("external_id", sa.Text),
            sa.Column("name_key", sa.Text, nullable=False),
            sa.Column("told", sa.Text, nullable=False),
            sa.Column("version", sa.Integer, nullable=False),
            sa.Column("created_at", sa.BigInteger, nullable=False),
            sa.Column("updated_at", sa.BigInteger, nullable=False),
            sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
            sa.ForeignKeyConstraint(["id"], [f"{account}.id"], name=f"fk_{table}_id", ondelete="CASCADE"),
        )
        op.create_index(f"ix_{table}_client_id_id", table, ["client_id", "id"])
        op.create_index(f"ix_{table}_client_id_external_id", table, ["client_id", "external_id"])
        op.create_index(f"uq_{table}_client_id_name_key", table, ["client_id", "name_key"], unique=True)
    op.create_table(
        "provisioning_emails",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("value_key", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "value_key", name="pk_provisioning_emails"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["provisioning_users.id"], name="fk_provisioning_emails_user_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_provisioning_emails_client_id_value_key", "provisioning_emails", ["client_id", "value_key"])
