"""The nightly warehouse: judge what arrived, build the marts, judge them, publish a release.

In: the loads that no build has taken in yet. Out: marts in `build`, verdicts in `quality`, and a
release in `history` that every reader sees at once.
Run it: `payesh nightly`, or trigger `warehouse` in the user interface
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from infra.airflow import policy

with DAG(**policy.warehouse_dag()) as dag:

    @task(execution_timeout=policy.GATE_TIMEOUT)
    def raw_gate(**context: Any) -> int:
        """Open a build over the new loads and judge them; each source's fault stays its own."""
        from infra.airflow import tasks

        return tasks.raw_gate(context)

    @task(execution_timeout=policy.BUILD_TIMEOUT)
    def dbt_build(build_id: int) -> int:
        """Build every layer in one dbt run; results of each model go to ops.dbt_run_result."""
        from infra.airflow import tasks

        return tasks.dbt_build(build_id)

    @task(execution_timeout=policy.GATE_TIMEOUT)
    def marts_gate(build_id: int) -> int:
        """Judge the marts; what is declared `fail` leaves the last release standing."""
        from infra.airflow import tasks

        return tasks.marts_gate(build_id)

    @task(execution_timeout=policy.RELEASE_TIMEOUT, on_success_callback=list(policy.ON_RELEASE))
    def release(build_id: int) -> dict[str, Any]:
        """Publish what has changed as one release, or say that nothing has."""
        from infra.airflow import tasks

        return tasks.release(build_id)

    release(marts_gate(dbt_build(raw_gate())))
