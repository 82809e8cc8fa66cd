"""${message}

Revision ${up_revision}, after ${down_revision | comma,n}: executes `sql/${up_revision}_*.sql`.
"""

from __future__ import annotations

from alembic import op

from infra.errors import RefusedError
from infra.postgres.migrations import apply_sql

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    apply_sql(op.get_bind(), revision)


def downgrade() -> None:
    raise RefusedError(
        f"revision {revision} can't be taken back",
        "infra/postgres/migrations",
        "published releases stay readable: restore a backup, or write a further revision",
    )
