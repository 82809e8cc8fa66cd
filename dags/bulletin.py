"""Weekly: the Cabinet's bulletin of the standing release, as one Persian page.

In: the marts of the newest release. Out: one HTML file under `<PAYESH_HOME>/bulletins`.
Run it: `payesh bulletin`, or trigger `bulletin` in the user interface
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from infra.airflow import policy

with DAG(**policy.bulletin_dag()) as dag:

    @task(execution_timeout=policy.RELEASE_TIMEOUT)
    def bulletin() -> dict[str, Any]:
        """Write the bulletin of the newest release; the same release gives the same bytes."""
        from infra.airflow import tasks

        return tasks.bulletin()

    bulletin()
