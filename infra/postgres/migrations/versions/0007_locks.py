"""No reader can hold up a release; personal numbers are shown nowhere; findings say their end.

Revision 0007: executes `sql/0007_*.sql`.
"""

from __future__ import annotations

from alembic import op

from infra.errors import RefusedError
from infra.postgres.migrations import apply_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    apply_sql(op.get_bind(), revision)


def downgrade() -> None:
    raise RefusedError(
        f"revision {revision} can't be taken back",
        "infra/postgres/migrations",
        "published releases stay readable: restore a backup, or write a further revision",
    )
