"""What keeps the house in order: proven backups, old logs gone, kept bytes unharmed, fresh plans.

In: `Settings`. Out: one `Done` a chore. No chore ever deletes from raw, history or the snapshots.
Run it: `payesh upkeep`, or the DAG `upkeep`
"""

from infra.upkeep.chores import CHORES, Done

__all__ = ["CHORES", "Done"]
