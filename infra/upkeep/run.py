"""Do one chore by its name.

In: `Settings`, a name of `CHORES`. Out: `Done`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from infra.errors import RefusedError
from infra.settings import Settings
from infra.upkeep.backup import backup
from infra.upkeep.chores import CHORES, Done
from infra.upkeep.logs import clean_logs
from infra.upkeep.snapshots import check_snapshots
from infra.upkeep.statistics import refresh_statistics

_DOES: Final[dict[str, Callable[[Settings], Done]]] = {
    "snapshots": check_snapshots,
    "backup": backup,
    "logs": clean_logs,
    "statistics": refresh_statistics,
}


def run_chore(settings: Settings, chore: str) -> Done:
    """Do the chore; RefusedError when there is no such one, PayeshError when it fails."""
    if chore not in _DOES:
        raise RefusedError(f"there is no chore {chore}", "", f"one of {', '.join(CHORES)}")
    return _DOES[chore](settings)
