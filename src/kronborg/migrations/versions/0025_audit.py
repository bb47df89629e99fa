"""audit: the chain over events and its checkpoints; what waits for the worker; events that nobody changes."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"

_SQLITE = (
    """
    CREATE TRIGGER core_events_recorded AFTER INSERT ON core_events
    BEGIN INSERT INTO core_unsealed (seq, news) VALUES (NEW.seq, 1); END
    """,
    """
    CREATE TRIGGER core_events_no_update BEFORE UPDATE ON core_events
    BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END
    """,
    """
    CREATE TRIGGER core_events_no_delete BEFORE DELETE ON core_events
    WHEN NOT EXISTS (SELECT 1 FROM audit_chain c, audit_head h WHERE c.seq = OLD.seq AND h.one = 1 AND c.n <= h.floor)
    BEGIN SELECT RAISE(ABORT, 'an event is deleted only below the floor of the chain'); END
    """,
    """
    CREATE TRIGGER audit_chain_no_update BEFORE UPDATE ON audit_chain
    BEGIN SELECT RAISE(ABORT, 'a link is never changed'); END
    """,
    """
    CREATE TRIGGER audit_chain_no_delete BEFORE DELETE ON audit_chain
    WHEN OLD.n > (SELECT floor FROM audit_head WHERE one = 1)
    BEGIN SELECT RAISE(ABORT, 'a link is deleted only below the floor of the chain'); END
    """,
    """
    CREATE TRIGGER audit_checkpoints_no_update BEFORE UPDATE ON audit_checkpoints
    BEGIN SELECT RAISE(ABORT, 'a checkpoint is never changed'); END
    """,
    """
    CREATE TRIGGER audit_checkpoints_no_delete BEFORE DELETE ON audit_checkpoints
    BEGIN SELECT RAISE(ABORT, 'a checkpoint is never deleted'); END
    """,
)

_POSTGRES = (
    """
    CREATE FUNCTION core_events_recorded() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO core_unsealed (seq, news) VALUES (NEW.seq, 1); RETURN NULL; END $$
    """,
    """
    CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME; END $$
    """,
    """
    CREATE FUNCTION core_events_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF EXISTS (SELECT 1 FROM audit_chain c, audit_head h WHERE c.seq = OLD.seq AND h.one = 1 AND c.n <= h.floor) THEN
        RETURN OLD;
      END IF;
      RAISE EXCEPTION 'an event is deleted only below the floor of the chain';
    END $$
    """,
    """
    CREATE FUNCTION audit_chain_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF OLD.n <= (SELECT floor FROM audit_head WHERE one = 1) THEN RETURN OLD; END IF;
      RAISE EXCEPTION 'a link is deleted only below the floor of the chain';
    END $$
    """,
    "CREATE TRIGGER core_events_recorded AFTER INSERT ON core_events"
    " FOR EACH ROW EXECUTE FUNCTION core_events_recorded()",
    "CREATE TRIGGER core_events_no_update BEFORE UPDATE ON core_events FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER core_events_no_delete BEFORE DELETE ON core_events"
    " FOR EACH ROW EXECUTE FUNCTION core_events_no_delete()",
    "CREATE TRIGGER core_events_no_truncate BEFORE TRUNCATE ON core_events EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_chain_no_update BEFORE UPDATE ON audit_chain FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_chain_no_delete BEFORE DELETE ON audit_chain"
    " FOR EACH ROW EXECUTE FUNCTION audit_chain_no_delete()",
    "CREATE TRIGGER audit_chain_no_truncate BEFORE TRUNCATE ON audit_chain EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_checkpoints_no_change BEFORE UPDATE OR DELETE ON audit_checkpoints"
    " FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_checkpoints_no_truncate BEFORE TRUNCATE ON audit_checkpoints EXECUTE FUNCTION audit_refuse()",
)


def upgrade() -> None:
    """Create the tables and triggers; what happened before is sealed too, and handed to nobody again."""
    _create_core()
    _create_audit()
    news = "CASE WHEN handled_at IS NULL THEN 1 ELSE 0 END"
    op.execute(f"INSERT INTO core_unsealed (seq, news) SELECT seq, {news} FROM core_events")  # noqa: S608  # our own text
    op.drop_index("ix_core_events_waiting", "core_events")
    # Not by alembic: on SQLite it would copy the whole table.
    op.execute("ALTER TABLE core_events DROP COLUMN handled_at")
    op.create_index("ix_core_events_name", "core_events", ["name", "seq"])
    op.create_index("ix_core_events_actor", "core_events", ["actor", "seq"])
    op.create_index("ix_core_events_at", "core_events", ["at"])
    asked = sa.text("request_id <> ''")
    op.create_index(
        "ix_core_events_request_id", "core_events", ["request_id"], sqlite_where=asked, postgresql_where=asked
    )
    for statement in _SQLITE if _is_sqlite() else _POSTGRES:
        op.execute(statement)


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _create_core() -> None:
    op.create_table(
        "core_unsealed",
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("news", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_core_unsealed"),
    )
    op.create_table(
        "core_person_keys",
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("person", name="pk_core_person_keys"),
    )


def _create_audit() -> None:
    op.create_table(
        "audit_chain",
        sa.Column("n", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("link", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("n", name="pk_audit_chain"),
    )
    op.create_index("uq_audit_chain_seq", "audit_chain", ["seq"], unique=True)
    head = op.create_table(
        "audit_head",
        sa.Column("one", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.Column("link", sa.Text, nullable=False),
        sa.Column("floor", sa.BigInteger, nullable=False),
        sa.Column("floor_link", sa.Text, nullable=False),
        sa.Column("verified", sa.BigInteger, nullable=False),
        sa.Column("verified_at", sa.BigInteger),
        sa.Column("finding", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("one", name="pk_audit_head"),
    )
    zero = "0" * 64
    op.bulk_insert(
        head, [{"one": 1, "n": 0, "link": zero, "floor": 0, "floor_link": zero, "verified": 0, "finding": ""}]
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("k", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.Column("link", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kid", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("k", name="pk_audit_checkpoints"),
    )
    op.create_table(
        "audit_keys",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("public", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("retired_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_audit_keys"),
    )
    op.create_table(
        "audit_tasks",
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("handler", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("seq", "handler", name="pk_audit_tasks"),
    )
    op.create_index("ix_audit_tasks_next_at", "audit_tasks", ["next_at", "seq"])
