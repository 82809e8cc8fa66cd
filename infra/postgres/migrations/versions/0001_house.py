"""The house: roles, raw records with their ledger, operations, quality, releases.

Revision 0001: executes `sql/0001_*.sql`.
"""

from __future__ import annotations

from alembic import op

from infra.errors import RefusedError
from infra.postgres.migrations import apply_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    apply_sql(op.get_bind(), revision)


def downgrade() -> None:
    raise RefusedError(
        f"revision {revision} can't be taken back",
        "infra/postgres/migrations",
        "published releases stay readable: restore a backup, or write a further revision",
    )
