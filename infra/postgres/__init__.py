"""The database's doors and its shape.

In: `Settings`. Out: addresses and connections for each role, and a schema that is up to date.
Run it: `payesh migrate`, `payesh url --role bi`, `payesh psql --role transform`
"""

from infra.postgres.connect import (
    Role,
    admin_url,
    bi_url,
    connect,
    ensure_database,
    libpq_environment,
    role_url,
    sqlalchemy_url,
)
from infra.postgres.migrate import Migration, current_revision, head_revision, migrate

__all__ = [
    "Migration",
    "Role",
    "admin_url",
    "bi_url",
    "connect",
    "current_revision",
    "ensure_database",
    "head_revision",
    "libpq_environment",
    "migrate",
    "role_url",
    "sqlalchemy_url",
]
