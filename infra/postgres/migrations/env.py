"""Alembic's entry: runs the revisions on the connection that `infra.postgres.migrate` opened.

In: `config.attributes["connection"]`, in a transaction that holds the migration lock.
Run it: `payesh migrate`
"""

from __future__ import annotations

from alembic import context

from infra.errors import RefusedError
from infra.postgres.migrate import VERSION_TABLE

connection = context.config.attributes.get("connection")
if connection is None:
    raise RefusedError(
        "migrations are not run by alembic's own command",
        "infra/postgres/migrations",
        "run `payesh migrate`: it takes the lock and makes the roles",
    )

context.configure(
    connection=connection,
    version_table=VERSION_TABLE,
    version_table_schema="public",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
