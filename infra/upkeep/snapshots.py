"""Read kept bytes again and hold them against their hashes.

In: `raw.snapshot`, the snapshot store. Out: everything received since the last check and a sample
of `PAYESH_SNAPSHOT_SAMPLE` (200) older snapshots re-read; the last checked snapshot is remembered
in `<PAYESH_HOME>/upkeep.json` only when all were sound. Repairs nothing, deletes nothing.
Run it: `payesh upkeep snapshots`
"""

from __future__ import annotations

import json
from pathlib import Path

from infra.errors import PayeshError
from infra.postgres.connect import connect
from infra.settings import Settings
from infra.upkeep.chores import Done, number_of
from ingestion.errors import SnapshotError
from ingestion.snapshots import SnapshotStore

_SHOWN = 5


def check_snapshots(settings: Settings) -> Done:
    """Re-read what is new and a sample of the rest; PayeshError names what is missing or damaged.

    The sample changes with the day, so that in time every snapshot is read again.
    """
    sample = number_of("PAYESH_SNAPSHOT_SAMPLE", 200, least=0)
    memory = settings.home / "upkeep.json"
    last = _last_checked(memory)
    with connect(settings, "ingest") as connection:
        new = connection.execute(
            "select snapshot_id, source, parts from raw.snapshot where snapshot_id > %s"
            " order by snapshot_id",
            [last],
        ).fetchall()
        old = connection.execute(
            "select snapshot_id, source, parts from raw.snapshot where snapshot_id <= %s"
            " order by md5(snapshot_id::text || %s) limit %s",
            [last, settings.now().date().isoformat(), sample],
        ).fetchall()
    store = SnapshotStore(settings.snapshots_url)
    read: set[str] = set()
    size = 0
    faults: list[str] = []
    for snapshot_id, source, parts in [*new, *old]:
        for part in parts:
            sha = str(part["sha256"])
            if sha in read:
                continue
            read.add(sha)
            try:
                size += sum(len(block) for block in store.blocks(sha))
            except SnapshotError as error:
                faults.append(f"snapshot {snapshot_id} of {source}: {error.message}")
    if faults:
        more = f" (and {len(faults) - _SHOWN} more)" if len(faults) > _SHOWN else ""
        raise PayeshError(
            f"{len(faults)} kept files are not what was stored: "
            + "; ".join(faults[:_SHOWN])
            + more,
            settings.snapshots_url,
            "restore these objects from the store's copy; see the runbook snapshot-damaged",
        )
    if new:
        _remember(memory, int(new[-1][0]))
    return Done(
        "snapshots",
        f"{len(read)} kept files of {len(new)} new and {len(old)} older snapshots read again, all"
        f" sound ({size / 1e6:.1f} MB)",
        {"new": len(new), "sampled": len(old), "files": len(read), "bytes": size},
    )


def _last_checked(memory: Path) -> int:
    try:
        return int(json.loads(memory.read_text(encoding="utf-8"))["last_snapshot_id"])
    except (OSError, ValueError, KeyError):
        # No memory, or half of one: everything is new.
        return 0


def _remember(memory: Path, snapshot_id: int) -> None:
    draft = memory.with_suffix(".part")
    draft.write_text(json.dumps({"last_snapshot_id": snapshot_id}), encoding="utf-8")
    draft.replace(memory)
