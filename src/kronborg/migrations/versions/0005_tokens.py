"""tokens: signing keys, grants, codes, refresh tokens, reference tokens, revocations, used assertions."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_LIVE = sa.text("state IN ('next', 'active')")
_UNUSED = sa.text("used_at IS NULL")


def upgrade() -> None:
    """Create the tables."""
    _create_keys()
    _create_grants()
    for table in ("codes", "refresh"):
        _create_grant_child(table)
    op.create_index(
        "ix_tokens_codes_unused", "tokens_codes", ["expires_at"], sqlite_where=_UNUSED, postgresql_where=_UNUSED
    )
    op.create_index("ix_tokens_refresh_expires_at", "tokens_refresh", ["expires_at"])
    _create_access()
    for table, key, kind, moment in (
        ("revoked", "jti", sa.Text, "expires_at"),
        ("cutoffs", "client_id", sa.Text, "not_before"),
        ("assertions", "digest", sa.LargeBinary, "expires_at"),
    ):
        op.create_table(
            f"tokens_{table}",
            sa.Column(key, kind, nullable=False),
            sa.Column(moment, sa.BigInteger, nullable=False),
            sa.PrimaryKeyConstraint(key, name=f"pk_tokens_{table}"),
        )


def _create_keys() -> None:
    op.create_table(
        "tokens_keys",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("public_jwk", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("activated_at", sa.BigInteger),
        sa.Column("retired_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_tokens_keys"),
    )
    op.create_index(
        "uq_tokens_keys_live", "tokens_keys", ["state"], unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
    )


def _create_grants() -> None:
    op.create_table(
        "tokens_grants",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("audiences", sa.Text, nullable=False),
        sa.Column("auth_time", sa.BigInteger, nullable=False),
        sa.Column("amr", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_tokens_grants"),
    )
    for column in ("user_id", "client_id", "session_id", "expires_at"):
        op.create_index(f"ix_tokens_grants_{column}", "tokens_grants", [column])


def _create_grant_child(table: str) -> None:
    own: dict[str, list[sa.Column[object]]] = {
        "codes": [
            sa.Column("redirect_uri", sa.Text),
            sa.Column("challenge", sa.Text),
            sa.Column("nonce", sa.Text),
            sa.Column("expires_at", sa.BigInteger, nullable=False),
            sa.Column("used_at", sa.BigInteger),
        ],
        "refresh": [
            sa.Column("expires_at", sa.BigInteger, nullable=False),
            sa.Column("rotated_at", sa.BigInteger),
            sa.Column("salt", sa.LargeBinary),
        ],
    }
    op.create_table(
        f"tokens_{table}",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("grant_id", sa.Text, nullable=False),
        *own[table],
        sa.PrimaryKeyConstraint("digest", name=f"pk_tokens_{table}"),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["tokens_grants.id"], name=f"fk_tokens_{table}_grant_id", ondelete="CASCADE"
        ),
    )
    op.create_index(f"ix_tokens_{table}_grant_id", f"tokens_{table}", ["grant_id"])


def _create_access() -> None:
    op.create_table(
        "tokens_access",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("jti", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("grant_id", sa.Text),
        sa.Column("audience", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("issued_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_tokens_access"),
    )
    op.create_index("ix_tokens_access_expires_at", "tokens_access", ["expires_at"])
