"""Alembic's door into Harbor: the application's engine and metadata.

Harbor's own commands (`carboy --app harbor db upgrade`) hand their engine over.  The plain
`alembic` command makes an application to find it.
"""

from __future__ import annotations

from typing import Literal

from alembic import context
from harbor import create_app
from harbor.db import Database
from harbor.models import Base, UTCDateTime
from sqlalchemy.engine import Engine


def find_engine() -> Engine:
    given = context.config.attributes.get("engine")
    if isinstance(given, Engine):
        return given
    made: Database = create_app().extensions["harbor.database"]
    return made.engine


def render_item(_kind: str, item: object, _context: object) -> str | Literal[False]:
    """Writes Harbor's own column type as plain SQLAlchemy, so old migrations stay readable."""
    return "sa.DateTime(timezone=True)" if isinstance(item, UTCDateTime) else False


def run_offline(engine: Engine) -> None:
    """Prints the SQL instead of running it (`alembic upgrade head --sql`)."""
    context.configure(
        url=engine.url.render_as_string(hide_password=False),
        target_metadata=Base.metadata,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online(engine: Engine) -> None:
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_item=render_item,
            render_as_batch=engine.dialect.name == "sqlite",  # SQLite cannot alter a column
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline(find_engine())
else:
    run_online(find_engine())
