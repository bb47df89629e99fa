"""accounts: nested groups, names to search by, roles that APIs and clients declare, organisations."""

import unicodedata

import orjson
import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_PAGE = 1000


def upgrade() -> None:
    """Add the columns, fill them, create the tables."""
    op.add_column("accounts_users", sa.Column("name_key", sa.Text, nullable=False, server_default=""))
    op.add_column("accounts_groups", sa.Column("parent_id", sa.Text))
    op.add_column("accounts_groups", sa.Column("effective_roles", sa.Text, nullable=False, server_default="[]"))
    op.add_column("accounts_groups", sa.Column("lineage", sa.Text, nullable=False, server_default="[]"))
    if op.get_bind().dialect.name == "postgresql":
        # Searches for a beginning are ranges of code points, whatever the language of the database.
        for table, column in (
            ("accounts_users", "username_key"),
            ("accounts_users", "email_key"),
            ("accounts_users", "name_key"),
            ("accounts_groups", "name_key"),
        ):
            op.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE text COLLATE "C"')
    _fill_users()
    _fill_groups()
    op.create_index("ix_accounts_users_name_key_id", "accounts_users", ["name_key", "id"])
    own = sa.text("roles <> '[]'")
    op.create_index("ix_accounts_users_with_roles", "accounts_users", ["id"], sqlite_where=own, postgresql_where=own)
    op.create_index("ix_accounts_groups_parent_id", "accounts_groups", ["parent_id"])
    op.drop_index("ix_accounts_memberships_group_id", "accounts_memberships")
    op.create_index("ix_accounts_memberships_group_id_user_id", "accounts_memberships", ["group_id", "user_id"])
    _create()


def _fill_users() -> None:
    bind, last = op.get_bind(), ""
    page = sa.text("SELECT id, name FROM accounts_users WHERE id > :last ORDER BY id LIMIT :size")
    change = sa.text("UPDATE accounts_users SET name_key = :key WHERE id = :id")
    while rows := bind.execute(page, {"last": last, "size": _PAGE}).fetchall():
        bind.execute(change, [{"id": row[0], "key": _folded(row[1])} for row in rows])
        last = rows[-1][0]


def _fill_groups() -> None:
    bind = op.get_bind()
    change = sa.text("UPDATE accounts_groups SET effective_roles = roles, lineage = :lineage WHERE id = :id")
    for group_id, name in bind.execute(sa.text("SELECT id, name FROM accounts_groups")).fetchall():
        bind.execute(change, {"id": group_id, "lineage": orjson.dumps([name]).decode()})


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text.strip()).casefold())


def _create() -> None:
    op.create_table(
        "accounts_declared_roles",
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("prefix", "name", name="pk_accounts_declared_roles"),
    )
    op.create_index("ix_accounts_declared_roles_owner", "accounts_declared_roles", ["owner"])
    op.create_table(
        "accounts_organisations",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("slug", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts_organisations"),
        sa.UniqueConstraint("slug", name="uq_accounts_organisations_slug"),
    )
    op.create_table(
        "accounts_domains",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("organisation_id", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("verified_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("name", name="pk_accounts_domains"),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["accounts_organisations.id"],
            ondelete="CASCADE",
            name="fk_accounts_domains_organisation_id",
        ),
    )
    op.create_index("ix_accounts_domains_organisation_id", "accounts_domains", ["organisation_id"])
    op.create_table(
        "accounts_members",
        sa.Column("organisation_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "user_id", name="pk_accounts_members"),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["accounts_organisations.id"],
            ondelete="CASCADE",
            name="fk_accounts_members_organisation_id",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_users.id"], ondelete="CASCADE", name="fk_accounts_members_user_id"
        ),
    )
    op.create_index("ix_accounts_members_user_id", "accounts_members", ["user_id"])
