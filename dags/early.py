"""By day: start the warehouse once enough sources of the closed week have reported.

In: what is loaded and what is released. Out: one run of `warehouse` a week at the most, in the
moment when the declared minimum (`policy.EARLY_SHARE`) is reached. A question every half hour;
nothing waits. The night's own run comes as always and publishes what has come since.
Run it: trigger `warehouse` yourself when you need not ask
"""

from __future__ import annotations

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, task

from infra.airflow import policy

with DAG(**policy.early_dag()) as dag:

    @task.short_circuit(execution_timeout=policy.NOTICE_TIMEOUT)
    def enough() -> bool:
        """Say whether a build now would be the first with the declared share of reports."""
        from infra.airflow import tasks

        return tasks.is_early_enough()

    start = TriggerDagRunOperator(
        task_id="start",
        trigger_dag_id="warehouse",
        execution_timeout=policy.NOTICE_TIMEOUT,
        doc_md="Start the warehouse; a run that is under way is waited for by its pool.",
    )
    enough() >> start
