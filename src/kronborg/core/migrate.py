"""Bring the schema up to date; the wheel carries its own migrations."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, make_url

SCRIPTS = Path(__file__).resolve().parent.parent / "migrations"
_ADVISORY_LOCK = 0x6B726F6E  # "kron": one migration at a time on PostgreSQL


def sync_url(url: str) -> str:
    """The URL with the driver that migrations use."""
    target = make_url(url)
    if target.get_backend_name() == "postgresql":
        target = target.set(drivername="postgresql+psycopg")
    return target.render_as_string(hide_password=False)


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration, bound to an open connection."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    return config


def migrate(url: str) -> None:
    """Upgrade the database at `url` to the newest revision. Blocking: run it before the event loop starts."""
    engine = create_engine(sync_url(url))
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            else:
                connection.exec_driver_sql("PRAGMA busy_timeout=10000")
                # Only a file that is still empty takes it: room that is free can be given back, in small steps.
                connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")
            command.upgrade(alembic_config(connection), "head")
    finally:
        engine.dispose()
