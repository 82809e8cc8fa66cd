"""Weekly upkeep: check the kept bytes, back up and prove it, clean logs, refresh statistics.

In: the database, the snapshot store, the logs. Out: a proven backup under `<PAYESH_HOME>/backups`,
a failed task where kept bytes are damaged. Deletes nothing of raw, history or the snapshots.
Run it: `payesh upkeep`, or trigger `upkeep` in the user interface
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from infra.airflow import policy

with DAG(**policy.upkeep_dag()) as dag:

    @task(execution_timeout=policy.CHORE_TIMEOUT)
    def snapshots() -> dict[str, Any]:
        """Read new and some old kept bytes again and hold them against their hashes."""
        from infra.airflow import tasks

        return tasks.chore("snapshots")

    @task(execution_timeout=policy.CHORE_TIMEOUT)
    def backup() -> dict[str, Any]:
        """Dump the database, restore it elsewhere, count every row, keep it when all are there."""
        from infra.airflow import tasks

        return tasks.chore("backup")

    @task(execution_timeout=policy.CHORE_TIMEOUT)
    def logs() -> dict[str, Any]:
        """Remove old task logs and old runs of Airflow's own tables."""
        from infra.airflow import tasks

        return tasks.chore("logs")

    @task(execution_timeout=policy.CHORE_TIMEOUT)
    def statistics() -> dict[str, Any]:
        """Analyse the tables and summarise the BRIN indexes."""
        from infra.airflow import tasks

        return tasks.chore("statistics")

    # one slot of the pool: one after the other, each whatever became of the others
    snapshots()
    backup()
    logs()
    statistics()
