"""clients: APIs and their scopes, clients and their secrets."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the four tables."""
    op.create_table(
        "clients_apis",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("audience", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("token_format", sa.Text, nullable=False),
        sa.Column("token_lifetime", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clients_apis"),
        sa.UniqueConstraint("audience", name="uq_clients_apis_audience"),
    )
    op.create_table(
        "clients_scopes",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("api_id", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_clients_scopes"),
        sa.ForeignKeyConstraint(["api_id"], ["clients_apis.id"], name="fk_clients_scopes_api_id", ondelete="CASCADE"),
    )
    op.create_index("ix_clients_scopes_api_id", "clients_scopes", ["api_id"])
    op.create_table(
        "clients_clients",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("auth_method", sa.Text, nullable=False),
        sa.Column("redirect_uris", sa.Text, nullable=False),
        sa.Column("post_logout_redirect_uris", sa.Text, nullable=False),
        sa.Column("web_origins", sa.Text, nullable=False),
        sa.Column("grants", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("audiences", sa.Text, nullable=False),
        sa.Column("jwks", sa.Text),
        sa.Column("first_party", sa.Boolean, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clients_clients"),
    )
    op.create_table(
        "clients_secrets",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("last_used_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_clients_secrets"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients_clients.id"], name="fk_clients_secrets_client_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_clients_secrets_client_id", "clients_secrets", ["client_id"])
