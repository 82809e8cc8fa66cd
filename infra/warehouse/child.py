"""dbt in a process of its own, holding the build lock for exactly as long as dbt works.

In: dbt's arguments; the database from DBT_PG_* (as in profiles.yml); the id of the build in
PAYESH_BUILD_ID, the seeds whose rows have changed in PAYESH_CHANGED_SEEDS.
Out: one JSON object a line on standard output for each node that begins or ends,
dbt's own log files, exit code 0 all well, 1 nodes failed, 2 dbt could not run, 75 busy.
Started by `infra.warehouse.build`; the lock lives here and not in the parent, so a dbt whose
parent was killed still keeps others out until it has ended.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import signal
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

import psycopg

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

BUSY: Final = 75
LOCK: Final = "lock table ops.build_at_work in exclusive mode nowait"
"""Lock of the build schemas: one dbt at a time. Who only reads can't take it."""

_PLACES: Final = frozenset(
    {"--project-dir", "--profiles-dir", "--target-path", "--log-path", "--log-level"}
)
_PR_SET_PDEATHSIG: Final = 1


def main(arguments: list[str]) -> int:
    """Take the lock, run dbt with `arguments`, report its nodes; return the exit code."""
    _end_with_parent()
    environment = os.environ
    with psycopg.connect(
        host=environment["DBT_PG_HOST"],
        port=environment["DBT_PG_PORT"],
        user=environment["DBT_PG_USER"],
        password=environment["DBT_PG_PASSWORD"],
        dbname=environment["DBT_PG_DBNAME"],
        application_name=f"payesh build {environment['PAYESH_BUILD_ID']}",
        # the transaction holds a lock and nothing else: neither rows nor a snapshot
        options=f"-c role={environment['DBT_PG_ROLE']} -c idle_in_transaction_session_timeout=0",
        # a connection that does nothing for an hour may be cut by what lies between
        keepalives_idle=30,
    ) as lock:
        try:
            lock.execute(LOCK)
        except psycopg.errors.LockNotAvailable:
            return BUSY
        return _dbt(arguments)


def _dbt(arguments: list[str]) -> int:
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph import manifest as graph

    # dbt prints for people; those lines go to its log file, here only events are told
    told = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(event: Any) -> None:
        line = _line(event)
        if line is not None:
            told.write(json.dumps(line, ensure_ascii=False) + "\n")

    # Parsed without the night's variables, because dbt parses everything anew whenever they have
    # changed, and they change every night; the build then takes the parsed project as it is.
    result = dbtRunner(callbacks=[tell]).invoke(["parse", *_without_run(arguments)])
    if isinstance(result.result, graph.Manifest):
        os.environ["PAYESH_REFRESHED"] = " ".join(
            made_of(result.result, os.environ.get("PAYESH_CHANGED_SEEDS", "").split())
        )
        result = dbtRunner(manifest=result.result, callbacks=[tell]).invoke(arguments)
    if result.exception is not None:
        told.write(json.dumps({"event": "fault", "text": str(result.exception)}) + "\n")
        return 2
    return 0 if result.success else 1


def made_of(manifest: Manifest, seeds: Collection[str]) -> list[str]:
    """Return the ids of all models that are made of these seeds, directly or through others."""
    from dbt.artifacts.resources.types import NodeType

    reached = {
        unique_id
        for unique_id, node in manifest.nodes.items()
        if node.resource_type is NodeType.Seed and node.name in seeds
    }
    found: set[str] = set()
    while reached:
        reached = {
            unique_id
            for unique_id, node in manifest.nodes.items()
            if node.resource_type is NodeType.Model and reached & set(node.depends_on_nodes)
        } - found
        found |= reached
    return sorted(found)


def _without_run(arguments: list[str]) -> list[str]:
    """Return the arguments that say where the project is and where dbt writes, no others."""
    kept: list[str] = []
    for name, value in itertools.pairwise(arguments):
        if name in _PLACES:
            kept += [name, value]
    return kept


def _line(event: Any) -> dict[str, Any] | None:
    """Return what is told of a dbt event; None for those that nobody waits for."""
    name = event.info.name
    if name in ("NodeStart", "NodeFinished"):
        node = event.data.node_info
        line: dict[str, Any] = {
            "event": "start" if name == "NodeStart" else "end",
            "unique_id": node.unique_id,
            "resource_type": node.resource_type,
            "name": node.node_name,
            "materialized": node.materialized,
        }
        if name == "NodeFinished":
            line["status"] = event.data.run_result.status
            line["seconds"] = round(event.data.run_result.execution_time, 3)
        return line
    if name == "ConcurrencyLine":
        return {"event": "plan", "nodes": event.data.node_count}
    if event.info.level == "error" and name in (
        "MainEncounteredError",
        "RunningOperationCaughtError",
    ):
        return {"event": "fault", "text": event.info.msg}
    return None


def _end_with_parent() -> None:
    """Ask the kernel to end this process when its parent does (Linux; elsewhere nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
