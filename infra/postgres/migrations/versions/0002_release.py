"""Releases: history that stands, publishing as a function of the owner's, lineage, live views.

Revision 0002: executes `sql/0002_*.sql`.
"""

from __future__ import annotations

from alembic import op

from infra.errors import RefusedError
from infra.postgres.migrations import apply_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    apply_sql(op.get_bind(), revision)


def downgrade() -> None:
    raise RefusedError(
        f"revision {revision} can't be taken back",
        "infra/postgres/migrations",
        "published releases stay readable: restore a backup, or write a further revision",
    )
