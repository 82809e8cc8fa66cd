"""A column of a published mart may gain room.

Revision 0011: executes `sql/0011_*.sql`.
"""

from __future__ import annotations

from alembic import op

from infra.errors import RefusedError
from infra.postgres.migrations import apply_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    apply_sql(op.get_bind(), revision)


def downgrade() -> None:
    raise RefusedError(
        f"revision {revision} can't be taken back",
        "infra/postgres/migrations",
        "published releases stay readable: restore a backup, or write a further revision",
    )
