"""Teams of developers, their members, invitations and apps."""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "teams_teams",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("customer", sa.Text, nullable=False),
        sa.Column("suspended", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_teams_teams"),
    )
    op.create_index("ix_teams_teams_name", "teams_teams", ["name"])
    op.create_table(
        "teams_members",
        sa.Column("team_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("team_id", "user_id", name="pk_teams_members"),
        _of_team("teams_members"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_users.id"], name="fk_teams_members_user_id_accounts_users", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_teams_members_user_id", "teams_members", ["user_id"])
    op.create_table(
        "teams_invitations",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("id", "team_id", "email", "role", "invited_by")),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_teams_invitations"),
        _of_team("teams_invitations"),
    )
    op.create_index("ix_teams_invitations_team_id", "teams_invitations", ["team_id"])
    op.create_index("ix_teams_invitations_expires_at", "teams_invitations", ["expires_at"])
    op.create_table(
        "teams_apps",
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("team_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("client_id", name="pk_teams_apps"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients_clients.id"], name="fk_teams_apps_client_id_clients_clients", ondelete="CASCADE"
        ),
        _of_team("teams_apps", "RESTRICT"),
    )
    op.create_index("ix_teams_apps_team_id", "teams_apps", ["team_id"])


def _of_team(table: str, ondelete: str = "CASCADE") -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_team_id_teams_teams"
    return sa.ForeignKeyConstraint(["team_id"], ["teams_teams.id"], name=name, ondelete=ondelete)
