"""Products, versions of their plans, subscriptions, and the feed that gateways follow."""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "products_products",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_products_products"),
    )
    op.create_table(
        "products_plan_versions",
        sa.Column("product", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("product", "plan", "version", name="pk_products_plan_versions"),
        sa.ForeignKeyConstraint(
            ["product"],
            ["products_products.name"],
            name="fk_products_plan_versions_product_products_products",
            ondelete="CASCADE",
        ),
    )
    _subscriptions()
    op.create_table(
        "products_entitlements",
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("client_id", "product", "environment", "subscription", "key", "standing")
        ),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_products_entitlements"),
    )
    op.create_index("ix_products_entitlements_at", "products_entitlements", ["at"])
    head = op.create_table(
        "products_entitlements_head",
        sa.Column("one", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("floor", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("one", name="pk_products_entitlements_head"),
    )
    op.bulk_insert(head, [{"one": 1, "seq": 0, "floor": 0}])


def _subscriptions() -> None:
    table = "products_subscriptions"
    op.create_table(
        table,
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("team_id", sa.Text),
        sa.Column("product", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("environment", "state", "standing")),
        sa.Column("starts_at", sa.BigInteger),
        sa.Column("ends_at", sa.BigInteger),
        sa.Column("follows", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_products_subscriptions"),
    )
    op.create_index("ix_products_subscriptions_client_id", table, ["client_id", "product", "environment"])
    for name in ("team_id", "product", "state"):
        op.create_index(f"ix_products_subscriptions_{name}", table, [name, "id"])
    for name in ("starts_at", "ends_at"):
        op.create_index(f"ix_products_subscriptions_{name}", table, [name])
