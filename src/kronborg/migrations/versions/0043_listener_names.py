"""The names of the listeners of each gateway."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    """Create the table; gateways that joined before have listeners that nobody here knows."""
    listeners = op.create_table(
        "gateway_listeners",
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("node", name="pk_gateway_listeners"),
    )
    nodes = sa.table("fleet_nodes", sa.column("name", sa.Text), sa.column("local", sa.Boolean))
    joined = sa.select(nodes.c.name, sa.literal("*"), sa.literal(0)).where(sa.not_(nodes.c.local))
    op.execute(sa.insert(listeners).from_select(["node", "names", "updated_at"], joined))
